#!/bin/sh
# What `make run` ends in: the visualizer on a terminal, the text of the lessons in a pipe. Usage: first-run.sh RINGSIDE
set -eu
ringside=$1
if [ -t 0 ] && [ -t 1 ] && [ -n "${TERM:-}" ] && [ "${TERM:-}" != dumb ]; then
    exec "$ringside" debug scenarios/page-walk/lab.lua
fi
for lesson in ring-aliasing trap-and-emulate page-walk entry-checks smp; do
    "$ringside" run "scenarios/$lesson/lab.lua"
    echo
done
