#!/bin/bash
# Run cmocka programs and the lessons, print what failed, and close with the counts. Usage: run-tests.sh BUILD_DIR PROGRAM...
set -u
dir=$1; shift
passed=0 failed=0 skipped=0 bad=""
export CMOCKA_MESSAGE_OUTPUT=stdout
for t in "$@"; do
    out=$("$t" 2>&1); rc=$?
    p=$(grep -c '^\[       OK \]' <<<"$out"); s=$(grep -c '^\[  SKIPPED \].*[^.]$' <<<"$out")
    f=$(grep -c '^\[  FAILED  \] [A-Za-z_0-9]*$' <<<"$out")
    n=$(sed -n 's/^\[  FAILED  \] [A-Za-z ]*: \([0-9]*\) test(s).*/\1/p' <<<"$out" | head -1)
    f=${n:-0}
    [ $rc -ne 0 ] && [ "$f" -eq 0 ] && f=1
    [ $rc -ge 128 ] && f=1
    passed=$((passed + p)); failed=$((failed + f)); skipped=$((skipped + s))
    printf '%-34s %4d passed %3d failed %3d skipped\n' "${t#"$dir"/}" "$p" "$f" "$s"
    grep '^# ' <<<"$out"
    if [ $rc -ne 0 ]; then bad="$bad ${t#"$dir"/}"; grep -vE '^\[ RUN|^\[       OK' <<<"$out" | tail -60; fi
done
for lab in scenarios/*/lab.lua; do
    [ -e "$lab" ] || continue
    out=$("$dir/ringside" run --tap "$lab" 2>&1); rc=$?
    p=$(grep -c '^ok ' <<<"$out"); f=$(grep -c '^not ok ' <<<"$out")
    [ $rc -ne 0 ] && [ "$f" -eq 0 ] && f=1
    [ "$p" -eq 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)); failed=$((failed + f))
    printf '%-34s %4d passed %3d failed %3d skipped\n' "$lab" "$p" "$f" 0
    if [ "$f" -ne 0 ]; then bad="$bad $lab"; tail -40 <<<"$out"; fi
done
[ -n "$bad" ] && echo "failed:$bad"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
