#!/bin/sh
# high.sh MEMORY PROGRAM KERNEL FLAGS...: the kernel "high", on a machine with this much memory and a virtio disk of 1 MB. See run.sh.
disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
truncate -s 1M "$disk"
GUEST_MEMORY=$1
export GUEST_MEMORY
shift
"$(dirname "$0")/run.sh" "$@" -drive "file=$disk,format=raw,if=virtio"
