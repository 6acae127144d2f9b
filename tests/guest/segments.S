/*
 * Hazard: the load of a segment register that must be refused, a far transfer to the wrong ring or with the wrong stack. SDM 3A
 * chapters 3 and 5; 5.8.5 stack switching; 5.10 pointer validation. (limits.S: accesses that a limit or a type forbids.)
 */
#include "guest.inc"
GUEST(segments)

DATA = FREE
CODE = FREE + 0x08
TABLE = FREE + 0x10
CGATE = FREE + 0x18
CGATE16 = FREE + 0x20
OTHER = FREE + 0x28

guest_main:
    call loads
    call reloads
    call local_table
    call jumps
    call queries
    call stack16
    call call_gates
    ret

/* Selectors that a segment register refuses; it then keeps its value */
loads:
    mov eax, KDATA
    mov fs, eax
    mov ebx, 0
    EXPECT_NONE(mov fs, ebx)
    SKIP_ON_TCG 1f
    EXPECT_FAULT(VEC_GP, 0, mov eax, fs:[scratch])
    EXPECT_FAULT(VEC_GP, 0, mov fs:[scratch], eax)
1:  mov ebx, 3
    EXPECT_NONE(mov fs, ebx)
    mov eax, fs
    CHECK_EQ(eax, 3)
    xor ebx, ebx
    EXPECT_FAULT(VEC_GP, 0, mov ss, ebx)
    mov ebx, GDT_BYTES
    EXPECT_FAULT(VEC_GP, GDT_BYTES, mov fs, ebx)
    EXPECT_FAULT(VEC_GP, GDT_BYTES, mov ss, ebx)
    mov ebx, 0xffff
    EXPECT_FAULT(VEC_GP, 0xfffc, mov fs, ebx)
    mov ebx, KDATA + 3      /* RPL 3 on a DPL 0 segment */
    EXPECT_FAULT(VEC_GP, KDATA, mov fs, ebx)
    EXPECT_FAULT(VEC_GP, KDATA, mov ss, ebx)
    mov ebx, UDATA          /* DPL 3: fine for data, not for the stack */
    EXPECT_NONE(mov fs, ebx)
    EXPECT_FAULT(VEC_GP, UDATA & ~3, mov ss, ebx)
    mov ebx, KTSS
    EXPECT_FAULT(VEC_GP, KTSS, mov fs, ebx)
    mov ebx, KCODE          /* readable code */
    EXPECT_NONE(mov fs, ebx)
    EXPECT_FAULT(VEC_GP, KCODE, mov ss, ebx)
    mov ebx, DATA
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_BYTES & ~0x80)
    EXPECT_FAULT(VEC_NP, DATA, mov fs, ebx)
    EXPECT_FAULT(VEC_SS, DATA, mov ss, ebx)
    mov eax, fs
    CHECK_EQ(eax, KCODE)
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_CODE32_EXEC)
    EXPECT_FAULT(VEC_GP, DATA, mov fs, ebx)
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_RO)
    EXPECT_FAULT(VEC_GP, DATA, mov ss, ebx)
    movzx eax, byte ptr [gdt + DATA + 5]
    CHECK_EQ(eax, ACC_DATA32_RO & 0xff)
    EXPECT_NONE(mov fs, ebx)
    movzx eax, byte ptr [gdt + DATA + 5]
    CHECK_EQ(eax, (ACC_DATA32_RO & 0xff) + 1) /* accessed */
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_CODE32_CONF)
    mov ebx, DATA + 3       /* conforming code can be read by all */
    EXPECT_NONE(mov fs, ebx)

    /* by POP and by far pointer: nothing is committed when the selector is refused */
    push KTSS
    EXPECT_FAULT(VEC_GP, KTSS, pop fs)
    EXPECT_FAULT(VEC_GP, KTSS, pop es)
    add esp, 4
    mov dword ptr [scratch], 0x11223344
    mov word ptr [scratch + 4], KTSS
    mov edx, 5
    EXPECT_FAULT(VEC_GP, KTSS, lgs edx, [scratch])
    CHECK_EQ(edx, 5)
    mov word ptr [scratch + 4], UDATA
    EXPECT_NONE(lgs edx, [scratch])
    CHECK_EQ(edx, 0x11223344)
    mov eax, gs
    CHECK_EQ(eax, UDATA)
    mov edx, 0x55555555
    EXPECT_FAULT(VEC_GP, 0, lss edx, [null_pointer])
    CHECK_EQ(edx, 0x55555555)
    mov eax, 0xffff0000 + KDATA /* only 16 bits count */
    EXPECT_NONE(mov fs, eax)
    mov eax, -1
    mov eax, fs
    CHECK_EQ(eax, KDATA)        /* and MOV r32 zero-extends */
    mov eax, -1
    mov ax, fs
    CHECK_EQ(eax, 0xffff0000 + KDATA)

    /* the hidden part is unchanged when the table changes */
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_BYTES)
    mov ebx, DATA
    mov fs, ebx
    mov dword ptr [scratch], 0xaaaa5555
    DESCRIPTOR(DATA, offset scratch + 4, 0xfff, ACC_DATA32_BYTES)
    CHECK_EQ(fs:[0], 0xaaaa5555)
    mov fs, ebx
    mov dword ptr fs:[0], 0x12121212
    CHECK_EQ([scratch + 4], 0x12121212)
    ret

