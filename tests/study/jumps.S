/*
 * A guest for `ringer watch`: an indirect jump goes to two places by turns, 1000 times. Then the machine ends with status 33.
 */
    .code32
    .long 0x1badb002, 0, -0x1badb002
    .globl _start
_start:
    mov $1000, %ecx
    mov $one, %eax
    mov $two, %ebx
next:
    xchg %eax, %ebx
    jmp *%eax
one:
    loop next
    jmp done
two:
    loop next
done:
    mov $16, %al
    out %al, $0xf4
    hlt
