/*
 * Hazard: RAM beyond 4 GB. Addresses that are cut to 32 or 36 bits, in page tables of all sizes, in PAE mode, in code (frames with
 * equal low bits, code that changes) and in a bus master's descriptors and buffers. SDM 3A 4.4, 4.5; virtio 1.1, "Legacy Interface".
 *
 * The machine has more than 4 GB of RAM, up to 64 GB, and a virtio disk on which sector 3 may be overwritten.
 */
#include "guest.inc"
#include "mode64.inc"
#include "notes.inc"
GUEST(high)

WINDOW = 0x1000000          /* linear address of the page that gets other frames: the first of `pt` */
WINDOW_2M = 0x1200000       /* the same for 2 MB */
HIGH = 0x8000000000         /* all of RAM again, by 1 GB pages; it is there if the CPU has them */
LOW_COPY = 0xe00000         /* a page of low RAM, and below one of high RAM with the same low 36 bits */
BEYOND_36 = 0x1000000000

/* An instruction that returns this number: MOV EAX, imm32; RET. */
.macro put_code at, number
    mov byte ptr [\at], 0xb8
    mov dword ptr [\at + 1], \number
    mov byte ptr [\at + 5], 0xc3
.endm

/* --- 32-bit mode --- */

guest_main:
    pushad
    call find_end_of_ram
    CHECK_CC(c)                 /* run it with more than 4 GB of RAM */
    jnc 9f
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    CHECK_CC(c)                 /* and with a 64-bit CPU model */
    jnc 9f
    mov [features], edx
    call in_pae_mode
    call in_long_mode
    REPORT_NOTES
9:  popad
    ret

/* The end of the last range of RAM in the Multiboot memory map. Sets CF if it is beyond 4 GB. */
find_end_of_ram:
    mov ebx, [boot_info]
    mov esi, [ebx + 48]
    mov edi, [ebx + 44]
    add edi, esi
1:  cmp esi, edi
    jae 3f
    cmp dword ptr [esi + 20], 1
    jne 2f
    mov eax, [esi + 4]
    mov edx, [esi + 8]
    add eax, [esi + 12]
    adc edx, [esi + 16]
    cmp edx, [ram_end + 4]
    jb 2f
    mov [ram_end], eax
    mov [ram_end + 4], edx
2:  add esi, [esi]
    add esi, 4
    jmp 1b
3:  cmp dword ptr [ram_end + 4], 1  /* CF if it is 0 */
    cmc
    ret

/* Map the window to the guest-physical address EDX:EAX, in the tables of PAE mode. */
pae_map:
    and eax, 0xfffff000
    or eax, 3
    mov [pt], eax
    mov [pt + 4], edx
    mov eax, WINDOW
    invlpg [eax]
    ret

in_pae_mode:
    /* identity by 2 MB pages, and the window */
    mov dword ptr [pae_pdpt], offset pd + 1
    xor ecx, ecx
1:  mov eax, ecx
    shl eax, 21
    or eax, 0x83
    mov [pd + ecx * 8], eax
    inc ecx
    cmp ecx, 8
    jne 1b
    mov dword ptr [pd + 8 * 8], offset pt + 3
    mov eax, cr4
    or eax, 1 << 5
    mov cr4, eax
    mov eax, offset pae_pdpt
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80010000          /* PG, WP */
    mov cr0, eax

    /* data and code in the last page of RAM; the code changes */
    mov eax, [ram_end]
    mov edx, [ram_end + 4]
    sub eax, 0x1000
    sbb edx, 0
    mov [last_page], eax
    mov [last_page + 4], edx
    call pae_map
    mov ebx, WINDOW
    mov esi, 3
2:  put_code ebx, esi
    call ebx
    CHECK_EQ(eax, esi)
    dec esi
    jnz 2b
    /* the same address in low RAM is another page */
    mov eax, LOW_COPY
    xor edx, edx
    call pae_map
    put_code ebx, 0x11
    call ebx
    CHECK_EQ(eax, 0x11)
    mov eax, [last_page]
    mov edx, [last_page + 4]
    call pae_map
    call ebx
    CHECK_EQ(eax, 1)
    /* two frames with the same low 24 bits of their number */
    cmp dword ptr [ram_end + 4], BEYOND_36 >> 32
    jbe 4f
    mov eax, LOW_COPY
    mov edx, BEYOND_36 >> 32
    call pae_map
    put_code ebx, 0x22
    mov esi, 4
3:  mov eax, LOW_COPY
    mov edx, BEYOND_36 >> 32
    call pae_map
    call ebx
    CHECK_EQ(eax, 0x22)
    mov eax, LOW_COPY
    xor edx, edx
    call pae_map
    call ebx
    CHECK_EQ(eax, 0x11)
    dec esi
    jnz 3b
4:  mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    ret

in_long_mode:
    DESCRIPTOR(CODE64, 0, 0xfffff, ACC_CODE64)
    DESCRIPTOR(DATA64, 0, 0xfffff, ACC_DATA32)
    mov dword ptr [pml4], offset pdpt + 3
    mov dword ptr [pml4 + 8], offset pdpt_high + 3
    mov dword ptr [pdpt], offset pd + 3
    xor ecx, ecx
