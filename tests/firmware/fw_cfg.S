/*
 * Hazard: what fw_cfg tells firmware about the machine. SeaBIOS asks for little of it; other firmware believes all of it.
 * QEMU, docs/specs/fw_cfg.rst.
 */
#include "boot.inc"

SELECTOR   = 0x510
DATA       = 0x511
KEY_CPUS   = 0x05
KEY_FILES  = 0x19
NAME_BYTES = 56

test:
    mov ax, KEY_CPUS
    call select
    call next
    movzx eax, al
    CHECK_EQ(eax, 1)        /* CPUs, 16 bits, little-endian */
    call next
    movzx eax, al
    CHECK_EQ(eax, 0)

    mov si, offset sleep_states
    call open
    CHECK_EQ(ecx, 6)        /* bytes */
    mov di, offset states
1:  call next
    stosb
    loop 1b
    /* Bit 7: the machine has it. The rest: SLP_TYP of PM1_CNT. */
    movzx eax, byte ptr [states]
    CHECK_EQ(eax, 0x80)     /* S0 */
    movzx eax, byte ptr [states + 1]
    CHECK_EQ(eax, 0)
    movzx eax, byte ptr [states + 2]
    CHECK_EQ(eax, 0)
    movzx eax, byte ptr [states + 3]
    CHECK_EQ(eax, 0x81)     /* S3, suspend to RAM */
    movzx eax, byte ptr [states + 5]
    CHECK_EQ(eax, 0x80)     /* S5, soft off */
    ret

/* AX: the key. */
select:
    mov dx, SELECTOR
    out dx, ax
    ret

/* Returns the next byte of the item in AL. Keeps the other registers. */
next:
    push dx
    mov dx, DATA
    in al, dx
    pop dx
    ret

/* EAX: the next four bytes, big-endian. */
next_big:
    push ecx
    xor ecx, ecx
    .rept 4
    call next
    shl ecx, 8
    mov cl, al
    .endr
    mov eax, ecx
    pop ecx
    ret

/*
 * SI: a file's name. Selects the file; ECX: its bytes, 0 if there is none of that name. An entry of the directory is
 * bytes (32 bits), key (16), 0 (16), and the name.
 */
open:
    mov ax, KEY_FILES
    call select
    call next_big
    mov ebp, eax
1:  xor ecx, ecx
    dec ebp
    js 4f
    call next_big
    mov ebx, eax
    call next_big
    shr eax, 16
    mov [key], ax
    mov di, offset name
    mov cx, NAME_BYTES
2:  call next
    stosb
    loop 2b
    push si
    mov di, offset name
3:  lodsb
    scasb
    jne 5f
    test al, al
    jnz 3b
    pop si
    mov ax, [key]
    call select
    mov ecx, ebx
4:  ret
5:  pop si
    jmp 1b

sleep_states: .asciz "etc/system-states"
states: .space 6
name:   .space NAME_BYTES
key:    .word 0

    .org SECTORS * 512
