; A disk that boots: the firmware loads the first sector to 7C00H, which reads the second one by INT 13H and prints what stands there on COM1.
bits 16
org 0x7c00
%define COM1 0x3f8
%define NEXT 0x7e00

start:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, start
    sti
    mov ax, 0x0201              ; read one sector, from the drive that we come from (DL)
    mov cx, 0x0002              ; cylinder 0, sector 2
    mov dh, 0
    mov bx, NEXT
    int 0x13
    mov si, failed
    jc .say
    mov si, NEXT
.say:
    call print
.idle:
    hlt
    jmp .idle

; Print the zero-terminated text at SI: wait until the transmitter is empty (bit 5 of the line status), then send.
print:
    lodsb
    test al, al
    jz .done
    mov ah, al
    mov dx, COM1 + 5
.wait:
    in al, dx
    test al, 0x20
    jz .wait
    mov al, ah
    mov dx, COM1
    out dx, al
    jmp print
.done:
    ret

failed: db "INT 13H cannot read the second sector", 13, 10, 0

times 510 - ($ - $$) db 0
dw 0xaa55
; --- sector 2
db 13, 10, "BOOT-SECTOR-OK: the firmware read this from sector 2 of the disk", 13, 10, 0
times 0x100000 - ($ - $$) db 0   ; a disk of 1 MiB