1:  mov eax, ecx                /* 1 GB pages, or nothing */
    mov edx, ecx
    shl eax, 30
    shr edx, 2
    or eax, 0x83
    test dword ptr [features], 1 << 26
    jnz 2f
    xor eax, eax
2:  mov [pdpt_high + ecx * 8], eax
    mov [pdpt_high + ecx * 8 + 4], edx
    inc ecx
    cmp ecx, 66
    jne 1b
    mov [saved_esp], esp
    mov eax, offset pml4
    mov cr3, eax
    set_efer 0x100              /* LME */
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    ljmp CODE64, offset main64
back:
    leave_paging64
    mov ecx, MSR_EFER
    xor eax, eax
    xor edx, edx
    wrmsr
    leave_pae
    ret

/* --- 64-bit mode --- */

    .code64
main64:
    mov eax, DATA64
    mov ss, eax
    mov ds, eax
    mov es, eax
    mov rsp, offset stack64_top
    call every_gigabyte
    call changing_frames
    call bus_master
    leave_code64 back

/* RAX, a guest-physical address: RDI where its page is in the window. Clobbers RAX. */
map:
    mov rdi, rax
    and edi, 0xfff
    and rax, -0x1000
    or rax, 3
    mov [pt], rax
    invlpg [WINDOW]
    add rdi, WINDOW
    ret
/* The same by a page of 2 MB. */
map_2m:
    mov rdi, rax
    and edi, 0x1fffff
    and rax, -0x200000
    or rax, 0x83
    mov [pd + 9 * 8], rax
    invlpg [WINDOW_2M]
    add rdi, WINDOW_2M
    ret

/* Calls \body with R12 = the address of the first and the last 8 bytes of each GB from 4 GB on. */
.macro for_each_gigabyte body
    mov r12d, 1
    shl r12, 32
1:  call \body
    mov r13, r12
    add r12, 0x40000000 - 8
    cmp r12, [ram_end]
    ja 2f
    call \body
    lea r12, [r13 + 0x40000000]
    cmp r12, [ram_end]
    jb 1b
2:
.endm

/* Numbers that differ at each address are all written, and then all read. */
every_gigabyte:
    for_each_gigabyte write_number
    for_each_gigabyte check_number
    ret
write_number:
    mov rax, r12
    call map
    call number
    mov [rdi], rax
    ret
number:
    movabs rax, 0x9e3779b97f4a7c15
    imul rax, r12
    ret
check_number:
    call number
    mov rbx, rax
    mov rax, r12
    call map
    cmp [rdi], rbx
    note_ __LINE__
    mov rax, r12
    call map_2m
    cmp [rdi], rbx
    note_ __LINE__
    test dword ptr [features], 1 << 26
    jz 1f
    movabs rax, HIGH
    cmp [rax + r12], rbx
    note_ __LINE__
1:  ret

/* Code in a page that gets other frames, reached by direct and indirect branches. */
changing_frames:
    mov rax, [last_page]
    call map
    put_code rdi, 5
    call call_window
    IS(5)
    mov rax, [last_page]
    call map_2m
    mov dword ptr [rdi + 1], 6  /* by another page table */
    call call_window
    IS(6)
    mov rax, LOW_COPY
    call map
    put_code rdi, 7
    mov r14, LOW_COPY
    call swap_frames
    cmp dword ptr [ram_end + 4], BEYOND_36 >> 32
    jbe 1f
    movabs rax, LOW_COPY + BEYOND_36
    call map
    put_code rdi, 6
    movabs rax, LOW_COPY + BEYOND_36
    mov [last_page], rax
    call swap_frames
1:  ret
/* The page at [last_page] returns 6, and that at R14 7. */
swap_frames:
    mov r15d, 4
1:  mov rax, [last_page]
    call map
    call call_window
    IS(6)
    mov rax, r14
    call map
    call call_window
    IS(7)
    dec r15d
    jnz 1b
    ret
call_window:
    push rbx
    call WINDOW
    mov ebx, eax
    mov edx, WINDOW
    call rdx
    cmp eax, ebx
    note_ __LINE__
    pop rbx
    ret

/* A virtio disk writes a sector from high RAM, and reads it to high RAM elsewhere. */
PORTS = 0xc000
QUEUE_ADDRESS = PORTS + 8
QUEUE_SIZE = PORTS + 12
QUEUE_SELECT = PORTS + 14
QUEUE_NOTIFY = PORTS + 16
DEVICE_STATUS = PORTS + 18
SECTOR = 3

