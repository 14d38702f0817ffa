#!/bin/bash
# Fetch real guests from Debian's package registry into build/cache (nothing of them is committed), and make what boots of them.
#   linux   build/cache/linux/vmlinuz, initrd: the cloud kernel, and an initial RAM disk with busybox that gives a shell on the console
#   generic the same of the generic kernel, in build/cache/generic
#   kvm     build/cache/kvm/vmlinuz, initrd: the same kernel; a RAM disk that loads the kernel's own kvm-intel and runs scenarios/kvm/kvmrun.c:
#           tiny guests, then the kernel once more as a guest (L2). Kernel parameters: nested=1 has L2 load kvm-intel and run the tiny guests
#           as L3; shell=1 gives a shell at the end.
#   perf    build/cache/perf/initrd: the RAM disk of linux, and scenarios/perf/perfcount.c in it
#   seabios build/cache/seabios/bios.bin, disk: SeaBIOS, and a disk of scenarios/boot/sector.asm
#   memtest build/cache/memtest/vmlinuz: memtest86+
#   xen     build/cache/xen/xen, vmlinuz, initrd: Xen, the generic kernel as dom0, and a RAM disk with Xen's tools that starts the kernel again as a
#           PVH guest
#   grub    build/cache/grub/bios.bin, disk: SeaBIOS, and a disk with GRUB, the cloud kernel and its RAM disk
#   debian  build/cache/debian/vmlinuz, initrd, disk: the cloud kernel, its disk drivers, and a small Debian userland in an ext4 image
# Does nothing if it is all there. Several of these scripts wait for each other. Exit status 0 done, 3 the registry cannot be reached, 1 anything else.
# Usage: fetch-guests.sh linux|generic|kvm|perf|xen|seabios|grub|memtest|debian
set -u
cd "$(dirname "$0")/../.." || exit 1
say() { echo "fetch-guests: $*" >&2; }

# What a folder was made from, by contents, as dates tell nothing in a copied tree. fresh FOLDER FILE...: did this very script make it from these very
# files? made FOLDER FILE...: now it has. Both in the project's top folder.
sum_of() { cat docs/tools/fetch-guests.sh "$@" 2>/dev/null | cksum; }
fresh() {
    local dir=$1
    shift
    [ -s "$dir/made-from" ] && [ "$(cat "$dir/made-from")" = "$(sum_of "$@")" ]
}
made() {
    local dir=$1
    shift
    sum_of "$@" >"$dir/made-from"
}

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
    for m in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk rng-core virtio-rng virtio_console; do
        d=$(find "$1/lib/modules" -name "$m.ko" 2>/dev/null | head -1)
        [ -n "$d" ] && node lib/modules/$((n++))-$m.ko 100644 "$d"
    done
    node TRAILER!!! 0
}

# A kernel package without what is not used here: all of a generic kernel's modules would be 400 MB.
unpack_kernel() {
    dpkg-deb --fsys-tarfile "$1" | tar -x -C kernel --exclude='./usr' --exclude='*/kernel/net' --exclude='*/kernel/sound' --exclude='*/kernel/fs' \
        --exclude='*/drivers/[d-gi-uw-z]*' --exclude='*/drivers/net' --exclude='*/drivers/staging' --exclude='*/kernel/crypto'
}

fetch_linux() { # [FOLDER PACKAGE]: the cloud kernel, or another one that a package depends on
    local dir=build/cache/${1:-linux} meta=${2:-linux-image-cloud-amd64} kernel
    fresh $dir && [ -s $dir/vmlinuz ] && [ -s $dir/initrd ] && return
    for tool in apt-get apt-cache dpkg-deb; do
        command -v $tool >/dev/null || { say "$tool is missing: this needs a Debian system; or give --kernel and --initrd"; return 1; }
    done
    mkdir -p $dir && cd $dir || return 1
    kernel=$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -1)
    if [ -z "$kernel" ]; then
        say "apt knows no package $meta; run apt-get update (or give --kernel and --initrd)"
        return 3
    fi
    download "$kernel" && download busybox-static || return
    rm -rf kernel busybox
    mkdir kernel
    unpack_kernel "$kernel"_*.deb && dpkg-deb -x busybox-static_*.deb busybox || { say "a downloaded package is damaged: remove $dir"; return 1; }
    cp kernel/boot/vmlinuz-* vmlinuz.new && mv vmlinuz.new vmlinuz || return 1
    init_script >init
    archive kernel busybox | gzip -1n >initrd.new && mv initrd.new initrd && cd "$OLDPWD" && made $dir
}

