#!/bin/bash
# Speed of Ringside beside its peers, in one run on one machine: the same freestanding programs (scenarios/bench), and Debian's kernel to its first shell, on
# Ringside (functional, fast and detailed fidelity), on Debian's bochs (GRUB ISO) and on QEMU TCG, where installed. Times are processor time of the whole
# emulator minus that of a program that does nothing; runs are interleaved, medians are printed, and MIPS follow from Ringside's own instruction count. rss:
# peak memory of Ringside in fast fidelity. Writes build/bench.json. Usage: bench.sh RINGSIDE [ROUNDS [PROGRAM...]]
set -u
ringside=$1 rounds=${2:-3}
shift; [ $# -eq 0 ] || shift
dir=build/bench
guests=build/guests/bench
programs=${*:-sieve isprime memcpy streams repmovs hash chase recurse syscall pagefault linux vmexit}
linux=build/cache/linux
# The kernel, its RAM disk up to where that would ask for a command, and off.
append='console=ttyS0 earlyprintk=serial cryptomgr.notests=1 nokaslr rdinit=/bin/busybox -- sh -c "busybox sed -i s/setsid.*// /init; busybox sh /init"'
mkdir -p $dir
[ -s $guests/nothing.bin ] || { echo "bench: the programs are not built; use: make bench" >&2; exit 1; }

echo "Built-in loops:"
"$ringside" bench
"$ringside" bench --json >$dir/loops.json
case " $programs " in *" linux "*)
    docs/tools/fetch-guests.sh linux || { echo "(Debian's kernel cannot be fetched: no Linux boot)"; programs=${programs/linux/}; } ;;
esac
[ -x /usr/bin/time ] || { echo "bench: GNU time is missing (Debian's package time; docs/tools/setup.sh --bench installs it)" >&2; exit 1; }

bochs="" qemu=""
command -v bochs >/dev/null && command -v grub-mkrescue >/dev/null && command -v xorriso >/dev/null && [ -e /usr/share/bochs/VGABIOS-lgpl-latest ] && bochs=1
command -v qemu-system-x86_64 >/dev/null && qemu=1
[ -z "$bochs" ] && echo "(bochs, bochsbios, bochs-term, vgabios, grub-pc-bin, grub-common, xorriso or mtools is not installed: no comparison with Bochs; docs/tools/setup.sh --bench installs them)"
[ -z "$qemu" ] && echo "(qemu-system-x86 is not installed: no comparison with QEMU)"

seconds() { # COMMAND...: user time of it, and its peak memory in KiB
    /usr/bin/time -q -o $dir/time -f '%U %M' "$@" >$dir/out 2>&1 </dev/null
    cat $dir/time
}
entry() { # PROGRAM: what GRUB loads. Programs are compared with "nothing", the kernel with nothing that is as long to load.
    case $1 in
    linux) printf 'linux /vmlinuz %s\n initrd /initrd' "$append" ;;
    no-linux) printf 'multiboot /prog\n module /vmlinuz\n module /initrd' ;;
    *) printf 'multiboot /prog' ;;
    esac
}
iso() { # PROGRAM: a CD that boots it
    local prog=$guests/$1.bin files=""
    case $1 in linux | no-linux) prog=$guests/nothing.bin files="$linux/vmlinuz $linux/initrd" ;; esac
    [ $dir/$1.iso -nt $prog ] && return
    rm -rf $dir/iso
    mkdir -p $dir/iso/boot/grub
    cp $prog $dir/iso/prog
    [ -z "$files" ] || cp $files $dir/iso
    printf 'set timeout=0\nset default=0\nterminal_output console\nmenuentry bench {\n %s\n boot\n}\n' "$(entry $1)" >$dir/iso/boot/grub/grub.cfg
    grub-mkrescue -o $dir/$1.iso $dir/iso >/dev/null 2>&1
}
run_ringside() { # FIDELITY PROGRAM
    case $2 in
    linux) seconds "$ringside" boot linux --fidelity $1 --until "" --append "$append" ;;
    no-linux) echo 0 0 ;;
    *) seconds "$ringside" run --fidelity $1 --ram 256M $guests/$2.bin ;;
    esac
}
run_functional() { run_ringside functional $1; }
run_fast() { run_ringside fast $1; }
run_detailed() { run_ringside detailed $1; }
run_qemu() {
    local image=(-kernel $guests/$1.bin)
    case $1 in
    linux) image=(-kernel $linux/vmlinuz -initrd $linux/initrd -append "$append") ;;
    no-linux) echo 0 0; return ;;
    esac
    seconds timeout 300 qemu-system-x86_64 -accel tcg,thread=single -cpu max -m 256 -display none -no-reboot -device isa-debug-exit,iobase=0xf4 \
        -serial file:$dir/serial "${image[@]}"
}
run_bochs() {
    iso $1
    # The kernel waits by the clock, so instructions per second decide how long: Bochs's own sample value.
    cat >$dir/bochsrc <<RC
megs: 256
cpu: count=1, ips=$([ $1 = linux ] && echo 50000000 || echo 1000000000), model=corei7_sandy_bridge_2600k
clock: sync=none
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$dir/$1.iso, status=inserted
boot: cdrom
display_library: term
com1: enabled=1, mode=file, dev=$dir/serial
log: $dir/bochs.log
port_e9_hack: enabled=1
panic: action=fatal
RC
    printf 'c\nq\n' >$dir/bochs.rc
    seconds timeout 600 script -qec "exec bochs -q -f $dir/bochsrc -rc $dir/bochs.rc" /dev/null
}
median() { sort -n | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

ended() { # PROGRAM: the run of it that wrote $dir/out came to its proper end
    case $1 in
    linux) cat $dir/out $dir/serial 2>/dev/null | tr -d '\n' | grep -aq "reboot: Power down" ;;
    vmexit) grep -aq VMEXIT-OK $dir/out ;; # said only if each CPUID of its guest exited
    esac
}

