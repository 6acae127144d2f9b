/*
 * The option ROM by which firmware starts a kernel (kernel_rom.h). It registers a bootstrap entry vector (Plug and Play BIOS
 * Specification 1.0A, 3.2), which firmware calls in real mode when it boots from the ROM:
 *
 *   1. One DMA request to the firmware configuration device (fw_cfg.h) fetches the boot data to low memory.
 *   2. If the kernel wants a memory map, INT 15h E820h writes it into the boot data, and INT 12h gives the size of low memory.
 *   3. The descriptors in the boot data are executed in order. They put the kernel and its files at their addresses. From here
 *      on neither stack nor interrupts are used, because the kernel may overwrite the stack and the interrupt vectors.
 *   4. Registers get the values of the record, and the kernel is entered in protected or real mode.
 *
 * The record between kernel_rom_record and kernel_rom_code is struct rom_record of kernel_rom.c, which fills it in. Firmware
 * may copy the code to any address with CS:0 at its beginning. To the monitor the ROM is data.
 */
#define DMA_HIGH 0x514
#define DMA_LOW  0x518

#define SIGNATURE   0x534d4150  /* "SMAP" */
#define E820_BYTES  20
#define MAP_BYTES   (4 + E820_BYTES) /* a Multiboot entry begins with the size of the rest */
#define ONE_MB      0x100000
#define MEM_LOWER   4           /* in Multiboot's boot information */
#define MEM_UPPER   8
#define MMAP_LENGTH 44

/* The offset of a label in the ROM. */
#define AT(label) (label - kernel_rom)

/* Have the device execute the descriptor at linear address EAX, real-mode address ES:DI, and wait for its end. Clobbers EAX,
 * DX. */
.macro TRANSFER
    mov %eax, %ecx
    xor %eax, %eax
    mov $DMA_HIGH, %dx
    out %eax, %dx
    mov %ecx, %eax
    bswap %eax
    mov $DMA_LOW, %dx
    out %eax, %dx
1:  mov %es:(%di), %eax     /* big-endian: at the end all bits are 0 except that of an error */
    bswap %eax
    test $~1, %eax
    jnz 1b
    test %eax, %eax
    jnz cannot
.endm

    .section .rodata
    .code16
    .globl kernel_rom, kernel_rom_record, kernel_rom_code, kernel_rom_end
    .balign 16
kernel_rom:
    .word 0xaa55
    .byte (kernel_rom_end - kernel_rom) / 512
    lret                    /* firmware calls this when it finds the ROM */

    .org kernel_rom + 0x1a
    .word AT(expansion)
    .balign 16
expansion:
    .ascii "$PnP"
    .byte 1                 /* revision */
    .byte (expansion_end - expansion) / 16
    .word 0                 /* next header */
    .byte 0, 0              /* the checksum of this header */
    .long 0                 /* device */
    .word AT(maker), AT(product)
    .byte 0, 0, 0           /* device type */
    .byte 0
    .word 0, 0              /* boot connection and disconnect vectors */
    .word AT(boot)          /* bootstrap entry vector */
    .word 0, 0
expansion_end:
maker:   .asciz "Ringer"
product: .asciz "kernel"

    .balign 4
kernel_rom_record:
data:             .long 0   /* the boot data: linear address */
data_descriptor:  .long 0, 0, 0, 0 /* the request for it */
descriptors:      .long 0   /* the descriptors in the boot data: linear address, number */
descriptor_count: .long 0
map:              .word 0, 0 /* offset and segment of the memory map; 0:0 if the kernel wants none */
map_room:         .word 0   /* entries */
real_mode:        .word 0
information:      .word 0, 0 /* offset and segment of Multiboot's boot information */
gdt:              .word 0
gdt_base:         .long 0
data_segment:     .word 0   /* DS, ES, FS, GS, SS */
entry:            .long 0   /* EIP and CS */
                  .word 0
registers:        .long 0, 0, 0, 0 /* EAX, EBX, ESI, ESP */

kernel_rom_code:
cannot:
    cli
    hlt
    jmp cannot

boot:
    cld
    /* The descriptor must be in RAM: on the firmware's stack. */
    sub $16, %sp
    mov %ss, %ax
    mov %ax, %es
    movzwl %sp, %edi
    mov $AT(data_descriptor), %si
    mov $4, %cx
    mov %di, %bx
    rep movsl %cs:(%si), %es:(%di)
    mov %bx, %di
    movzwl %ax, %eax
    shl $4, %eax
    add %edi, %eax
    TRANSFER
    add $16, %sp
    cmpl $0, %cs:AT(map)
    je load
    call memory_map

load:
    cli
    mov %cs:AT(descriptors), %ebx
    mov %cs:AT(descriptor_count), %ebp
2:  test %ebp, %ebp
    jz enter
    mov %ebx, %eax
    mov %ebx, %edi
    shr $4, %eax
    mov %ax, %es
    and $15, %di
    mov %ebx, %eax
    TRANSFER
    add $16, %ebx
    dec %ebp
    jmp 2b

enter:
    xor %ecx, %ecx
    xor %edx, %edx
    xor %edi, %edi
    mov %cs:AT(registers) + 4, %ebx
    mov %cs:AT(registers) + 8, %esi
    cmpw $0, %cs:AT(real_mode)
    jne enter_real
    lgdtl %cs:AT(gdt)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    /* CS keeps its base and its 16-bit size until the far jump loads it (SDM 3A 9.9.1). */
enter_real:
    mov %cs:AT(data_segment), %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %fs
    mov %ax, %gs
    mov %ax, %ss
    mov %cs:AT(registers) + 12, %esp
    mov %cs:AT(registers), %eax
    ljmpl *%cs:AT(entry)

/* Write the entries that INT 15h E820h gives (ACPI 6.5, 15.1) into the boot data. */
memory_map:
    les %cs:AT(map), %di
    mov %di, %si
    xor %ebx, %ebx
    mov %cs:AT(map_room), %bp
3:  movl $E820_BYTES, %es:(%di)
    push %si
    push %di
    push %bp
    add $4, %di
    mov $0xe820, %eax
    mov $SIGNATURE, %edx
    mov $E820_BYTES, %ecx
    int $0x15
    pop %bp
    pop %di
    pop %si
    jc 5f
    cmp $SIGNATURE, %eax
    jne 5f
    lfs %cs:AT(information), %cx
    xchg %cx, %bp           /* FS:BP, for a moment */
    cmpl $ONE_MB, %es:4(%di)
    jne 4f
    cmpl $0, %es:8(%di)
    jne 4f
    mov %es:12(%di), %eax
    mov %es:16(%di), %edx
    shrd $10, %edx, %eax
    mov %eax, %fs:MEM_UPPER(%bp)
4:  xchg %cx, %bp
    add $MAP_BYTES, %di
    dec %bp
    jz 5f
    test %ebx, %ebx
    jnz 3b
5:  sub %si, %di
    movzwl %di, %edi
    lfs %cs:AT(information), %bp
    mov %edi, %fs:MMAP_LENGTH(%bp)
    int $0x12
    movzwl %ax, %eax
    mov %eax, %fs:MEM_LOWER(%bp)
    ret

    /* kernel_rom.c sets the last byte so that the sum of all bytes is 0. */
    .org kernel_rom + 1024
kernel_rom_end:
    .section .note.GNU-stack, "", @progbits
