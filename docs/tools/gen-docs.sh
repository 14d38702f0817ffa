#!/bin/sh
# Write docs/gen from the tables: the command line, the man page, completion, the editor annotations, and every `ringside info` table.
# Usage: gen-docs.sh RINGSIDE
set -eu
ringside=$1
mkdir -p docs/gen
"$ringside" info options >docs/gen/command-line.md
"$ringside" info man >docs/gen/ringside.1
"$ringside" info completion >docs/gen/ringside.bash
"$ringside" info annotations >docs/gen/ringside.lua
"$ringside" info | sed -n 's/^  \([a-z-]*\) .*/\1/p' | while read -r t; do
    "$ringside" info "$t" >"docs/gen/$t.md"
done
ls docs/gen
