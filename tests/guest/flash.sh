#!/bin/sh
# flash.sh PROGRAM KERNEL [FLAGS...]: runs the kernel "flash" with a chip that is all ones, and checks what the chip's file contains
# afterwards. A second run has a read-only chip: the kernel fails, and the file is unchanged.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
head -c 65536 /dev/zero | tr '\0' '\377' >"$file"
here=$(dirname "$0")
"$here/run.sh" "$@" -drive "if=pflash,format=raw,file=$file" || exit 1
code=$(od -An -tx1 -j12288 -N6 "$file") byte=$(od -An -tx1 -N1 "$file") other=$(od -An -tu1 -j8392 -N1 "$file")
[ "$code" = " b8 03 00 00 00 c3" ] || { echo "the function in the file is $code"; exit 1; }
[ "$byte" = " 05" ] || { echo "the first byte in the file is $byte"; exit 1; }
[ "$other" -eq 200 ] || { echo "the byte at 20C8h in the file is $other"; exit 1; }
head -c 65536 /dev/zero | tr '\0' '\377' >"$file"
before=$(cksum <"$file")
"$here/run.sh" "$@" -drive "if=pflash,format=raw,readonly=on,file=$file" >/dev/null && { echo "a read-only chip was changed"; exit 1; }
[ "$before" = "$(cksum <"$file")" ] || { echo "the file of a read-only chip was written"; exit 1; }
