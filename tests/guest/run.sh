#!/bin/sh
# run.sh PROGRAM KERNEL [FLAGS...]: runs one guest kernel and checks how it ends. PROGRAM is ringer, or qemu-system-i386 to validate the
# kernel itself. The kernel passes if it says so and ends with status 33 (16 written to the debug exit port). The kernel "triple" must
# instead be reported as a guest that cannot go on.
program=$1
kernel=$2
shift 2
case $program in
*qemu*) set -- -accel tcg -cpu max -display none -no-reboot -kernel "$kernel" "$@" ;;
*) set -- run --kernel "$kernel" --start=direct -nographic -serial null -no-reboot --timeout="${GUEST_TIMEOUT:-240}" "$@" ;;
esac
text=$(timeout -k 5 "${GUEST_TIMEOUT:-240}0" "$program" "$@" -m "${GUEST_MEMORY:-16}" -debugcon stdio -device isa-debug-exit,iobase=0xf4,iosize=0x04 2>&1 </dev/null)
status=$?
printf '%s\n' "$text"
case $kernel in
*triple*)
    printf '%s\n' "$text" | grep -q '^triple: going down' || exit 1
    case $program in *qemu*) exit $status ;; esac
    [ $status = 1 ] || { echo "status $status instead of 1"; exit 1; }
    ;;
*)
    [ $status = 33 ] || { echo "status $status instead of 33"; exit 1; }
    printf '%s\n' "$text" | grep -q ' checks, 0 failed$'
    ;;
esac
