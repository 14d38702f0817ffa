#!/bin/bash
# Speed of Ringside beside its peers, in one run on one machine: the same freestanding programs (scenarios/bench) on Ringside, on Debian's bochs (GRUB ISO)
# and on QEMU TCG, where installed. Times are processor time of the whole emulator minus that of a program that does nothing; runs are interleaved, medians
# are printed, and MIPS follow from Ringside's own instruction count. Writes build/bench.json. Usage: bench.sh RINGSIDE [ROUNDS]
set -u
ringside=$1 rounds=${2:-3}
dir=build/bench
guests=build/guests/bench
programs="sieve isprime memcpy repmovs hash chase recurse syscall pagefault"
mkdir -p $dir
[ -s $guests/nothing.bin ] || { echo "bench: the programs are not built; use: make bench" >&2; exit 1; }

echo "Built-in loops:"
"$ringside" bench
"$ringside" bench --json >$dir/loops.json

bochs="" qemu=""
command -v bochs >/dev/null && command -v grub-mkrescue >/dev/null && command -v xorriso >/dev/null && [ -e /usr/share/bochs/VGABIOS-lgpl-latest ] && bochs=1
command -v qemu-system-x86_64 >/dev/null && qemu=1
[ -z "$bochs" ] && echo "(bochs, bochsbios, bochs-term, vgabios, grub-pc-bin, grub-common, xorriso or mtools is not installed: no comparison with Bochs; docs/tools/setup.sh --bench installs them)"
[ -z "$qemu" ] && echo "(qemu-system-x86 is not installed: no comparison with QEMU)"

seconds() { # COMMAND...: user time of it
    local t
    t=$( { TIMEFORMAT=%U; time "$@" >$dir/out 2>&1 </dev/null; } 2>&1 )
    echo "$t" | tail -1
}
iso() { # PROGRAM: a CD that boots it
    [ $dir/$1.iso -nt $guests/$1.bin ] && return
    rm -rf $dir/iso
    mkdir -p $dir/iso/boot/grub
    cp $guests/$1.bin $dir/iso/prog
    printf 'set timeout=0\nset default=0\nterminal_output console\nmenuentry bench { multiboot /prog\n boot\n}\n' >$dir/iso/boot/grub/grub.cfg
    grub-mkrescue -o $dir/$1.iso $dir/iso >/dev/null 2>&1
}
run_ringside() { seconds "$ringside" run --ram 256M $guests/$1.bin; }
run_qemu() { seconds qemu-system-x86_64 -accel tcg,thread=single -cpu max -m 256 -display none -no-reboot -device isa-debug-exit,iobase=0xf4 -kernel $guests/$1.bin; }
run_bochs() {
    iso $1
    cat >$dir/bochsrc <<RC
megs: 256
cpu: count=1, ips=1000000000, model=corei7_sandy_bridge_2600k
clock: sync=none
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$dir/$1.iso, status=inserted
boot: cdrom
display_library: term
log: $dir/bochs.log
port_e9_hack: enabled=1
panic: action=fatal
RC
    printf 'c\nq\n' >$dir/bochs.rc
    seconds timeout 300 script -qec "bochs -q -f $dir/bochsrc -rc $dir/bochs.rc" /dev/null
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

for p in nothing $programs; do
    for e in ringside ${bochs:+bochs} ${qemu:+qemu}; do : >$dir/$e.$p; done
done
for r in $(seq "$rounds"); do
    for p in nothing $programs; do
        printf '\r%s: round %s of %s        ' "$p" "$r" "$rounds" >&2
        for e in ringside ${bochs:+bochs} ${qemu:+qemu}; do run_$e $p >>$dir/$e.$p; done
    done
done
printf '\r%40s\r' '' >&2

mips() { # EMULATOR PROGRAM INSNS
    [ -e $dir/$1.$2 ] || { echo null; return; }
    awk -v n="$3" -v t="$(median <$dir/$1.$2)" -v z="$(median <$dir/$1.nothing)" 'BEGIN {d = t - z; if (d <= 0.005) print "null"; else printf "%.1f\n", n / d / 1e6}'
}
printf '\n%-10s %12s %10s %10s %10s %14s\n' program instructions Ringside bochs qemu "Ringside/bochs"
json=""
for p in $programs; do
    n=$("$ringside" run --ram 256M --json $guests/$p.bin 2>&1 | sed -n 's/.*(\([0-9]*\) instructions.*/\1/p' | tail -1)
    a=$(mips ringside $p "$n") b=$(mips bochs $p "$n") q=$(mips qemu $p "$n")
    ratio=-
    [ -n "$bochs" ] && ratio=$(awk -v a="$(median <$dir/ringside.$p)" -v az="$(median <$dir/ringside.nothing)" -v b="$(median <$dir/bochs.$p)" \
        -v bz="$(median <$dir/bochs.nothing)" 'BEGIN {if (a - az <= 0) print "-"; else printf "%.1f x\n", (b - bz) / (a - az)}')
    printf '%-10s %12s %10s %10s %10s %14s\n' $p "$n" "$a" "$b" "$q" "$ratio"
    json="$json${json:+,}{\"name\":\"$p\",\"instructions\":$n,\"functional_mips\":null,\"fast_mips\":$a,\"bochs_mips\":$b,\"qemu_mips\":$q}"
done
. docs/tools/bench-vmx.sh
echo "{\"programs\":[$json],\"vmx\":$vmx_json}" >build/bench.json
echo "MIPS with cycles counted; median of $rounds runs. (A repeated string instruction counts once: read repmovs as a ratio.) Written: build/bench.json"
