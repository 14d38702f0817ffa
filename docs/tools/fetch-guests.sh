#!/bin/bash
# Fetch real guests from Debian's package registry into build/cache (nothing of them is committed), and make what boots of them.
#   linux   build/cache/linux/vmlinuz, initrd: the cloud kernel, and an initial RAM disk with busybox that gives a shell on the console
# Does nothing if it is all there. Exit status 0 done, 3 the registry cannot be reached, 1 anything else. Usage: fetch-guests.sh linux
set -u
cd "$(dirname "$0")/../.." || exit 1
say() { echo "fetch-guests: $*" >&2; }

# download PACKAGE: its file, in the current directory
download() {
    ls "$1"_*.deb >/dev/null 2>&1 && return
    say "downloading $1"
    if ! apt-get download "$1" >download.log 2>&1; then
        say "cannot download Debian's package $1 (apt-get download says the following). Is the network there, and has apt-get update been run?"
        tail -3 download.log >&2
        return 3
    fi
}

# One member of a cpio archive in the "newc" format. node NAME MODE(octal) [FILE | major minor]
inode=0
node() {
    local name=$1 mode=$((8#$2)) size=0 major=0 minor=0 file=""
    if [ $# -eq 3 ]; then file=$3; size=$(stat -Lc %s "$file"); fi
    if [ $# -eq 4 ]; then major=$3 minor=$4; fi
    inode=$((inode + 1))
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' $inode $mode 0 0 1 0 "$size" 0 0 "$major" "$minor" $((${#name} + 1)) 0
    printf '%s\0' "$name"
    pad $((110 + ${#name} + 1))
    if [ -n "$file" ]; then cat "$file"; pad "$size"; fi
}
pad() { local n=$(((4 - $1 % 4) % 4)); [ $n -eq 0 ] || head -c $n /dev/zero; }

init_script() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=vt100
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for m in /lib/modules/*.ko; do [ -e "$m" ] && insmod "$m"; done
echo "Ringside: $(uname -sr) is up: the shell is on the serial console, \`poweroff -f\` ends the machine"
setsid cttyhack sh
poweroff -f
INIT
}

archive() { # ROOT_OF_KERNEL ROOT_OF_BUSYBOX
    local d m n=10
    for d in bin dev proc sys lib lib/modules; do node $d 040755; done
    node dev/console 020600 5 1
    node dev/ttyS0 020600 4 64
    node bin/busybox 100755 "$2/bin/busybox"
    node init 100755 init
    for m in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk rng-core virtio-rng; do
        d=$(find "$1/lib/modules" -name "$m.ko" 2>/dev/null | head -1)
        [ -n "$d" ] && node lib/modules/$((n++))-$m.ko 100644 "$d"
    done
    node TRAILER!!! 0
}

fetch_linux() {
    local dir=build/cache/linux kernel
    [ -s $dir/vmlinuz ] && [ -s $dir/initrd ] && [ $dir/initrd -nt docs/tools/fetch-guests.sh ] && return
    for tool in apt-get apt-cache dpkg-deb; do
        command -v $tool >/dev/null || { say "$tool is missing: this needs a Debian system; or give --kernel and --initrd"; return 1; }
    done
    mkdir -p $dir && cd $dir || return 1
    kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -1)
    if [ -z "$kernel" ]; then
        say "apt knows no package linux-image-cloud-amd64; run apt-get update (or give --kernel and --initrd)"
        return 3
    fi
    download "$kernel" && download busybox-static || return
    rm -rf kernel busybox
    dpkg-deb -x "$kernel"_*.deb kernel && dpkg-deb -x busybox-static_*.deb busybox || { say "a downloaded package is damaged: remove $dir"; return 1; }
    cp kernel/boot/vmlinuz-* vmlinuz || return 1
    init_script >init
    archive kernel busybox | gzip -1 >initrd.new && mv initrd.new initrd
}

case ${1:-} in
linux) fetch_linux ;;
*) say "usage: fetch-guests.sh linux"; exit 1 ;;
esac
