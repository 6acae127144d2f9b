# shellcheck shell=bash
#
# Tests with Debian's root on a disk (guests/root) share this: machines that start from the disk, and talks with them. Sourced after
# lib.sh, which sets the variables that seem to be unset.
#
# Environment: ROOT_ARCH  i386 (default) or amd64
# shellcheck disable=SC2154

root_arch=${ROOT_ARCH:-i386}
root_image=$guest_cache/root-$root_arch/root.img
partition_bytes=$((2048 * 512))

# new_disk FILE: makes an empty qcow2 image over the root, so that several machines can use the root.
new_disk() {
    case $RINGER in
    qemu) qemu-img create -q -f qcow2 -b "$root_image" -F raw "$1" ;;
    *) "$RINGER" disk create -f qcow2 -b "$root_image" -F raw "$1" >/dev/null ;;
    esac
}

# root_machine DISK virtio|ide OPTION...: fills `command` with a machine that starts from that disk as a PC does.
root_machine() {
    local disk=$1 interface=$2
    shift 2
    case $RINGER:$root_arch in
    qemu:i386) command=(qemu-system-i386 -accel tcg -cpu max) ;;
    qemu:amd64) command=(qemu-system-x86_64 -accel tcg -cpu max) ;;
    *:amd64) command=("$RINGER" run -cpu max64) ;;
    *) command=("$RINGER" run) ;;
    esac
    command+=(-m 512 -drive "file=$disk,if=$interface,format=qcow2" "$@")
}

# converse NAME: runs `command` and talks with it as the script on standard input says. Leaves $temporary/NAME.log and NAME.report.
# If the talk fails, the test fails.
converse() {
    local status=0
    cat >"$temporary/$1.talk"
    "$top/tests/boot/converse.py" --log "$temporary/$1.log" --report "$temporary/$1.report" "$temporary/$1.talk" \
        -- "${command[@]}" 2>"$temporary/$1.err" || status=$?
    sed "s/^/$1: /" "$temporary/$1.report"
    if [ "$status" -ne 0 ]; then
        tail -n 40 "$temporary/$1.err"
        failed "$1: status $status"
    fi
}

# check_disk DISK: its file system was unmounted: fsck finds nothing to repair, and no journal to replay.
check_disk() {
    local raw=$temporary/disk.raw state
    case $RINGER in
    qemu) qemu-img convert -O raw "$1" "$raw" ;;
    *) "$RINGER" disk convert -O raw --force "$1" "$raw" >/dev/null ;;
    esac
    e2fsck -fn "$raw?offset=$partition_bytes" >"$temporary/fsck" 2>&1 || {
        cat "$temporary/fsck"
        failed "the file system is damaged"
    }
    state=$(dumpe2fs -h "$raw?offset=$partition_bytes" 2>/dev/null | sed -n 's/^Filesystem state: *//p;s/^Filesystem features: *//p')
    grep -q needs_recovery <<<"$state" && failed "the file system was not unmounted"
    grep -qx clean <<<"$state" || failed "the state of the file system: $state"
    rm "$raw"
}

# The steps of a talk.
login_as_root() {
    cat <<'END'
wait 300 ringer login: $
stamp login
send root\r
wait 120 Password: $
send root\r
wait 120 root@ringer:~# $
stamp shell
END
}
