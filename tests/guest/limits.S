/*
 * Hazard: an access that a segment's limit or type forbids, and code that runs off the end of its segment. TCG checks neither limits
 * nor types on access, so all of this is skipped there. SDM 3A 5.3 limit checking, 5.5 type checking.
 */
#include "guest.inc"
GUEST(limits)

DATA = FREE
CODE = FREE + 0x08

guest_main:
    DESCRIPTOR(DATA, offset scratch, 15, ACC_DATA32_BYTES)
    mov ebx, DATA
    mov fs, ebx
    EXPECT_NONE(mov al, fs:[15])
    EXPECT_NONE(mov eax, fs:[12])
    EXPECT_NONE(mov fs:[14], ax)
    SKIP_ON_TCG 1f
    call limits
    call types
    call code_limits
    call stack_limits
1:  ret

/* Limits of data segments; FS is DATA, of 16 bytes. */
limits:
    EXPECT_FAULT(VEC_GP, 0, mov al, fs:[16])
    EXPECT_FAULT(VEC_GP, 0, mov eax, fs:[13])
    EXPECT_FAULT(VEC_GP, 0, mov fs:[15], ax)
    EXPECT_FAULT(VEC_GP, 0, mov eax, fs:[0xffffffff])
    EXPECT_FAULT(VEC_GP, 0, mov al, fs:[0xffffffff])
    EXPECT_FAULT(VEC_GP, 0, mov eax, fs:[0xfffffffd])
    mov ecx, 16
    EXPECT_FAULT(VEC_GP, 0, inc byte ptr fs:[ecx])
    EXPECT_FAULT(VEC_GP, 0, xchg fs:[ecx - 3], eax)
    EXPECT_FAULT(VEC_GP, 0, lock add fs:[ecx - 1], eax)
    EXPECT_FAULT(VEC_GP, 0, fld qword ptr fs:[ecx - 7])
    /* a store that faults stores nothing */
    mov dword ptr [scratch + 12], 0x01020304
    mov eax, -1
    EXPECT_FAULT(VEC_GP, 0, mov fs:[13], eax)
    CHECK_EQ([scratch + 12], 0x01020304)
    /* REP MOVS stops exactly at the limit */
    mov esi, 0
    mov edi, offset area64k
    mov ecx, 20
    EXPECT_FAULT(VEC_GP, 0, rep movs byte ptr es:[edi], byte ptr fs:[esi])
    CHECK_EQ(ecx, 4)
    CHECK_EQ(esi, 16)
    CHECK_EQ(edi, offset area64k + 16)
    mov esi, 2
    mov edi, offset area64k
    mov ecx, 20
    EXPECT_FAULT(VEC_GP, 0, rep movs dword ptr es:[edi], dword ptr fs:[esi])
    CHECK_EQ(ecx, 17)
    CHECK_EQ(esi, 14)
    push es
    mov es, ebx
    xor edi, edi
    mov ecx, 20
    EXPECT_FAULT(VEC_GP, 0, rep stosb)
    mov es, [kdata]
    CHECK_EQ(ecx, 4)
    CHECK_EQ(edi, 16)
    pop es

    /* pages: limit 0 is 4095 */
    DESCRIPTOR(DATA, offset area64k, 0, ACC_DATA32)
    mov fs, ebx
    EXPECT_NONE(mov al, fs:[0xfff])
    EXPECT_FAULT(VEC_GP, 0, mov al, fs:[0x1000])
    EXPECT_FAULT(VEC_GP, 0, mov ax, fs:[0xfff])

    /* expand-down: above the limit is inside, up to FFFFFFFFh or FFFFh */
    DESCRIPTOR(DATA, offset area64k - 0x1000, 0xfff, ACC_DATA32_DOWN)
    mov fs, ebx
    EXPECT_NONE(mov al, fs:[0x1000])
    EXPECT_FAULT(VEC_GP, 0, mov al, fs:[0xfff])
    EXPECT_FAULT(VEC_GP, 0, mov ax, fs:[0xfff])
    EXPECT_FAULT(VEC_GP, 0, mov al, fs:[0])
    EXPECT_NONE(mov al, fs:[0x11000])
    EXPECT_FAULT(VEC_GP, 0, mov eax, fs:[0xfffffffe])
    DESCRIPTOR(DATA, offset area64k - 0x1000, 0xfff, ACC_DATA16_DOWN)
    mov fs, ebx
    EXPECT_NONE(mov ax, fs:[0xfffe])
    EXPECT_FAULT(VEC_GP, 0, mov ax, fs:[0xffff])
    EXPECT_FAULT(VEC_GP, 0, mov al, fs:[0x10000])
    mov eax, KDATA
    mov fs, eax
    ret

