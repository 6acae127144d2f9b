#!/bin/sh
# run.sh PROGRAM IMAGE [FLAGS...]: boots one test of the BIOS from its own disk image and checks how it ends. PROGRAM is ringer, or
# qemu-system-i386 to validate the test itself. The test passes if it says so and ends with status 33 (16 written to the debug exit
# port).
program=$1
image=$2
shift 2
case $program in
*qemu*) set -- -accel tcg -cpu max -display none "$@" ;;
*) set -- run -nographic -serial null --timeout="${GUEST_TIMEOUT:-240}" "$@" ;;
esac
text=$(timeout -k 5 "${GUEST_TIMEOUT:-240}0" "$program" "$@" -m 16 -drive "file=$image,format=raw,if=ide,snapshot=on" \
    -debugcon stdio -device isa-debug-exit,iobase=0xf4,iosize=0x04 2>&1 </dev/null)
status=$?
printf '%s\n' "$text"
[ $status = 33 ] || { echo "status $status instead of 33"; exit 1; }
printf '%s\n' "$text" | grep -q ' checks, 0 failed$'
