/*
 * Hazard: a Multiboot kernel that goes back to real mode finds no BIOS: no interrupt vectors, no ticks, no video modes, no
 * disks. The BIOS and the boot information must report the same memory, and the boot information must not overlap the kernel:
 * this kernel has a segment in low memory, and one at 1 MB with zeros behind it. (QEMU's boot information would overlap the low
 * one. There the segment is loaded to high memory, and copied.)
 *
 * The machine has 16 MB. Its first disk, and the module, are this file.
 */
#include "check.inc"

MAGIC     = 0x1badb002
MODULES   = 1 << 3
MAP       = 1 << 6
WANTED    = 1 << 0 | 1 << 2 | MODULES | MAP
ELF       = 0x464c457f
BUFFER    = 0x6000          /* below the real-mode part: for sectors and VBE's information */
VIDEO     = 0xb800
DISK      = 0x80
LOADED    = LOW_LOADED - 0x9000 /* the distance over which the low segment is copied */

    .section .high, "ax"
    .code32
    .balign 4
    .long MAGIC, 0, -MAGIC
    .globl _start
_start:
    mov [magic + LOADED], eax
    cmp eax, 0x2badb002
    jne 4f
    mov eax, [ebx]
    mov [flags + LOADED], eax
    mov eax, [ebx + 4]
    mov [mem_lower + LOADED], eax
    mov eax, [ebx + 8]
    mov [mem_upper + LOADED], eax
    mov eax, [ebx + 20]
    mov [module_count + LOADED], eax
    mov edx, [ebx + 24]     /* the first module: where it begins; its string */
    mov eax, [edx]
    mov eax, [eax]
    mov [module_start + LOADED], eax
    mov eax, [edx + 4]
    sub eax, [edx]
    mov [module_bytes + LOADED], eax
    mov eax, [ebx + 16]     /* the command line's last word */
1:  inc eax
    cmp byte ptr [eax], 0
    jne 1b
    mov eax, [eax - 4]
    mov [last_word + LOADED], eax
    mov ecx, [ebx + 44]     /* the map's RAM from 1 MB on */
    mov edx, [ebx + 48]
    add ecx, edx
2:  cmp edx, ecx
    jae 3f
    inc dword ptr [map_entries + LOADED]
    cmp dword ptr [edx + 4], 0x100000
    jne 5f
    mov eax, [edx + 12]
    mov [map_ram + LOADED], eax
5:  add edx, [edx]
    add edx, 4
    jmp 2b
3:  mov esi, offset zeros   /* memory behind the file's bytes is 0 */
    mov ecx, offset zeros_end - 4
    xor eax, eax
6:  or eax, [esi]
    add esi, 4
    cmp esi, ecx
    jbe 6b
    mov [bss + LOADED], eax
4:
    mov esi, offset low_loaded
    mov edi, offset low_start
    mov ecx, offset low_bytes
    cld
    rep movsb
    /* To real mode (SDM 3A 9.9.2). */
    lgdt [gdt_pointer]
    lidt [vectors]
    ljmp 0x08, offset leave_protected

    .section .bss
zeros: .skip 100000
zeros_end:

    .section .low, "awx"
    .code16
leave_protected:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    ljmp 0, real
real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov esp, 0x7c00
    cld
    sti
    jmp run

    .balign 8
gdt:
    .quad 0, 0x00009b000000ffff, 0x000093000000ffff
gdt_pointer: .word . - gdt - 1
    .long gdt
vectors: .word 0x3ff
    .long 0

magic:        .long 0
flags:        .long 0
mem_lower:    .long 0
mem_upper:    .long 0
module_count: .long 0
module_start: .long 0
module_bytes: .long 0
last_word:    .long 0
map_entries:  .long 0
map_ram:      .long 0
bss:          .long -1
character:    .long 0

    CHECK_CODE

test:
    CHECK_EQ([magic], 0x2badb002)
    mov eax, [flags]
    and eax, WANTED
    CHECK_EQ(eax, WANTED)
    CHECK_EQ([bss], 0)
    CHECK_EQ([module_count], 1)
    CHECK_EQ([module_start], ELF)
    CHECK_EQ([last_word], 0x74736574) /* "test" */

    /* memory: the same by all ways */
    int 0x12
    movzx eax, ax
    CHECK_EQ([mem_lower], eax)
    mov eax, [map_ram]
    shr eax, 10
    CHECK_EQ([mem_upper], eax)
    call memory_map
    CHECK_EQ([map_entries], ecx)
    CHECK_EQ([map_ram], edx)

    call ticks
    call disk
    call video
    ret

/* ECX: entries of the BIOS's map, EDX: RAM from 1 MB on. */
memory_map:
    xor ebx, ebx
    xor ebp, ebp
1:  mov eax, 0xe820
    mov edx, 0x534d4150
    mov ecx, 20
    mov di, BUFFER
    int 0x15
    CHECK_NO_CARRY
    inc bp
    cmp dword ptr [BUFFER], 0x100000
    jne 2f
    mov esi, [BUFFER + 8]
2:  cmp bp, 32
    ja 3f
    test ebx, ebx
    jnz 1b
3:  movzx ecx, bp
    mov edx, esi
    ret

/* Waits for three ticks of the timer; without them the test runs into its time limit. */
ticks:
    mov si, 3
1:  mov ah, 0
    int 0x1a
    mov di, dx
2:  hlt
    mov ah, 0
    int 0x1a
    cmp dx, di
    je 2b
    dec si
    jnz 1b
    CHECK_EQ(1, 1)
    ret

disk:
    mov ax, 0x0201          /* by cylinder, head, sector */
    mov cx, 1
    mov dx, DISK
    mov bx, BUFFER
    int 0x13
    CHECK_NO_CARRY
    CHECK_EQ([BUFFER], ELF)
    mov dword ptr [BUFFER], 0
    mov ah, 0x42            /* by EDD */
    mov dl, DISK
    mov si, offset packet
    int 0x13
    CHECK_NO_CARRY
    CHECK_EQ([BUFFER], ELF)
    ret
    .balign 4
packet: .word 16, 1, BUFFER, 0
    .quad 0

video:
    mov ax, 3               /* 80x25, and the cursor in the corner */
    int 0x10
    mov ax, 0x0e00 + 'R'
    mov bx, 7
    int 0x10
    mov ax, VIDEO
    mov es, ax
    movzx eax, byte ptr es:[0]
    CHECK_EQ(eax, 'R')
    push 0
    pop es
    mov ah, 3
    mov bh, 0
    int 0x10
    movzx edx, dx
    CHECK_EQ(edx, 1)        /* row 0, column 1 */

    mov dword ptr [BUFFER], 0x32454256 /* "VBE2" */
    mov ax, 0x4f00
    mov di, BUFFER
    int 0x10
    movzx eax, ax
    CHECK_EQ(eax, 0x4f)
    CHECK_EQ([BUFFER], 0x41534556) /* "VESA" */
    mov ax, 0x4f02          /* 640x480, 256 colours */
    mov bx, 0x101
    int 0x10
    movzx eax, ax
    CHECK_EQ(eax, 0x4f)
    mov ax, 0x4f03
    int 0x10
    and ebx, 0x1ff
    CHECK_EQ(ebx, 0x101)
    mov ax, 3
    int 0x10
    ret
