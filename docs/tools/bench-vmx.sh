# Part of bench.sh, which sources it: what VMX costs. Sets vmx_json.
#   A VM exit: scenarios/bench/vmexit.c, a million CPUIDs of a guest, as bench.sh has run it on Ringside and on Bochs (whose processor model has VMX).
#   A guest: the same program, unmodified, on the bare machine and under scenarios/hypervisor with EPT in pages as large as the guest's own.
vmx_programs="sieve isprime memcpy hash chase recurse"
run_guest() { # PROGRAM: under our hypervisor
    seconds "$ringside" run --ram 256M --append "depth=1 big=1" --module $guests/$1.bin build/guests/hypervisor/hypervisor.bin
}

rm -f $dir/level[12].*
for r in $(seq "$rounds"); do
    printf '\rguests: round %s of %s        ' "$r" "$rounds" >&2
    for p in nothing $vmx_programs; do
        run_fast $p >>$dir/level1.$p
        run_guest $p >>$dir/level2.$p
    done
done
printf '\r%40s\r' '' >&2

exit_ns() { # EMULATOR: host nanoseconds per exit, or null
    local t=$(cost $1 vmexit)
    [ $t = null ] && echo null || awk -v t=$t 'BEGIN {printf "%.0f\n", t * 1e3}' # a million exits
}
a=$(exit_ns fast) b=$(exit_ns bochs) ratio=null
[ $a != null ] && [ $b != null ] && ratio=$(awk -v a=$a -v b=$b 'BEGIN {printf "%.1f", b / a}')
printf '\nVM exit, four VMCS accesses, VM entry: Ringside %s ns, bochs %s ns, %s x\n' $a $b $ratio
printf '%-10s %12s %12s %10s\n' program "bare L1, s" "guest L2, s" "L2/L1"
levels="" slowest=""
for p in $vmx_programs; do
    row=$(awk -v t="$(median <$dir/level1.$p)" -v z="$(median <$dir/level1.nothing)" -v u="$(median <$dir/level2.$p)" -v y="$(median <$dir/level2.nothing)" \
        'BEGIN {printf "%.3f %.3f %.2f", t - z, u - y, (t - z) / (u - y)}')
    printf '%-10s %12s %12s %10s\n' $p $row
    slowest=$(printf '%s\n' $slowest ${row##* } | sort -n | head -1)
    levels="$levels${levels:+,}{\"name\":\"$p\",\"guest_to_bare\":${row##* }}"
done
awk -v s=$slowest 'BEGIN {printf "MIPS of an L2 guest: at least %.2f of the same code in L1 (to be 0.80 or more: %s)\n", s, (s >= 0.8 ? "yes" : "NO")}'
vmx_json="{\"exit_ns\":$a,\"bochs_exit_ns\":$b,\"bochs_to_ringside\":$ratio,\"guests\":[$levels]}"

# `ringside boot kvm` to the userspace of the kernel in the guest, and the same kernel, RAM disk and parameters on Bochs, from a CD. Processor seconds; on Bochs
# those of its firmware and of GRUB are left out. Bochs counts 20 million instructions as a second: with more, the kernels wait longer for the serial port.
kvm_seconds() { # FILE PID MARKER: processor time of PID when FILE has MARKER
    local end=$((SECONDS + 900))
    until grep -aq "$3" "$1" 2>/dev/null; do
        [ -e /proc/$2 ] && [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
    awk -v hz="$(getconf CLK_TCK)" '{print ($14 + $15) / hz}' /proc/$2/stat
}
kvm_bochs() {
    local pid="" from to
    mkdir -p $dir/kvm/boot/grub && cp -L build/cache/kvm/vmlinuz build/cache/kvm/initrd $dir/kvm/boot || return
    printf 'set timeout=0\nset default=0\nterminal_output console\nmenuentry kvm { linux /boot/vmlinuz %s\n initrd /boot/initrd\n boot\n}\n' \
        "console=ttyS0 earlyprintk=serial cryptomgr.notests=1 nokaslr" >$dir/kvm/boot/grub/grub.cfg
    grub-mkrescue -o $dir/kvm.iso $dir/kvm >/dev/null 2>&1 && rm -rf $dir/kvm
    rm -f $dir/kvm.serial $dir/kvm.pid
    cat >$dir/kvm.bochsrc <<RC
megs: 384
cpu: count=1, ips=20000000, model=corei7_sandy_bridge_2600k
clock: sync=none
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$dir/kvm.iso, status=inserted
boot: cdrom
display_library: term
log: $dir/bochs.log
com1: enabled=1, mode=file, dev=$dir/kvm.serial
panic: action=fatal
RC
    printf 'c\nq\n' >$dir/bochs.rc
    script -qec "echo \$\$ >$dir/kvm.pid; exec bochs -q -f $dir/kvm.bochsrc -rc $dir/bochs.rc" /dev/null >/dev/null 2>&1 </dev/null &
    until [ -s $dir/kvm.pid ]; do sleep 0.1; done
    pid=$(cat $dir/kvm.pid)
    from=$(kvm_seconds $dir/kvm.serial $pid "Linux version") && to=$(kvm_seconds $dir/kvm.serial $pid KVM-L2-USERSPACE)
    kill $pid 2>/dev/null
    wait
    awk -v a="${from:-x}" -v b="${to:-x}" 'BEGIN {if (a == "x" || b == "x") print "null"; else printf "%.1f\n", b - a}'
}
kvm_ringside() {
    local t
    t=$( { TIMEFORMAT='%U %S'; time "$ringside" boot kvm --until KVM-L2-USERSPACE >$dir/out 2>&1 </dev/null; } 2>&1 )
    grep -aq '^KVM-L2-USERSPACE' $dir/out && echo "$t" | tail -1 | awk '{printf "%.1f\n", $1 + $2}' || echo null
}
if docs/tools/fetch-guests.sh kvm; then
    a=$(kvm_ringside) b=null ratio=null
    [ -n "$bochs" ] && b=$(kvm_bochs)
    [ $a != null ] && [ $b != null ] && ratio=$(awk -v a=$a -v b=$b 'BEGIN {printf "%.1f", b / a}')
    printf '\nboot kvm, to userspace of the kernel in the guest: Ringside %s s, bochs %s s, %s x\n' $a $b $ratio
    vmx_json="${vmx_json%\}},\"kvm_s\":$a,\"bochs_kvm_s\":$b,\"bochs_kvm_to_ringside\":$ratio}"
fi
