#!/bin/sh
# multiboot.sh PROGRAM KERNEL [FLAGS...]: starts a Multiboot kernel that uses the BIOS, and checks how it ends. The kernel's file is
# also its disk and its module. PROGRAM is ringer, or qemu-system-i386 to validate the kernel itself.
program=$1
kernel=$2
shift 2
case $program in
*qemu*) set -- -accel tcg -cpu max -display none "$@" ;;
*) set -- run -nographic -serial null --timeout="${GUEST_TIMEOUT:-240}" "$@" ;;
esac
text=$(timeout -k 5 120 "$program" "$@" -m 16 -kernel "$kernel" -initrd "$kernel its words" -append "a test" \
    -drive "file=$kernel,format=raw,if=ide,snapshot=on" \
    -debugcon stdio -device isa-debug-exit,iobase=0xf4,iosize=0x04 2>&1 </dev/null)
status=$?
printf '%s\n' "$text"
[ $status = 33 ] || { echo "status $status instead of 33"; exit 1; }
printf '%s\n' "$text" | grep -q ' checks, 0 failed$'
