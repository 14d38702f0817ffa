#!/bin/sh
# Install what the build needs, where it is missing. On Debian and Ubuntu through apt (with sudo if not root); elsewhere say what to install.
# --dev: also what `make check` needs. --bench: also the emulators that `make bench` compares with.
set -eu
packages="gcc make libc6-dev libncurses-dev liblua5.4-dev libcmocka-dev libzydis-dev libjson-c-dev graphviz fonts-liberation nasm e2fsprogs"
[ "${1:-}" = --dev ] && packages="$packages clang clang-format libclang-rt-14-dev"
[ "${1:-}" = --bench ] && packages="$packages bochs bochsbios bochs-term vgabios grub-pc-bin grub-common xorriso mtools qemu-system-x86 time"
missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for p in $packages; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
    done
    [ -z "$missing" ] && exit 0
    sudo=""
    if [ "$(id -u)" != 0 ]; then
        sudo=sudo
        command -v sudo >/dev/null 2>&1 || { echo "setup: please install as root:$missing" >&2; exit 1; }
    fi
    echo "setup: installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    $sudo apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
        $sudo apt-get update >/dev/null
        $sudo apt-get install -y --no-install-recommends $missing >/dev/null
    }
    exit 0
fi
for h in lua.h:lua5.4 ncurses.h:ncurses cmocka.h:cmocka Zydis/Zydis.h:zydis; do
    echo "#include <${h%%:*}>" | ${CC:-gcc} -I/usr/include/lua5.4 -E - >/dev/null 2>&1 || missing="$missing ${h##*:}"
done
for t in nasm dot; do command -v $t >/dev/null 2>&1 || missing="$missing $t"; done
[ -z "$missing" ] && exit 0
echo "setup: this system has no dpkg; please install the development packages of:$missing (dot is part of Graphviz)" >&2
exit 1