bus_master:
    call find_disk
    sete bl
    note_ __LINE__
    test bl, bl
    jz 9f
    /* The ring lies 1 MB below the end of RAM, and the request at 4 GB: header, status, and the buffer of the read. What is written
     * comes from 2 MB below the end. */
    mov rax, [ram_end]
    and rax, -0x100000
    lea rbx, [rax - 0x100000]
    mov [ring], rbx
    sub rbx, 0x100000
    mov [written], rbx
    mov ecx, 1
    shl rcx, 32
    mov [request], rcx

    mov edx, DEVICE_STATUS
    xor eax, eax
    out dx, al
    mov al, 3                   /* ACKNOWLEDGE, DRIVER */
    out dx, al
    mov edx, PORTS + 4
    xor eax, eax
    out dx, eax                 /* no features */
    mov edx, QUEUE_SELECT
    out dx, ax
    mov edx, QUEUE_SIZE
    in ax, dx
    movzx eax, ax
    mov [queue_entries], eax
    /* zeros: descriptors, the available ring and, from the next page on, the used one */
    mov rax, [ring]
    call map_2m
    xor eax, eax
    mov ecx, 0x4000
    rep stosb
    mov rax, [ring]
    shr rax, 12
    mov edx, QUEUE_ADDRESS
    out dx, eax
    mov edx, DEVICE_STATUS
    mov al, 7                   /* DRIVER_OK */
    out dx, al

    mov rax, [written]
    call map
    mov ecx, 64
    movabs rax, 0x0123456789abcdef
1:  mov [rdi + rcx * 8 - 8], rax
    rol rax, 5
    loop 1b
    mov esi, 1                  /* write */
    mov r12, [written]
    xor r13d, r13d
    call transfer
    xor esi, esi                /* read; the device writes */
    mov r12, [request]
    add r12, 0x1000
    mov r13d, 2
    call transfer
    mov rax, [request]
    add rax, 0x1000
    call map
    mov ecx, 64
    movabs rax, 0x0123456789abcdef
2:  cmp [rdi + rcx * 8 - 8], rax
    note_ __LINE__
    rol rax, 5
    loop 2b
9:  ret

/* ESI: the type of the request. R12, R13: address of the buffer, flags of its descriptor. */
transfer:
    mov rax, [request]
    call map
    mov [rdi], rsi
    mov qword ptr [rdi + 8], SECTOR
    mov byte ptr [rdi + 16], 0xff
    mov rax, [ring]
    call map_2m
    mov rax, [request]
    mov [rdi], rax              /* the header */
    mov dword ptr [rdi + 8], 16
    mov dword ptr [rdi + 12], 1 + (1 << 16)     /* NEXT; the next is 1 */
    mov [rdi + 16], r12
    mov dword ptr [rdi + 24], 512
    lea eax, [r13 + 1 + (2 << 16)]
    mov [rdi + 28], eax
    mov rax, [request]
    add rax, 16
    mov [rdi + 32], rax         /* the status */
    mov dword ptr [rdi + 40], 1
    mov dword ptr [rdi + 44], 2
    mov eax, [queue_entries]
    shl eax, 4
    lea rbx, [rdi + rax]        /* the available ring: flags, index, entries that are all 0 */
    mov eax, [queue_entries]
    lea rcx, [rbx + rax * 2 + 6 + 0xfff]
    and rcx, -0x1000            /* the used ring */
    mov ax, [rbx + 2]
    inc eax
    mov [rbx + 2], ax
    mov r11d, eax
    mov edx, QUEUE_NOTIFY
    xor eax, eax
    out dx, ax
    mov edx, DEVICE_STATUS + 1
1:  in al, dx                   /* the interrupt status; the exit lets the disk work */
    cmp [rcx + 2], r11w
    jne 1b
    mov rax, [request]
    call map
    mov al, [rdi + 16]
    test al, al
    note_ __LINE__
    ret

/* Finds the disk on bus 0, and gives it its ports. Sets ZF if it is there. */
find_disk:
    mov ebx, 0x80000000
1:  mov eax, ebx
    call read_config
    cmp eax, 0x10011af4
    je 2f
    add ebx, 0x800
    cmp ebx, 0x80010000
    jne 1b
    cmp ebx, 0
    ret
2:  lea eax, [ebx + 0x10]
    mov ecx, PORTS
    call write_config
    lea eax, [ebx + 4]
    mov ecx, 5                  /* ports and bus master */
    call write_config
    cmp eax, eax
    ret
read_config:
    mov edx, 0xcf8
    out dx, eax
    mov edx, 0xcfc
    in eax, dx
    ret
write_config: /* EAX: address. ECX: value */
    mov edx, 0xcf8
    out dx, eax
    mov edx, 0xcfc
    mov eax, ecx
    out dx, eax
    ret
    .code32

    .bss
    .balign 4096
pml4: .skip 4096
pdpt: .skip 4096
pdpt_high: .skip 4096
pd: .skip 4096
pt: .skip 4096
    .skip 4096
stack64_top:
pae_pdpt: .skip 32
ram_end: .skip 8
last_page: .skip 8
ring: .skip 8
written: .skip 8
request: .skip 8
saved_esp: .skip 4
features: .skip 4
queue_entries: .skip 4
good_count: .skip 4
bad_count: .skip 4
bad_lines: .skip 4 * 256