/* Types */
types:
    DESCRIPTOR(DATA, offset scratch, 0xfff, ACC_DATA32_RO)
    mov ebx, DATA
    mov fs, ebx
    EXPECT_NONE(mov eax, fs:[0])
    EXPECT_NONE(cmp fs:[0], eax)
    EXPECT_FAULT(VEC_GP, 0, mov fs:[0], eax)
    EXPECT_FAULT(VEC_GP, 0, add fs:[0], eax)
    EXPECT_FAULT(VEC_GP, 0, fst dword ptr fs:[0])
    EXPECT_NONE(bt dword ptr fs:[0], 3)
    EXPECT_FAULT(VEC_GP, 0, bts dword ptr fs:[0], 3)
    EXPECT_FAULT(VEC_GP, 0, mov cs:[scratch], eax)
    EXPECT_NONE(mov eax, cs:[scratch])
    mov ebx, KCODE
    mov fs, ebx
    EXPECT_NONE(mov eax, fs:[scratch])
    EXPECT_FAULT(VEC_GP, 0, mov fs:[scratch], eax)
    /* execute-only code cannot read its own constants */
    DESCRIPTOR(CODE, 0, 0xfffff, ACC_CODE32_EXEC | 0x8000)
    mov dword ptr [trap_vector], -1
    mov dword ptr [resume_eip], offset 1f
    mov [resume_esp], esp
    ljmp CODE, offset execute_only
1:  CHECK_EQ([trap_vector], VEC_GP)
    CHECK_EQ([trap_eip], offset execute_only_read)
    CHECK_EQ([trap_cs], CODE)
    ret
execute_only:
    mov eax, [scratch]
execute_only_read:
    mov eax, cs:[scratch]
    ud2

/* Limits of code segments */
code_limits:
    DESCRIPTOR(CODE, offset short_code, offset short_code_end - short_code - 1, ACC_CODE32_BYTES)
    EXPECT_FAULT(VEC_GP, 0, ljmp CODE, offset short_code_end - short_code)
    EXPECT_FAULT(VEC_GP, 0, lcall CODE, 0x1000)
#define IN_SHORT_CODE(entry, at) \
    mov dword ptr [trap_vector], -1; \
    mov dword ptr [resume_eip], offset 1f; \
    mov [resume_esp], esp; \
    ljmp CODE, offset entry - short_code; \
1:  CHECK_EQ([trap_vector], VEC_GP); \
    CHECK_EQ([trap_error], 0); \
    CHECK_EQ([trap_cs], CODE); \
    CHECK_EQ([trap_eip], offset at - short_code)
    IN_SHORT_CODE(short_fall, short_code_end)          /* running off the end */
    IN_SHORT_CODE(short_jump, short_jump)              /* the branch faults, not its target */
    IN_SHORT_CODE(short_condition, short_condition_at)
    IN_SHORT_CODE(short_call, short_call)
    IN_SHORT_CODE(short_indirect, short_indirect_at)
    IN_SHORT_CODE(short_return, short_return_at)
    ret
short_code:
short_jump: .byte 0xe9; .long 0x1000
short_condition: cmp eax, eax
short_condition_at: .byte 0x0f, 0x84; .long 0x2000
short_call: .byte 0xe8; .long 0x1000
short_indirect: mov ecx, 0x5000
short_indirect_at: jmp ecx
short_return: push 0x4000
short_return_at: ret
short_fall: nop
short_code_end: nop
    nop

/* Pushes beyond the limit of the stack segment: #SS(0), ESP unchanged */
stack_limits:
    DESCRIPTOR(DATA, offset area64k, 0xfff, ACC_DATA32_BYTES + DPL3)
    EXPECT_USER(user_push_above, 0x202, VEC_SS, 0, user_push_above_at)
    CHECK_EQ([trap_esp], 0x1002)
    EXPECT_USER(user_pop_above, 0x202, VEC_SS, 0, user_pop_above_at)
    CHECK_EQ([trap_esp], 0x1000)
    EXPECT_USER(user_push_wrap, 0x202, VEC_SS, 0, user_push_wrap_at)
    CHECK_EQ([trap_esp], 0)
    EXPECT_USER(user_call_wrap, 0x202, VEC_SS, 0, user_call_wrap_at)
    CHECK_EQ([trap_esp], 0)
    EXPECT_USER(user_pusha_wrap, 0x202, VEC_SS, 0, user_pusha_wrap_at)
    CHECK_EQ([trap_esp], 16)
    EXPECT_USER(user_ebp, 0x202, VEC_SS, 0, user_ebp_at)
    EXPECT_USER(user_enter, 0x202, VEC_SS, 0, user_enter_at)
    CHECK_EQ([trap_esp], 2)
    CHECK_EQ(ebp, 0x77)
    ret
.macro SMALL_STACK esp_
    mov eax, DATA + 3
    mov ss, eax
    mov esp, \esp_
.endm
user_push_above: SMALL_STACK 0x1002
user_push_above_at: push eax
user_pop_above: SMALL_STACK 0x1000
user_pop_above_at: pop eax
user_push_wrap: SMALL_STACK 0
user_push_wrap_at: push eax
user_call_wrap: SMALL_STACK 0
user_call_wrap_at: call user_push_wrap
user_pusha_wrap: SMALL_STACK 16
user_pusha_wrap_at: pushad
user_ebp: SMALL_STACK 0x800
    mov ebp, 0x1000
user_ebp_at: mov eax, [ebp]
user_enter: SMALL_STACK 2
    mov ebp, 0x77
user_enter_at: enter 4, 0

    .data
    .balign 8
kdata: .long KDATA

    .bss
    .balign 4096
area64k: .skip 65536 + 4096
scratch: .skip 4096
