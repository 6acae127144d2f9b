/*
 * Hazard: EFLAGS. Arithmetic flags that live in host flags are lost over faults and callouts; IF, IOPL, NT, AC, RF, VM
 * are virtual and must obey the privilege rules of POPF and IRET (SDM 2B POPF table 4-21, IRET; 1 3.4.3).
 */
#include "guest.inc"
GUEST(flags)

ALL = 0x257fd7         /* everything but VM, VIF, VIP, and the fixed bit 1 */

guest_main:
    call kernel_bits
    call user_bits
    call iret_bits
    call over_faults
    call lahf_sahf
    call loops
    call bit_strings
    ret

/* POPFD and POPF at CPL 0; what PUSHFD shows */
kernel_bits:
    push ALL & ~(FL_TF + FL_IF)
    popfd
    pushfd
    push 2
    popfd
    pop eax
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_IF + FL_RF))     /* RF is cleared by POPF, and reads as 0 */
    push 0
    popfd
    pushfd
    pop eax
    CHECK_EQ(eax, 2)
    push FL_VM + FL_CF
    popfd                                   /* POPFD cannot set VM */
    pushfd
    pop eax
    CHECK_EQ(eax, 2 + FL_CF)
    push 0xffc08028                         /* reserved bits keep their values */
    popfd
    pushfd
    pop eax
    and eax, ~0x180000                      /* (VIF and VIP do not matter here) */
    CHECK_EQ(eax, 2)
    push FL_ID + FL_AC
    popfd
    pushw 0x40d5                            /* POPF of a word keeps the high half */
    popfw
    pushfd
    pop eax
    CHECK_EQ(eax, FL_ID + FL_AC + 0x40d7)
    pushfw
    pop ax
    and eax, 0xffff
    CHECK_EQ(eax, 0x40d7)
    push 2
    popfd
    pushfd
    pop eax
    CHECK_EQ(eax, 2)
    sti
    pushfd
    cli
    pop eax
    and eax, FL_IF
    CHECK_EQ(eax, FL_IF)
    xor eax, eax
    std
    stc
    pushfd
    cld
    pop eax
    CHECK_EQ(eax, 2 + FL_DF + FL_CF + FL_ZF + FL_PF)
    clc
    cmc
    CHECK_CC(c)
    cmc
    CHECK_CC(nc)
    ret

/* At CPL 3: IF by IOPL, IOPL never */
user_bits:
    RUN_USER(user_popf, 0x202)              /* pops ALL but TF and IF, IOPL 3 */
    CHECK_EQ([trap_vector], 0x80)
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_RF + FL_IOPL3))  /* IOPL stays 0, IF stays 1 */
    RUN_USER(user_popf, 0x002)
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_RF + FL_IOPL3 + FL_IF))
    RUN_USER(user_popf, 0x3202)             /* IOPL 3: IF goes, IOPL stays 3 */
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_RF + FL_IF))
    RUN_USER(user_popf, 0x2202)
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_RF + 0x1000))
    EXPECT_USER(user_cli, 0x202, VEC_GP, 0, user_cli)
    EXPECT_USER(user_sti, 0x202, VEC_GP, 0, user_sti)
    EXPECT_USER(user_cli, 0x2202, VEC_GP, 0, user_cli)
    EXPECT_USER(user_cli, 0x3202, 0x80, 0, user_cli_done)
    mov eax, [trap_eflags]
    and eax, FL_IF
    CHECK_EQ(eax, 0)
    EXPECT_USER(user_sti, 0x3002, 0x80, 0, user_sti_done)
    mov eax, [trap_eflags]
    and eax, FL_IF
    CHECK_EQ(eax, FL_IF)
    ret
user_popf:
    push ALL & ~(FL_TF + FL_IF)
    popfd
    pushfd
    push 2
    popfd
    pop eax
    int 0x80
user_cli: cli
    int 0x80
user_cli_done:
user_sti: sti
    int 0x80
user_sti_done:

/* IRET to the same ring takes all flags at CPL 0; at CPL 3 it takes those that POPF may change */
iret_bits:
    push ALL & ~(FL_TF + FL_IF + FL_NT + FL_RF)
    push cs
    push offset 1f
    iretd
1:  pushfd
    push 2
    popfd
    pop eax
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_IF + FL_NT + FL_RF))
    RUN_USER(user_iret, 0x202)
    CHECK_EQ([trap_vector], 0x80)
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_RF + FL_NT + FL_IOPL3))
    RUN_USER(user_iret, 0x3202)
    CHECK_EQ(eax, ALL & ~(FL_TF + FL_RF + FL_NT + FL_IF))
    ret
user_iret:
    push ALL & ~(FL_TF + FL_IF + FL_NT)
    push cs
    push offset 1f
    iretd
1:  pushfd
    push 2
    popfd
    pop eax
    int 0x80

/* Flags that are made before an access that faults and used after it: the #PF handler mends the mapping and returns */
PAGED = 0x40000000
over_faults:
    FILL_TABLE page_table
    mov dword ptr [directory], offset page_table + 3
    mov dword ptr [directory + 4 * (PAGED >> 22)], offset window_table + 3
    mov eax, offset directory
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    HOOK VEC_PF, mend
    mov dword ptr [0x300000], 0x12345678

    /* every combination of the arithmetic flags, over a load, a store, a push, a string move */
    xor ebp, ebp