/* Loads the selector that is already loaded: nothing changes unless the descriptor or the table has changed. The loop tests
 * also the second execution of the translated block. */
reloads:
    mov dword ptr [scratch], 0x01010101
    mov dword ptr [scratch + 0x40], 0x02020202
    mov esi, 3
1:  DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_BYTES)
    mov ebx, DATA
    call reload_fs
    CHECK_EQ(fs:[0], 0x01010101)
    call reload_fs
    CHECK_EQ(fs:[0], 0x01010101)
    DESCRIPTOR(DATA, offset scratch + 0x40, 0xfff, ACC_DATA32_BYTES + 1)
    call reload_fs
    CHECK_EQ(fs:[0], 0x02020202)
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_BYTES + 1) /* back to what it was the first time */
    call reload_fs
    CHECK_EQ(fs:[0], 0x01010101)
    push fs
    pop fs
    CHECK_EQ(fs:[0], 0x01010101)
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_BYTES + 1 - 0x80)
    EXPECT_FAULT(VEC_NP, DATA, mov fs, ebx)
    push ebx
    EXPECT_FAULT(VEC_NP, DATA, pop fs)
    pop eax
    CHECK_EQ(eax, DATA)             /* ESP had not moved */
    CHECK_EQ(fs:[0], 0x01010101)    /* and the register is unchanged */
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_BYTES + 1)
    EXPECT_NONE(mov fs, ebx)
    /* same bytes, but beyond the limit of the table; then a table without them */
    mov word ptr [other_gdt], DATA + 6
    mov dword ptr [other_gdt + 2], offset gdt
    lgdt [other_gdt]
    EXPECT_FAULT(VEC_GP, DATA, mov fs, ebx)
    lgdt [gdt_pointer]
    EXPECT_NONE(mov fs, ebx)
    /* null over null, and over something else */
    xor ebx, ebx
    call reload_fs
    call reload_fs
    mov eax, fs
    CHECK_EQ(eax, 0)
    SKIP_ON_TCG 2f
    EXPECT_FAULT(VEC_GP, 0, mov eax, fs:[0])
2:  mov ebx, DATA
    call reload_fs
    xor ebx, ebx
    call reload_fs
    SKIP_ON_TCG 3f
    EXPECT_FAULT(VEC_GP, 0, mov eax, fs:[0])
3:  dec esi
    jnz 1b
    ret

reload_fs:
    mov fs, ebx
    push fs
    pop fs
    ret

