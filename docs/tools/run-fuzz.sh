#!/bin/bash
# Run every fuzz target for a while from a fixed seed. Usage: run-fuzz.sh BUILD_DIR SECONDS
set -u
dir=$1 seconds=$2 bad=0
for f in "$dir"/*/*_fuzz; do
    [ -x "$f" ] || continue
    name=${f#"$dir"/}
    corpus=$dir/corpus/$name
    mkdir -p "$corpus"
    if out=$("$f" -max_total_time="$seconds" -seed=1 -timeout=20 -rss_limit_mb=4096 -artifact_prefix="$corpus/" "$corpus" 2>&1); then
        echo "check-fuzz: $name ok ($(sed -n 's/^#\([0-9]*\).*DONE.*/\1 runs/p' <<<"$out"))"
    else
        bad=1
        echo "check-fuzz: $name FAILED; the input is kept under $corpus/"
        tail -40 <<<"$out"
    fi
done
exit $bad
