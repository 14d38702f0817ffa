# Part of bench.sh, which sources it: what VMX costs. Sets vmx_json.
#   A VM exit: scenarios/bench/vmexit.c, a million CPUIDs of a guest, on Ringside and on Bochs (whose processor model has VMX). The program says VMEXIT-OK
#   only if each of them exited, so a run that does not is no measurement.
#   A guest: the same program, unmodified, on the bare machine and under scenarios/hypervisor with EPT in pages as large as the guest's own.
vmx_programs="sieve isprime memcpy hash chase recurse"
run_guest() { # PROGRAM: under our hypervisor
    seconds "$ringside" run --ram 256M --append "depth=1 big=1" --module $guests/$1.bin build/guests/hypervisor/hypervisor.bin
}
vmexit() { # EMULATOR
    run_$1 vmexit >>$dir/$1.vmexit
    grep -aq VMEXIT-OK $dir/out && return
    echo "bench: vmexit did not end well on $1 (see $dir/out)" >&2
    : >$dir/$1.vmexit-failed
}

rm -f $dir/*.vmexit* $dir/level[12].*
for r in $(seq "$rounds"); do
    printf '\rvmexit: round %s of %s        ' "$r" "$rounds" >&2
    for e in fast ${bochs:+bochs}; do vmexit $e; done
    for p in nothing $vmx_programs; do
        run_fast $p >>$dir/level1.$p
        run_guest $p >>$dir/level2.$p
    done
done
printf '\r%40s\r' '' >&2

exit_ns() { # EMULATOR: host nanoseconds per exit, or null
    [ -e $dir/$1.vmexit ] && [ ! -e $dir/$1.vmexit-failed ] || { echo null; return; }
    awk -v t="$(median <$dir/$1.vmexit)" -v z="$(median <$dir/$1.nothing)" 'BEGIN {printf "%.0f\n", (t - z) * 1e3}' # a million exits
}
a=$(exit_ns fast) b=$(exit_ns bochs) ratio=null
[ $a != null ] && [ $b != null ] && ratio=$(awk -v a=$a -v b=$b 'BEGIN {printf "%.1f", b / a}')
printf '\nVM exit, four VMCS accesses, VM entry: Ringside %s ns, bochs %s ns, %s x\n' $a $b $ratio
printf '%-10s %12s %12s %10s\n' program "bare, s" "as guest, s" "speed"
levels=""
for p in $vmx_programs; do
    row=$(awk -v t="$(median <$dir/level1.$p)" -v z="$(median <$dir/level1.nothing)" -v u="$(median <$dir/level2.$p)" -v y="$(median <$dir/level2.nothing)" \
        'BEGIN {printf "%.3f %.3f %.2f", t - z, u - y, (t - z) / (u - y)}')
    printf '%-10s %12s %12s %10s\n' $p $row
    levels="$levels${levels:+,}{\"name\":\"$p\",\"guest_to_bare\":${row##* }}"
done
vmx_json="{\"exit_ns\":$a,\"bochs_exit_ns\":$b,\"bochs_to_ringside\":$ratio,\"guests\":[$levels]}"