/* LLDT and selectors of the LDT */
local_table:
    mov eax, KDATA
    EXPECT_FAULT(VEC_GP, KDATA, lldt ax)
    mov eax, TABLE
    DESCRIPTOR(TABLE, offset ldt, 15, ACC_LDT & ~0x80)
    EXPECT_FAULT(VEC_NP, TABLE, lldt ax)
    DESCRIPTOR(TABLE, offset ldt, 15, ACC_LDT)
    EXPECT_NONE(lldt ax)
    sldt edx
    CHECK_EQ(edx, TABLE)
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_BYTES)
    mov eax, [gdt + DATA]
    mov [ldt + 8], eax
    mov eax, [gdt + DATA + 4]
    mov [ldt + 12], eax
    mov eax, 0xc
    EXPECT_NONE(mov fs, eax)
    mov dword ptr fs:[8], 77
    CHECK_EQ([scratch + 8], 77)
    mov eax, 4              /* not null: the LDT's first entry */
    EXPECT_FAULT(VEC_GP, 4, mov fs, eax)
    mov eax, 0x14           /* beyond its limit */
    EXPECT_FAULT(VEC_GP, 0x14, mov fs, eax)
    mov eax, TABLE
    EXPECT_FAULT(VEC_GP, TABLE, mov fs, eax)
    mov ax, 0xc
    EXPECT_FAULT(VEC_GP, 0xc, lldt ax) /* must be in the GDT */
    xor eax, eax
    EXPECT_NONE(lldt ax)
    mov eax, 0xc
    EXPECT_FAULT(VEC_GP, 0xc, mov fs, eax)
    mov eax, KTSS           /* busy */
    EXPECT_FAULT(VEC_GP, KTSS, ltr ax)
    xor eax, eax
    SKIP_ON_TCG 1f          /* accepts the null selector, and has no task then */
    EXPECT_FAULT(VEC_GP, 0, ltr ax)
1:  ret

/* Far JMP, CALL, RET without a ring change */
jumps:
    EXPECT_FAULT(VEC_GP, 0, ljmp 0, 0)
    EXPECT_FAULT(VEC_GP, 0, ljmp 3, 0)
    EXPECT_FAULT(VEC_GP, KDATA, ljmp KDATA, offset far_landed)
    EXPECT_FAULT(VEC_GP, GDT_BYTES, ljmp GDT_BYTES, offset far_landed)
    EXPECT_FAULT(VEC_GP, UCODE & ~3, ljmp UCODE, offset far_landed)
    EXPECT_FAULT(VEC_GP, KCODE, ljmp KCODE + 3, offset far_landed)
    EXPECT_FAULT(VEC_GP, KDATA, lcall KDATA, offset far_landed)
    DESCRIPTOR(CODE, 0, 0xfffff, ACC_CODE32 & ~0x80)
    EXPECT_FAULT(VEC_NP, CODE, ljmp CODE, offset far_landed)
    EXPECT_FAULT(VEC_NP, CODE, lcall CODE, offset far_landed)
    DESCRIPTOR(CODE, 0, 0xfffff, (ACC_CODE32_CONF | 0x8000) + DPL3)
    EXPECT_FAULT(VEC_GP, CODE, ljmp CODE, offset far_landed)    /* conforming outward */
    DESCRIPTOR(CODE, 0, 0xfffff, ACC_CODE32_CONF | 0x8000)
    mov eax, esp
    lcall CODE + 3, offset far_called                           /* RPL does not matter */
    CHECK_EQ(edx, CODE)
    CHECK_EQ(esp, eax)
    DESCRIPTOR(CODE, 0, 0xfffff, ACC_CODE32)
    lcall CODE, offset far_called
    CHECK_EQ(edx, CODE)
    push 0x1111
    push 0x2222
    lcall [far_pointer]
    CHECK_EQ(esp, eax)
    mov ecx, cs
    CHECK_EQ(ecx, KCODE)

    /* a far RET that is refused leaves the stack unchanged */
    push KDATA
    push offset far_landed
    EXPECT_FAULT(VEC_GP, KDATA, retf)
    mov dword ptr [esp + 4], 0
    EXPECT_FAULT(VEC_GP, 0, retf)
    mov dword ptr [esp + 4], UCODE & ~3     /* RPL 0 to a DPL 3 segment */
    EXPECT_FAULT(VEC_GP, UCODE & ~3, retf)
    EXPECT_FAULT(VEC_GP, UCODE & ~3, retf 8)
    push 2
    pop ecx
    pop edx
    pop edx
    push 2
    push UCODE & ~3
    push offset far_landed
    EXPECT_FAULT(VEC_GP, UCODE & ~3, iretd)
    add esp, 12
    ret