# The first process of the machine's own kernel, L1. What has the form NAME=VALUE on the kernel's command line is in its environment.
init_l1() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=vt100
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled # on by default only with more RAM; kvmrun asks for 2 MB pages
echo "Ringside: $(uname -sr) is up (L1); loading its KVM"
insmod /lib/irqbypass.ko && insmod /lib/kvm.ko && insmod /lib/kvm-intel.ko nested=${nested:-0} &&
echo "KVM-APICV-$(cat /sys/module/kvm_intel/parameters/enable_apicv)" &&
kvmrun tiny && echo "Ringside: booting the same kernel as a guest (L2)" &&
kvmrun linux /lib/vmlinuz /lib/initrd-l2 \
    "console=ttyS0 earlyprintk=serial cryptomgr.notests=1 nokaslr acpi=off reboot=t nopv nested=${nested:-0}" 128 &&
echo KVM-GUESTS-DONE
[ -n "$shell" ] && setsid cttyhack sh
poweroff -f
INIT
}

# The first process of the guest kernel, L2. Its last word is a triple fault (reboot=t) if all went well, and status 1 at port F4H if not.
init_l2() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
echo "KVM-L2-USERSPACE: $(uname -sr) is up (L2)"
if [ "$nested" = 1 ]; then
    insmod /lib/irqbypass.ko && insmod /lib/kvm.ko && insmod /lib/kvm-intel.ko && kvmrun tiny "L3: " ||
        printf '\001' | dd of=/dev/port bs=1 seek=244 2>/dev/null
fi
reboot -f
INIT
}

# RAM disk of L1 or L2: archive_kvm INIT [NAME FILE]... adds FILE as lib/NAME. Not compressed: unpacking would be the guest's work.
archive_kvm() {
    local d m init=$1
    shift
    for d in bin dev proc sys lib; do node $d 040755; done
    node dev/console 020600 5 1
    node bin/busybox 100755 ../linux/busybox/bin/busybox
    node bin/kvmrun 100755 ../../guests/kvm/kvmrun
    node init 100755 "$init"
    for m in irqbypass kvm kvm-intel; do node lib/$m.ko 100644 "$(find ../linux/kernel/lib/modules -name "$m.ko" | head -1)"; done
    while [ $# -gt 1 ]; do node "lib/$1" 100644 "$2"; shift 2; done
    node TRAILER!!! 0
}

fetch_kvm() {
    local dir=build/cache/kvm
    (fetch_linux) || return
    fresh $dir scenarios/kvm/kvmrun.c build/cache/linux/made-from && [ -s $dir/initrd ] && return
    env -u MAKEFLAGS -u MFLAGS make -s build/guests/kvm/kvmrun || { say "scenarios/kvm/kvmrun.c cannot be compiled"; return 1; }
    mkdir -p $dir
    cd $dir || return 1
    [ -n "$(find ../linux/kernel/lib/modules -name kvm-intel.ko)" ] || { say "this kernel's package has no kvm-intel.ko"; return 1; }
    init_l1 >init-l1 && init_l2 >init-l2 && ln -sf ../linux/vmlinuz vmlinuz || return 1
    archive_kvm init-l2 >initrd-l2
    archive_kvm init-l1 vmlinuz vmlinuz initrd-l2 initrd-l2 >initrd.new && mv initrd.new initrd && cd "$OLDPWD" && made $dir scenarios/kvm/kvmrun.c build/cache/linux/made-from
}

fetch_perf() { # the kernel takes archives one after another
    local dir=build/cache/perf
    (fetch_linux) || return
    fresh $dir scenarios/perf/perfcount.c build/cache/linux/made-from && [ -s $dir/initrd ] && return
    env -u MAKEFLAGS -u MFLAGS make -s build/guests/perf/perfcount || { say "scenarios/perf/perfcount.c cannot be compiled"; return 1; }
    mkdir -p $dir
    cd $dir || return 1
    { cat ../linux/initrd && { node bin/perfcount 100755 ../../guests/perf/perfcount && node TRAILER!!! 0; } | gzip -1n; } >initrd.new &&
        mv initrd.new initrd && cd "$OLDPWD" && made $dir scenarios/perf/perfcount.c build/cache/linux/made-from
}

# The first process of dom0: Xen's own tools start the same kernel once more as a PVH guest, which runs in VMX non-root operation.
init_dom0() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/lib/xen-4.17/bin HOME=/ TERM=vt100
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /run /tmp /var/lib/xenstored /var/lib/xen /var/log/xen /var/lock && ln -s ../run /var/run && mkdir -p /run/xen /run/xenstored
mount -t devpts pts /dev/pts
echo "Ringside: $(uname -sr) is up (dom0); starting Xen's tools"
for m in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs; do insmod /lib/$m.ko; done
mount -t xenfs xen /proc/xen
xenstored && xen-init-dom0 && xenconsoled &&
echo "Ringside: booting the same kernel as a PVH guest (domU)" &&
xl create -c /guest.cfg && xl list && echo XEN-GUESTS-DONE
echo "Ringside: the shell is on the serial console, \`xl\` is there, \`poweroff -f\` ends the machine"
setsid cttyhack sh
poweroff -f
INIT
}
init_domu() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
echo "XEN-PVH-USERSPACE: $(uname -sr) is up (domU, $(cat /sys/hypervisor/type) $(cat /sys/hypervisor/guest_type))"
poweroff -f
INIT
}
guest_cfg() {
    cat <<'CFG'
name = "guest"
type = "pvh"
kernel = "/lib/vmlinuz"
ramdisk = "/lib/initrd-domu"
extra = "console=hvc0 cryptomgr.notests=1 nokaslr"
memory = 160
vcpus = 1
on_reboot = "destroy"
on_crash = "destroy"
CFG
}

