# shellcheck shell=dash
# Functions of scripts in the small guest that work in a Debian on a disk: they mount it at /target and run its programs
# there. It stands before the text of such a script (guests/root-install, base-install, kept-install, and tests).

set -eu

# Every process gets the same addresses. Hundreds run here, and Ringer's translations for one then serve the next.
echo 0 >/proc/sys/kernel/randomize_va_space
for folder in /modules /drivers; do
    [ ! -e "$folder/order" ] || while read -r module; do insmod "$folder/$module"; done <"$folder/order"
done

# mount_target DEVICE: the file system, and what programs in it expect of a running kernel. No service starts by itself.
mount_target() {
    mkdir -p /target /dev/pts
    mount -t ext4 "$1" /target
    for name in proc sys dev; do
        mkdir -p "/target/$name"
        mount -o bind "/$name" "/target/$name"
    done
    mount -t devpts -o ptmxmode=666 none /target/dev/pts
    mkdir -p /target/usr/sbin
    printf '#!/bin/sh\nexit 101\n' >/target/usr/sbin/policy-rc.d
    chmod 755 /target/usr/sbin/policy-rc.d
}

unmount_target() {
    rm /target/usr/sbin/policy-rc.d
    umount /target/dev/pts /target/proc /target/sys /target/dev
    umount /target
    sync
}

in_target() { chroot /target /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