far_landed:
    ud2
far_called:
    mov edx, cs
    retf
far_called_params:
    mov edx, cs
    retf 8

/* LAR LSL VERR VERW ARPL */
queries:
    xor edx, edx
    mov eax, KDATA
    lar edx, eax
    CHECK_CC(z)
    and edx, ~0xf0000       /* these bits are undefined */
    CHECK_EQ(edx, 0x00c09300)
    lsl edx, eax
    CHECK_CC(z)
    CHECK_EQ(edx, 0xffffffff)
    mov edx, 77
    mov eax, 0
    lar edx, eax
    CHECK_CC(nz)
    lsl edx, eax
    CHECK_CC(nz)
    mov eax, GDT_BYTES
    lar edx, eax
    CHECK_CC(nz)
    mov eax, KDATA + 3      /* RPL above DPL */
    lar edx, eax
    CHECK_CC(nz)
    verr ax
    CHECK_CC(nz)
    CHECK_EQ(edx, 77)
    mov eax, KTSS
    lsl edx, eax
    CHECK_CC(z)
    CHECK_EQ(edx, TSS_BYTES - 1)
    lar edx, eax
    CHECK_CC(z)
    CHECK_EQ(edx, 0x00008b00)
    verr ax
    CHECK_CC(nz)
    DESCRIPTOR(DATA, 0, 0x12, ACC_DATA32_RO)
    mov eax, DATA
    verr ax
    CHECK_CC(z)
    verw ax
    CHECK_CC(nz)
    lsl edx, eax
    CHECK_EQ(edx, 0x12)
    mov edx, 0x55550000
    lsl dx, ax
    CHECK_EQ(edx, 0x55550012)
    DESCRIPTOR(DATA, 0, 0x12, ACC_CODE32_EXEC)
    verr ax
    CHECK_CC(nz)
    lar edx, eax
    CHECK_CC(z)
    DESCRIPTOR(DATA, 0, 0x12, ACC_CODE32_BYTES)
    verr ax
    CHECK_CC(z)
    verw ax
    CHECK_CC(nz)
    DESCRIPTOR(DATA, 0, 0x12, ACC_DATA32)
    lsl edx, eax
    CHECK_EQ(edx, 0x12fff)
    verw ax
    CHECK_CC(z)
    DESCRIPTOR(DATA, 0, 0x12, ACC_DATA32 & ~0x80)
    lar edx, eax            /* LAR does not check P */
    CHECK_CC(z)
    GATE_GDT(DATA, KCODE, offset far_landed, 0x8c, 0)
    lar edx, eax            /* call gates have rights, */
    CHECK_CC(z)
    lsl edx, eax            /* but no limit */
    CHECK_CC(nz)
    GATE_GDT(DATA, KCODE, offset far_landed, 0x8e, 0)
    lar edx, eax            /* interrupt gates have neither */
    CHECK_CC(nz)

    mov eax, 0x10
    mov ecx, 0x23
    arpl ax, cx
    CHECK_CC(z)
    CHECK_EQ(eax, 0x13)
    arpl ax, cx
    CHECK_CC(nz)
    RUN_USER(user_queries, 0x202)
    CHECK_EQ([trap_vector], 0x80)
    CHECK_EQ(ebx, 0)
    CHECK_EQ(esi, 1)
    CHECK_EQ(edi, 0)
    ret
user_queries: /* kernel segments are invisible from CPL 3 */
    mov eax, KDATA
    xor ebx, ebx
    lar edx, eax
    setz bl
    mov eax, UDATA
    xor esi, esi
    verw ax
    mov ecx, esi
    setz cl
    mov esi, ecx
    mov eax, KCODE
    xor ecx, ecx
    verr ax
    setz cl
    mov edi, ecx
    int 0x80