# The shared libraries that programs need, found in a tree of unpacked packages: library files, one a line. libraries TREE PROGRAM...
libraries() {
    local tree=$1 known=" " name file
    shift
    while [ $# -gt 0 ]; do
        for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
            case $known in *" $name "*) continue ;; esac
            known="$known$name "
            file=$(find "$tree" -name "$name" | head -1)
            [ -n "$file" ] || { say "no package here has the library $name"; return 1; }
            echo "$file"
            set -- "$@" "$file"
        done
        shift
    done
}

archive_dom0() {
    local d m p libs tools=tools/usr/lib/xen-4.17/bin
    libs=$(libraries tools $tools/{xl,xenstored,xenconsoled,xenconsole,xen-init-dom0}) || return
    libs="$libs $(find tools -name libgcc_s.so.1)" # the C library loads it when a thread is cancelled
    for d in bin dev proc sys lib lib64 etc etc/xen var usr usr/lib usr/lib/xen-4.17 ${tools#tools/}; do node $d 040755; done
    node dev/console 020600 5 1
    node bin/busybox 100755 ../generic/busybox/bin/busybox
    node init 100755 init-dom0
    node guest.cfg 100644 guest.cfg
    node etc/xen/xl.conf 100644 xl.conf
    for p in xl xenstored xenconsoled xenconsole xen-init-dom0; do node ${tools#tools/}/$p 100755 $tools/$p; done
    for p in $libs; do node lib/"${p##*/}" 100755 "$p"; done
    node lib64/ld-linux-x86-64.so.2 100755 "$(find tools -name ld-linux-x86-64.so.2 | head -1)"
    for m in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs; do node lib/$m.ko 100644 "$(find modules -name $m.ko)"; done
    node lib/vmlinuz 100644 vmlinuz
    node lib/initrd-domu 100644 initrd-domu
    node TRAILER!!! 0
}
archive_domu() {
    local d
    for d in bin dev proc sys; do node $d 040755; done
    node dev/console 020600 5 1
    node bin/busybox 100755 ../generic/busybox/bin/busybox
    node init 100755 init-domu
    node TRAILER!!! 0
}

# Xen, with Debian's generic kernel (the cloud kernel cannot be dom0) as its first guest and again as the guest of that one's tools.
fetch_xen() {
    local dir=build/cache/xen p
    (fetch_linux generic linux-image-amd64) || return
    fresh $dir build/cache/generic/made-from && [ -s $dir/xen ] && [ -s $dir/initrd ] && return
    command -v readelf >/dev/null || { say "readelf is missing: install Debian's package binutils"; return 1; }
    mkdir -p $dir/packages
    cd $dir || return 1
    download xen-hypervisor-4.17-amd64 || return
    dpkg-deb -x xen-hypervisor-*.deb package && gunzip -c package/boot/xen-*.gz >xen.new || { say "a downloaded package is damaged: remove $dir"; return 1; }
    rm -rf tools modules
    for p in xen-utils-4.17 libxenmisc4.17 libxencall1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxendevicemodel1 libxenhypfs1 libxenstore4 \
        libxentoolcore1 libxentoollog1 libyajl2 libgcc-s1 libzstd1 zlib1g liblzma5 libbz2-1.0 liblzo2-2 libuuid1 libnl-3-200 libnl-route-3-200 libc6; do
        (cd packages && download $p) || return
        dpkg-deb -x "$(ls packages/${p}_*.deb | head -1)" tools || { say "a downloaded package is damaged: remove $dir"; return 1; }
    done
    mkdir modules
    dpkg-deb --fsys-tarfile ../generic/linux-image-*.deb | tar -x -C modules --wildcards '*/kernel/drivers/xen/*' || return 1
    ln -sf ../generic/vmlinuz vmlinuz
    init_dom0 >init-dom0 && init_domu >init-domu && guest_cfg >guest.cfg && echo 'autoballoon="off"' >xl.conf || return 1
    archive_domu | gzip -1 >initrd-domu
    archive_dom0 >archive.new || return 1
    gzip -1n <archive.new >initrd.new && mv initrd.new initrd && rm -rf tools modules archive.new && mv xen.new xen && cd "$OLDPWD" && made $dir build/cache/generic/made-from
}

fetch_seabios() {
    local dir=build/cache/seabios
    fresh $dir scenarios/boot/sector.asm && [ -s $dir/bios.bin ] && [ -s $dir/disk ] && return
    mkdir -p $dir
    if [ ! -s $dir/bios.bin ]; then
        (cd $dir && download seabios && dpkg-deb -x seabios_*.deb package && cp package/usr/share/seabios/bios.bin bios.bin) || return
    fi
    env -u MAKEFLAGS -u MFLAGS make -s build/guests/boot/sector.bin >&2 && cp build/guests/boot/sector.bin $dir/disk ||
        { say "scenarios/boot/sector.asm cannot be assembled"; return 1; }
    made $dir scenarios/boot/sector.asm
}

fetch_memtest() {
    local dir=build/cache/memtest
    [ -s $dir/vmlinuz ] && return
    mkdir -p $dir && cd $dir || return 1
    download memtest86+ || return
    dpkg-deb -x memtest86+_*.deb package && cp package/boot/memtest86+x64.bin vmlinuz
}

# The first process of the RAM disk: drivers, then the disk's own init.
init_switch() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
for m in /lib/modules/*.ko; do /bin/busybox insmod "$m"; done
/bin/busybox mkdir /root
/bin/busybox mount -t ext4 /dev/vda /root && exec /bin/busybox switch_root /root /sbin/init
echo "the disk has no system"
exec /bin/busybox poweroff -f
INIT
}

# /sbin/init on the disk: a login on the serial port, again and again.
init_debian() {
    cat <<'INIT'
#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mountpoint -q /proc || mount -t proc proc /proc
mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mount -t tmpfs run /run
hostname debian
while :; do
    setsid -w agetty -L ttyS0 115200 vt100
    sleep 1
done
INIT
}

# All packages that a few programs need, without what only the installation of packages would want.
debian_packages() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
        bash coreutils login passwd util-linux mount libc-bin base-files base-passwd hostname libpam-modules 2>/dev/null |
        grep -E '^[a-z0-9]' | grep -vE ':|^(debconf|cdebconf|perl|dpkg|tar$|mawk|gawk|original-awk|base-passwd-|install-info|libdebconf|usrmerge|usr-is-merged|gcc-12-base|debianutils-|lib.*perl)' | sort -u
}

# What the packages' installation scripts would have written: accounts, PAM's common files, where libraries are.
debian_etc() {
    local t=$1 kind
    sed 's,^root:[^:]*:,root:x:,' $t/usr/share/base-passwd/passwd.master >$t/etc/passwd
    cp $t/usr/share/base-passwd/group.master $t/etc/group
    # the password is "ringside"
    echo 'root:$6$ringside$F00HI0DhPSKSh0rdj6.DjJKvqJjZFmehJxLiEUnT/GInrxM4ofi1TG8Ockw8N8tri.492ygmKzSL9QfoquBMA.:19700::::::' >$t/etc/shadow
    chmod 640 $t/etc/shadow
    for kind in auth account session password; do echo "$kind required pam_unix.so" >$t/etc/pam.d/common-$kind; done
    echo "session required pam_unix.so" >$t/etc/pam.d/common-session-noninteractive
    echo "/dev/vda / ext4 rw 0 1" >$t/etc/fstab
    mkdir -p $t/proc $t/sys $t/dev $t/run $t/tmp $t/root
    [ -e $t/bin/sh ] || ln -s bash $t/bin/sh
    init_debian >$t/sbin/init && chmod 755 $t/sbin/init
}

fetch_debian() {
    local dir=build/cache/debian p list
    (fetch_linux) || return
    fresh $dir build/cache/linux/made-from && [ -s $dir/disk ] && [ -s $dir/initrd ] && return
    need mke2fs e2fsprogs || return
    mkdir -p $dir/packages
    cd $dir || return 1
    list=$(debian_packages)
    [ -n "$list" ] || { say "apt knows no packages; run apt-get update"; return 3; }
    rm -rf tree && mkdir tree
    for p in $list; do
        (cd packages && download "$p") || return
        dpkg-deb -x "$(ls packages/"$p"_*.deb | head -1)" tree || { say "a downloaded package is damaged: remove $dir"; return 1; }
    done
    rm -rf tree/usr/share/doc tree/usr/share/man tree/usr/share/locale tree/usr/share/info
    debian_etc tree || return 1
    init_switch >init
    archive ../linux/kernel ../linux/busybox | gzip -1 >initrd.new && mv initrd.new initrd || return 1
    ln -sf ../linux/vmlinuz vmlinuz
    rm -f disk.new
    mke2fs -q -t ext4 -E root_owner=0:0 -d tree disk.new 192M >/dev/null && mv disk.new disk && rm -rf tree && cd "$OLDPWD" && made $dir build/cache/linux/made-from
}

need() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || { say "$1 is missing: install Debian's package $2"; return 1; }
    PATH=$PATH:/usr/sbin:/sbin
}

# GRUB's boot sector, its core right behind it (where the core's first sector expects the rest), and one ext2 partition from sector 2048 on.
fetch_grub() {
    local dir=build/cache/grub lib=package/usr/lib/grub/i386-pc
    (fetch_linux) && (fetch_seabios) || return
    fresh $dir build/cache/linux/made-from build/cache/seabios/made-from && [ -s $dir/disk ] && return
    need mke2fs e2fsprogs || return
    mkdir -p $dir
    cd $dir || return 1
    download grub-pc-bin && download grub-common && download libdevmapper1.02.1 || return
    rm -rf package tree && mkdir -p tree/boot/grub
    dpkg-deb -x grub-pc-bin_*.deb package && dpkg-deb -x grub-common_*.deb package &&
        dpkg-deb -x libdevmapper1.02.1_*.deb package || { say "a downloaded package is damaged: remove $dir"; return 1; }
    mkimage() { LD_LIBRARY_PATH=package/lib/x86_64-linux-gnu package/usr/bin/grub-mkimage "$@"; } # with its library, which is rarely installed
    cp ../linux/vmlinuz ../linux/initrd tree/boot
    cat >tree/boot/grub/grub.cfg <<'CFG'
echo "GRUB: loading Debian's kernel"
linux /boot/vmlinuz console=ttyS0 earlyprintk=serial cryptomgr.notests=1 nokaslr
initrd /boot/initrd
boot
CFG
    cat >core.cfg <<'CFG'
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set root=(hd0,msdos1)
set prefix=(hd0,msdos1)/boot/grub
configfile /boot/grub/grub.cfg
CFG
    mkimage -O i386-pc -d $lib -p '(hd0,msdos1)/boot/grub' -c core.cfg -o core.img \
        biosdisk part_msdos ext2 serial terminal normal configfile echo linux || return 1
    [ "$(stat -c %s core.img)" -le $((2047 * 512)) ] || { say "GRUB's core does not fit before the partition"; return 1; }
    rm -f part disk.new
    mke2fs -q -t ext2 -d tree part 32M >/dev/null || return 1
    { # boot.img without its last bytes, one partition of type 83H from sector 2048, 65536 sectors, and the signature
        head -c 446 $lib/boot.img
        printf '\200\376\377\377\203\376\377\377\000\010\000\000\000\000\001\000'
        head -c 48 /dev/zero
        printf '\125\252'
        cat core.img
    } >disk.new
    truncate -s $((2048 * 512)) disk.new && cat part >>disk.new && ln -sf ../seabios/bios.bin bios.bin && mv disk.new disk && rm -rf part tree &&
        cd "$OLDPWD" && made $dir build/cache/linux/made-from build/cache/seabios/made-from
}

. docs/tools/lock-cache.sh
lock_cache fetch-guests
case ${1:-} in
debian) fetch_debian ;;
grub) fetch_grub ;;
seabios) fetch_seabios ;;
memtest) fetch_memtest ;;
xen) fetch_xen ;;
linux) fetch_linux ;;
generic) fetch_linux generic linux-image-amd64 ;;
kvm) fetch_kvm ;;
perf) fetch_perf ;;
*) say "usage: fetch-guests.sh linux|generic|kvm|perf|xen|seabios|grub|memtest|debian"; exit 1 ;;
esac