emulators="functional fast detailed${bochs:+ bochs}${qemu:+ qemu}"
baselines=nothing
case " $programs " in *" linux "*) baselines="nothing no-linux" ;; esac
for p in $baselines $programs; do
    for e in $emulators; do : >$dir/$e.$p; done
done
[ -z "$qemu" ] || echo lost >$dir/qemu.vmexit # its TCG has no VMX
for r in $(seq "$rounds"); do
    for p in $baselines $programs; do
        printf '\r%s: round %s of %s        ' "$p" "$r" "$rounds" >&2
        for e in $emulators; do
            [ $e.$p != qemu.vmexit ] || continue
            rm -f $dir/serial
            run_$e $p >>$dir/$e.$p
            ended $p || echo lost >>$dir/$e.$p
        done
    done
done
printf '\r%40s\r' '' >&2

base() { [ $1 = linux ] && echo no-linux || echo nothing; }
cost() { # EMULATOR PROGRAM: seconds, or null
    [ -s $dir/$1.$2 ] && ! grep -q lost $dir/$1.$2 || { echo null; return; }
    awk -v t="$(median <$dir/$1.$2)" -v z="$(median <$dir/$1.$(base $2))" 'BEGIN {d = t - z; if (d <= 0.005) print "null"; else print d}'
}
quotient() { [ "$1" = null ] || [ "$2" = null ] && echo "$3" || awk -v a="$1" -v b="$2" -v f="$4" 'BEGIN {printf f "\n", a / b}'; } # A B NEITHER FORMAT
insns() { # PROGRAM
    case $1 in
    linux) "$ringside" boot linux --until "" --append "$append" 2>&1 </dev/null | tr -d '\r' | sed -n 's/.*(\([0-9]*\) instructions.*/\1/p' | tail -1 ;;
    *) "$ringside" run --ram 256M $guests/$1.bin 2>&1 | sed -n 's/.*(\([0-9]*\) instructions.*/\1/p' | tail -1 ;;
    esac
}
printf '\n%-10s %12s %10s %10s %10s %10s %10s %12s %12s %8s\n' program instructions functional fast detailed bochs qemu "func./bochs" "fast/bochs" "rss MB"
json=""
for p in $programs; do
    n=$(insns $p) f=$(cost functional $p) a=$(cost fast $p) d=$(cost detailed $p) b=$(cost bochs $p) q=$(cost qemu $p)
    m=$(awk -v n="$n" 'BEGIN {print n / 1e6}')
    rss=$(awk '{if ($2 > m) m = $2} END {printf "%.0f\n", m / 1024}' $dir/fast.$p)
    printf '%-10s %12s' $p "$n"
    for t in $f $a $d $b $q; do printf ' %10s' "$(quotient $m $t - %.1f)"; done
    printf ' %12s %12s %8s\n' "$(quotient $b $f - '%.1f x')" "$(quotient $b $a - '%.1f x')" "$rss"
    json="$json${json:+,}{\"name\":\"$p\",\"instructions\":$n"
    for e in functional:$f fast:$a detailed:$d bochs:$b qemu:$q; do json="$json,\"${e%:*}_mips\":$(quotient $m ${e#*:} null %.1f)"; done
    json="$json,\"rss_mb\":$rss}"
done
vmx_json=null
case " $programs " in *" vmexit "*) . docs/tools/bench-vmx.sh ;; esac
echo "{\"programs\":[$json],\"vmx\":$vmx_json}" >build/bench.json
echo "MIPS; median of $rounds runs. (A repeated string instruction counts once: read repmovs as a ratio.) Written: build/bench.json"
