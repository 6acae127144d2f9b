#!/usr/bin/env bash
# order.sh RINGER SECTORS: firmware boots from the drive that -boot, a boot index or the boot menu selects. Each medium prints its
# name (name.S, assembled into the directory SECTORS).
set -eu
ringer=$1 sectors=$2
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
cd "$temporary"
bad=0

for name in disk second; do
    cp "$sectors/$name.sector" $name.img
    truncate -s 1M $name.img
done
cp "$sectors/floppy.sector" floppy.img
truncate -s 1440K floppy.img
truncate -s 1M blank.img
for name in cd reset; do
    mkdir $name
    cp "$sectors/$name.sector" $name/sector
    xorriso -as mkisofs -quiet -o $name.iso -b sector -no-emul-boot -boot-load-size 4 $name 2>/dev/null
done
# The bytes of an option ROM add up to 0, by the choice of its last byte.
sum=$(od -An -v -w1 -tu1 "$sectors/rom.sector" | awk '{ sum += $1 } END { print (256 - sum % 256) % 256 }')
head -c 511 "$sectors/rom.sector" >rom.bin
printf '%b' "\\0$(printf '%03o' "$sum")" >>rom.bin

# expect WORDS ARGUMENT...: the media print these names, in one line.
expect() {
    local words=$1 said status=0
    shift
    said=$(timeout -k 5 120 "$ringer" run -m 16 -nographic -serial null --timeout=60 -debugcon stdio \
        -device isa-debug-exit,iobase=0xf4,iosize=0x04 "$@" </dev/null 2>err | tr '\n' ' ') || status=$?
    printf '%-24s %s\n' "$said" "$*"
    [ "${said% }" = "$words" ] || {
        echo "FAILED: expected \"$words\" (status $status): $(cat err)"
        bad=$((bad + 1))
    }
}

all=(-hda disk.img -fda floppy.img -cdrom cd.iso -snapshot)
expect disk "${all[@]}"
expect disk -drive file=disk.img,format=raw,if=virtio -snapshot
expect floppy "${all[@]}" -boot a
expect cd "${all[@]}" -boot d
expect cd "${all[@]}" -boot order=ndac
expect floppy -hda blank.img -fda floppy.img -cdrom cd.iso -snapshot
expect cd -cdrom cd.iso
expect "reset disk" -hda disk.img -cdrom reset.iso -boot once=d,order=c -snapshot
expect "rom disk" -hda disk.img -option-rom rom.bin -snapshot

# Boot indices come before the order of classes.
expect floppy -hda disk.img -drive file=floppy.img,format=raw,if=floppy,bootindex=1 -snapshot
expect second -hda disk.img -drive file=second.img,format=raw,if=ide,index=1,bootindex=3 \
    -drive file=cd.iso,if=ide,media=cdrom,index=2,bootindex=4 -snapshot
expect second -hda disk.img -drive file=second.img,format=raw,if=none,id=b -device virtio-blk-pci,drive=b,bootindex=0 \
    -snapshot

# SCSI disks and CDs of a virtio host.
# shellcheck disable=SC2054
scsi=(-device virtio-scsi-pci -drive file=second.img,format=raw,if=none,id=b -drive file=cd.iso,if=none,id=c,media=cdrom)
expect second "${scsi[@]}" -device scsi-hd,drive=b -device scsi-cd,drive=c -snapshot
expect second -hda disk.img "${scsi[@]}" -device scsi-cd,drive=c -device scsi-hd,drive=b,scsi-id=7,bootindex=0 -snapshot
expect cd "${scsi[@]}" -device scsi-hd,drive=b,bootindex=2 -device scsi-cd,drive=c,bootindex=1 -snapshot

# USB disks.
# shellcheck disable=SC2054
usb=(-usb -drive file=second.img,format=raw,if=none,id=b -device)
expect second "${usb[@]}" usb-storage,bus=usb-bus.0,drive=b -snapshot
expect second -hda disk.img "${usb[@]}" usb-storage,bus=usb-bus.0,drive=b,bootindex=0 -snapshot

# The boot menu.
cat >keys <<'END'
wait-text ESC.for.boot.menu
key esc
wait-text Select.boot.device
key 3
END
expect cd "${all[@]}" -boot menu=on --keys keys
expect cd "${all[@]}" -boot menu=on --keys keys -usbdevice keyboard
expect disk "${all[@]}" -boot menu=on,splash-time=100

# Nothing boots: SeaBIOS waits for ever, or tries again after a time. There is no network card, because its boot ROM would try for
# longer than the test.
expect "" -hda blank.img -net none -boot reboot-timeout=500 -firmware-log file:log --timeout=15 -snapshot
attempts=$(grep -c "No bootable device" log || true)
echo "$attempts attempts to boot"
[ "$attempts" -ge 2 ] || {
    echo "FAILED: no second attempt"
    bad=$((bad + 1))
}
[ "$bad" -eq 0 ]