/* A stack of 16 bits: SP wraps, the high half of ESP stays */
stack16:
    DESCRIPTOR(DATA, offset area64k, 0xffff, ACC_DATA16)
    mov [saved_esp], esp
    mov edi, offset area64k
    mov eax, DATA
    mov ss, eax
    mov esp, 0xabcd0004
    push 0x11111111
    mov ebx, esp
    push 0x22222222
    mov ecx, esp
    pushw 0x3333
    mov edx, esp
    pop si
    pop ebp
    mov eax, esp
    mov esp, [saved_esp]
    push KDATA
    pop ss
    mov esp, [saved_esp]
    CHECK_EQ(ebx, 0xabcd0000)
    CHECK_EQ(ecx, 0xabcdfffc)
    CHECK_EQ(edx, 0xabcdfffa)
    CHECK_EQ(eax, 0xabcd0000)
    CHECK_EQ(ebp, 0x22222222)
    CHECK_EQ([edi], 0x11111111)
    CHECK_EQ([edi + 0xfffc], 0x22222222)
    movzx esi, si
    CHECK_EQ(esi, 0x3333)

    mov eax, DATA
    mov ss, eax
    mov esp, 0x55550100
    mov ebp, 0x66660200
    enter 8, 0
    mov ebx, ebp
    mov ecx, esp
    mov edx, [bp + 0]
    leave
    mov esi, esp
    call 2f
2:  pop eax
    mov eax, esp
    push KDATA
    pop ss
    mov esp, [saved_esp]
    CHECK_EQ(esi, 0x55550100)
    CHECK_EQ(eax, 0x55550100)
    CHECK_EQ(ebp, 0x66660200)
    CHECK_EQ(ecx, 0x555500f4)
    CHECK_EQ(edx, 0x66660200)
    and ebx, 0xffff
    CHECK_EQ(ebx, 0x00fc)
    ret

/* Call gates: to the same ring, inward with parameters and a stack switch, 16-bit gates, and gates that are refused */
call_gates:
    GATE_GDT(CGATE, KCODE, offset far_called, 0x8c, 0)
    mov eax, esp
    lcall CGATE, 0x12345678         /* the offset is ignored */
    CHECK_EQ(edx, KCODE)
    CHECK_EQ(esp, eax)
    GATE_GDT(CGATE, KCODE, offset far_called, 0x0c, 0)
    EXPECT_FAULT(VEC_NP, CGATE, lcall CGATE, 0)
    GATE_GDT(CGATE, KDATA, offset far_called, 0x8c, 0)
    EXPECT_FAULT(VEC_GP, KDATA, lcall CGATE, 0)
    GATE_GDT(CGATE, 0, offset far_called, 0x8c, 0)
    EXPECT_FAULT(VEC_GP, 0, lcall CGATE, 0)
    GATE_GDT(CGATE, UCODE & ~3, offset far_called, 0x8c, 0)
    EXPECT_FAULT(VEC_GP, UCODE & ~3, lcall CGATE, 0)
    GATE_GDT(CGATE, KCODE, offset far_called, 0x8c, 0)
    EXPECT_FAULT(VEC_GP, CGATE, lcall CGATE + 3, 0)     /* RPL above the gate's DPL */
    EXPECT_USER(user_gate, 0x202, VEC_GP, CGATE, user_gate)

    GATE_GDT(CGATE, KCODE, offset gate_kernel, 0xec, 2)
    EXPECT_USER(user_gate_params, 0x202, 0x80, 0, user_gate_back)
    CHECK_EQ([gate_param + 0], 0x22222222)
    CHECK_EQ([gate_param + 4], 0x11111111)
    CHECK_EQ([gate_cs], UCODE)
    CHECK_EQ([gate_ss], UDATA)
    CHECK_EQ([gate_esp], offset user_stack_top - 8)
    CHECK_EQ([gate_kernel_esp], offset trap_stack_top - 24)
    CHECK_EQ([trap_esp], offset user_stack_top)         /* RETF 8 released both */
    CHECK_EQ(ebx, 0)                            /* the return to ring 3 nulled the DS of ring 0 */
    CHECK_EQ(ecx, UDATA)                                /* but not the ES of ring 3 */
    EXPECT_USER(user_gate_jump, 0x202, VEC_GP, KCODE, user_gate_jump) /* JMP may not change the ring */

    /* stacks of the inner ring that must be refused: #TS with SS0's selector */
    mov dword ptr [tss + TSS_SS0], KDATA + 3
    GATE_IDT(0x80, KCODE, offset stubs + 16 * 0x80, 0xee)
    call use_task_for_ts
    mov dword ptr [ts_error], -1
    RUN_USER(user_gate_params, 0x202)
    CHECK_EQ([ts_error], KDATA)
    CHECK_EQ([ts_eip], offset user_gate_call)
    mov dword ptr [tss + TSS_SS0], 0
    mov dword ptr [ts_error], -1
    RUN_USER(user_gate_params, 0x202)
    CHECK_EQ([ts_error], 0)
    mov dword ptr [tss + TSS_SS0], KDATA
    mov eax, [saved_gate]
    mov [idt + VEC_TS * 8], eax
    mov eax, [saved_gate + 4]
    mov [idt + VEC_TS * 8 + 4], eax

    /* 16-bit gate: it pushes words and uses SP; the callee lies in the first 64 KB of a segment with a base */
    DESCRIPTOR(CODE, offset gate16, 0xffff, ACC_CODE32_BYTES)
    GATE_GDT(CGATE16, CODE, 0, 0x84, 0)
    DESCRIPTOR(OTHER, offset gate16, 0xffff, ACC_CODE32_BYTES)
    mov eax, esp
    lcall OTHER, offset gate16_caller - gate16
    CHECK_EQ(esp, eax)
    CHECK_EQ(ebx, 4)
    ret

