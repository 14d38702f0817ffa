#!/bin/bash
# Every lesson gives the same bytes, states, cycles and events under {tail, loop} x {inline TLB, none}. Usage: check-modes.sh RINGSIDE
set -u
ringside=$1 bad=0 n=0
for lab in scenarios/*/lab.lua; do
    want=$("$ringside" run --json --hash "$lab" 2>&1)
    for mode in "--loop" "--no-mirror" "--loop --no-mirror"; do
        # shellcheck disable=SC2086
        got=$("$ringside" run --json --hash $mode "$lab" 2>&1)
        n=$((n + 1))
        if [ "$got" != "$want" ]; then
            bad=1
            echo "check-modes: $lab differs with $mode:"
            diff <(echo "$want") <(echo "$got") | head -10
        fi
    done
done
[ $bad -eq 0 ] && echo "check-modes: ok ($n comparisons)"
exit $bad
