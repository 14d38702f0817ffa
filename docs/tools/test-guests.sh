#!/bin/bash
# Boot real guests to their markers; prints time, instructions and MIPS of each. Exit status 0 only if every guest that was asked for reached its marker; a
# guest whose package cannot be fetched is reported as SKIPPED and counts as not reached. What the guests print goes to files in a folder of this run's own, which
# stays if a guest has missed its marker. Usage: test-guests.sh RINGSIDE [GUEST...]
set -u
ringside=$1; shift
. docs/tools/lock-cache.sh
mkdir -p build/test-guests
scratch=$(mktemp -d build/test-guests/run-XXXXXX) || exit 1
missed=0
trap 'missed=1; exit' INT TERM
trap '[ $missed -ne 0 ] || rm -rf "$scratch"; rmdir "$scratch" 2>/dev/null; rmdir build/test-guests 2>/dev/null; exit $missed' EXIT
[ $# -eq 0 ] && set -- linux linux-smp linux-isa linux-perf linux-later linux-generic seabios grub debian hypervisor kvm kvm-nested xen
boot() { # NAME PACKAGES MARKER ARGUMENT...
    local name=$1 packages=$2 marker=$3 system=linux log rc
    case $packages in xen | memtest | debian | grub) system=$packages ;; seabios) system=bios ;; esac
    shift 3
    log=$scratch/$name.log
    docs/tools/fetch-guests.sh "$packages"
    rc=$?
    if [ $rc -eq 3 ]; then echo "$name: SKIPPED (Debian's package registry cannot be reached)"; missed=1; return; fi
    if [ $rc -ne 0 ]; then echo "$name: FAILED (cannot be prepared)"; missed=1; return; fi
    "$ringside" boot $system --until "$marker" --limit "${LIMIT:-60e9}" "$@" >"$log" 2>&1 </dev/null
    rc=$?
    if [ $rc -eq 0 ]; then
        echo "$name: reached \"$marker\" $(sed -n 's/^ringside: reached.*\((.*)\)$/\1/p' "$log" | tail -1)"
    else
        echo "$name: FAILED: $(grep '^ringside: ' "$log" | tail -1) (status $rc); the last lines of $log:"
        tail -15 "$log" | sed 's/^/    /'
        missed=1
    fi
}
# Guests of a guest: every marker must be in what was printed; then the account of VM exits.
nested() { # NAME MARKER...
    local name=$1 log=$scratch/$1.log files=kvm until="" rc marker lost=""
    [ "$name" = xen ] && files=xen until="--until XEN-GUESTS-DONE" # goes on with a shell
    shift
    docs/tools/fetch-guests.sh $files
    rc=$?
    if [ $rc -eq 3 ]; then echo "$name: SKIPPED (Debian's package registry cannot be reached)"; missed=1; return; fi
    if [ $rc -ne 0 ]; then echo "$name: FAILED (cannot be prepared)"; missed=1; return; fi
    "$ringside" boot "$name" --ledger --limit 60e9 $until >"$log" 2>&1 </dev/null
    rc=$?
    for marker in "$@"; do
        if grep -aq "^$marker" "$log"; then echo "$name: $marker"; else lost="$lost \"$marker\""; fi
    done
    if [ $rc -eq 0 ] && [ -z "$lost" ]; then
        echo "$name: reached all markers $(sed -n 's/^ringside: reached.*\((.*)\)$/\1/p' "$log" | tail -1)"
        sed -n '/^VM exits by reason/,$p' "$log" | sed 's/^/    /'
    else
        echo "$name: FAILED: $(grep -a '^ringside: ' "$log" | tail -1) (status $rc)${lost:+, not printed:$lost}; the last lines of $log:"
        tail -25 "$log" | sed 's/^/    /'
        missed=1
    fi
}
# Our own hypervisor under itself under itself (scenarios/hypervisor).
hypervisor() {
    local log=$scratch/hypervisor.log rc marker words lost=""
    (lock_cache test-guests && env -u MAKEFLAGS -u MFLAGS make -s build/guests/hypervisor/{hypervisor,entries}.bin >"$log" 2>&1) || { echo "hypervisor: FAILED (cannot be built, see $log)"; missed=1; return; }
    "$ringside" run --ledger --append "depth=3 vpid=1" --module build/guests/hypervisor/kernel.bin --limit 5e9 build/guests/hypervisor/hypervisor.bin >"$log" 2>&1 </dev/null
    rc=$?
    for words in ept=0 ept=10 ept=110; do # shadow page tables
        "$ringside" run --append "depth=3 $words" --limit 5e9 build/guests/hypervisor/hypervisor.bin 2>&1 </dev/null | grep -aq ^KERNEL-OK &&
            echo "hypervisor: KERNEL-OK with $words" || lost="$lost \"KERNEL-OK with $words\""
    done
    "$ringside" run --append "depth=2" --module build/guests/hypervisor/entries.bin --limit 5e9 build/guests/hypervisor/hypervisor.bin >"$log.entries" 2>&1 </dev/null
    for marker in "L0: VMX on" "L1: VMX on" "L2: VMX on" KERNEL-OK "[0-9]* answers: ENTRIES-OK"; do
        if grep -aqs "^$marker" "$log" "$log.entries"; then echo "hypervisor: $marker"; else lost="$lost \"$marker\""; fi
    done
    if [ -z "$lost" ]; then
        echo "hypervisor: reached all markers $(sed -n 's/^ringside: exit: .*\((.*)\)$/\1/p' "$log")"
        sed -n '/^VM exits by reason/,$p' "$log" | sed 's/^/    /'
    else
        echo "hypervisor: FAILED (status $rc), not printed:$lost; the last lines of $log:"
        tail -25 "$log" | sed 's/^/    /'
        missed=1
    fi
}
for guest in "$@"; do
    case $guest in
    linux) boot linux linux "x86_64 GNU/Linux" --type "# |uname -a" ;;
    linux-smp) boot linux-smp linux "PROCESSORS-ONLINE-4" --cpus 4 --type '# |echo PROCESSORS-ONLINE-$(nproc)' ;;
    linux-isa) boot linux-isa linux "is up: the shell is on the serial console" \
        --append "console=ttyS0 earlyprintk=serial cryptomgr.notests=1 nokaslr acpi=off nolapic noapic" ;;
    linux-perf) boot linux-perf perf "PERF-OK" --kernel build/cache/linux/vmlinuz --initrd build/cache/perf/initrd --type "# |perfcount" ;;
    linux-later) boot linux-later linux "la57" --profile later --type "# |grep -o -w -e la57 -e ospke /proc/cpuinfo" ;;
    linux-generic) boot linux-generic generic "is up: the shell is on the serial console" --memory 512M \
        --kernel build/cache/generic/vmlinuz --initrd build/cache/generic/initrd ;;
    kvm) nested kvm KVM-APICV-Y KVM-REAL-OK KVM-PROT-OK KVM-LONG-OK KVM-L2-USERSPACE KVM-GUESTS-DONE ;;
    kvm-nested) nested kvm-nested KVM-REAL-OK KVM-PROT-OK KVM-LONG-OK KVM-L2-USERSPACE "L3: KVM-REAL-OK" "L3: KVM-PROT-OK" "L3: KVM-LONG-OK" KVM-GUESTS-DONE ;;
    hypervisor) hypervisor ;;
    xen) nested xen "Ringside: Linux" XEN-PVH-USERSPACE XEN-GUESTS-DONE ;;
    seabios) boot seabios seabios "BOOT-SECTOR-OK: the firmware read this from sector 2 of the disk" ;;
    grub) boot grub grub "is up: the shell is on the serial console" ;;
    debian) boot debian debian "DEBIAN-USERLAND-42" --type 'login: |root|assword: |ringside|# |uname -a; ldd /bin/bash; echo DEBIAN-USERLAND-$(expr 40 + 2)' ;;
    memtest) LIMIT=400e9 boot memtest memtest "Pass:  1        Errors: 0 " ;; # the first pass is complete: several minutes, so not in the default set
    *) echo "$guest: no such guest; there are linux, linux-smp, linux-isa, linux-perf, linux-later, linux-generic, hypervisor, kvm, kvm-nested, xen, seabios, grub, debian and memtest"; missed=1 ;;
    esac
done