2:  call unmap
    mov eax, ebp
    and eax, FL_ARITH
    or eax, 2
    mov ebx, eax
    push ebx
    popfd
    mov eax, [PAGED]
    pushfd
    pop ecx
    cmp ecx, ebx
    jne 8f
    call unmap
    push ebx
    popfd
    mov [PAGED + 8], eax
    pushfd
    pop ecx
    cmp ecx, ebx
    jne 8f
    call unmap
    push ebx
    popfd
    mov esi, PAGED
    mov edi, offset scratch
    movsd
    pushfd
    pop ecx
    cmp ecx, ebx
    jne 8f
    call unmap
    push ebx
    popfd
    inc dword ptr [PAGED + 16]              /* keeps CF */
    pushfd
    pop ecx
    xor ecx, ebx
    and ecx, FL_CF
    jnz 8f
    call unmap
    push ebx
    popfd
    adc dword ptr [PAGED + 20], 0           /* reads CF after the fault */
    inc ebp
    cmp ebp, 0x1000
    jb 2b
8:  CHECK_EQ(ebp, 0x1000)
    CHECK_EQ(ecx, 0)
    CHECK_EQ([0x300010], 0x1000)
    CHECK_EQ([0x300014], 0x1000 / 2)        /* half of the combinations had CF */
    CHECK_EQ([faults], 0x1000 * 5)
    UNHOOK VEC_PF
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    ret
unmap:
    mov dword ptr [window_table], 0
    invlpg [PAGED]
    ret
mend:
    inc dword ptr [faults]
    mov dword ptr [window_table], 0x300000 + 3
    xor eax, eax
    ret

lahf_sahf:
    mov ah, 0xff
    sahf
    lahf
    movzx eax, ah
    CHECK_EQ(eax, 0xd7)
    mov ah, 0
    sahf
    lahf
    movzx eax, ah
    CHECK_EQ(eax, 2)
    mov al, 0x7f
    add al, 1               /* OF, which SAHF does not touch */
    mov ah, 0
    sahf
    CHECK_CC(o)
    CHECK_CC(nz)
    ret

/* A bit number may select a bit in another dword than the memory operand, before or behind it. ZF is unchanged, CF is the bit,
 * and the other flags are undefined (SDM 2A BT). */
bit_strings:
    mov dword ptr [bits], 0x80000000
    mov dword ptr [bits + 4], 0
    mov dword ptr [bits + 8], 1
    mov ecx, 3
1:  mov eax, -1
    cmp eax, eax            /* ZF */
    bt [bits + 4], eax
    CHECK_CC(c)
    CHECK_CC(z)
    mov eax, 32
    bt [bits + 4], eax
    CHECK_CC(c)
    mov eax, 31
    bt [bits + 4], eax
    CHECK_CC(nc)
    bts [bits + 4], eax
    CHECK_CC(nc)
    CHECK_EQ([bits + 4], 0x80000000)
    lock btr [bits + 4], eax
    CHECK_CC(c)
    CHECK_EQ([bits + 4], 0)
    mov eax, -32
    lock btc [bits + 4], eax
    CHECK_CC(nc)
    CHECK_EQ([bits], 0x80000001)
    btc [bits + 4], eax
    CHECK_CC(c)
    mov eax, 0x80000000     /* 256 MB before the operand, which is not mapped */
    mov edx, offset bits + 0x10000000
    bt [edx], eax
    CHECK_CC(nc)
    dec ecx
    jnz 1b
    ret
bits: .long 0, 0, 0, 0

/* Flags across block ends: branches, calls, loops and callouts between producer and consumer */
loops:
    mov ecx, 1000
    xor eax, eax
    xor ebx, ebx
    stc
1:  adc eax, 0              /* CF of the pass before, over LOOP and a call */
    bt ecx, 0
    call keeps_flags
    loop 1b
    adc ebx, 0
    CHECK_EQ(eax, 501 - 1)
    CHECK_EQ(ebx, 1)
    mov eax, 5
    cmp eax, 6
    mov edx, cr0            /* a privileged instruction in between */
    CHECK_CC(b)
    cmp eax, 5
    push ds
    pop ds
    CHECK_CC(e)
    cmp eax, 7
    cli
    sti
    cli
    CHECK_CC(b)
    stc
    in al, 0x61
    CHECK_CC(c)
    xor eax, eax
    mov dr6, eax
    CHECK_CC(z)
    /* shifts by zero keep all flags */
    stc
    mov cl, 0
    mov eax, 1
    shl eax, cl
    CHECK_CC(c)
    shl eax, 32
    CHECK_CC(c)
    rol eax, cl
    CHECK_CC(c)
    xor edx, edx
    stc
    shld eax, edx, cl
    CHECK_CC(c)
    CHECK_CC(z)
    ret
keeps_flags:
    jc 1f
    nop
1:  push ebp
    pop ebp
    ret

    .bss
    .balign 4096
directory: .skip 4096
page_table: .skip 4096
window_table: .skip 4096
scratch: .skip 16
faults: .skip 4
