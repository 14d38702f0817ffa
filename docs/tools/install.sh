#!/bin/sh
# Install the program, its lessons with their built guests, man page and completion. Usage: install.sh BUILD_DIR PREFIX
set -eu
o=$1 prefix=$2
install -d "$prefix/bin" "$prefix/share/ringside/scenarios" "$prefix/share/ringside/build" "$prefix/share/man/man1" "$prefix/share/bash-completion/completions"
install -m 755 "$o/ringside" "$prefix/bin/ringside"
cp -r scenarios/. "$prefix/share/ringside/scenarios/"
cp -r build/guests "$prefix/share/ringside/build/"
"$o/ringside" info man >"$prefix/share/man/man1/ringside.1"
"$o/ringside" info completion >"$prefix/share/bash-completion/completions/ringside"
echo "installed: $prefix/bin/ringside; lessons in $prefix/share/ringside/scenarios"