user_gate:
    lcall CGATE, 0
user_gate_params:
    push 0x11111111
    push 0x22222222
user_gate_call:
    lcall CGATE, 0
    mov ebx, ds
    mov ecx, es
    int 0x80
user_gate_back:
user_gate_jump:
    ljmp CGATE, 0

gate_kernel: /* EIP CS param2 param1 ESP SS */
    mov eax, KDATA
    mov ds, eax
    mov [gate_kernel_esp], esp
    mov eax, [esp + 4]
    mov [gate_cs], eax
    mov eax, [esp + 8]
    mov [gate_param], eax
    mov eax, [esp + 12]
    mov [gate_param + 4], eax
    mov eax, [esp + 16]
    mov [gate_esp], eax
    movzx eax, word ptr [esp + 20]
    mov [gate_ss], eax
    retf 8

gate16:
    mov ebx, esp
    neg ebx
    add ebx, ecx
    retfw
gate16_caller:
    mov ecx, esp
    lcall CGATE16, 0
    retf

/* #TS uses a task gate here, because the stack is unusable */
use_task_for_ts:
    mov eax, [idt + VEC_TS * 8]
    mov [saved_gate], eax
    mov eax, [idt + VEC_TS * 8 + 4]
    mov [saved_gate + 4], eax
    ALT_TASK ts_task
    GATE_IDT(VEC_TS, ALTTSS, 0, 0x85)
    ret
ts_task:
    pop dword ptr [ts_error]
    mov eax, [tss + TSS_EIP]
    mov [ts_eip], eax
    RESUME_TASK
    iretd
    jmp ts_task         /* the next time it starts here */

    .data
    .balign 8
null_pointer: .long 0, 0
far_pointer:
    .long far_called_params
    .word CODE, 0
    .bss
    .balign 4096
    .globl area64k
area64k: .skip 65536 + 4096
scratch: .skip 4096
ldt: .skip 64
other_gdt: .skip 8
saved_esp: .skip 4
saved_gate: .skip 8
ts_error: .skip 4
ts_eip: .skip 4
gate_param: .skip 8
gate_cs: .skip 4
gate_ss: .skip 4
gate_esp: .skip 4
gate_kernel_esp: .skip 4
