/*
 * Hazard: fast system calls. Every system call of a modern guest uses them, and the first process dies of wrong hidden parts of
 * segments or wrong flags. SDM 2B SYSENTER, SYSEXIT; 3A 5.8.7.
 */
#include "guest.inc"
GUEST(sysenter)

/* CS, SS = CS + 8, user CS = CS + 16, user SS = CS + 24: the library's GDT is laid out so */
MSR_CS = 0x174
MSR_ESP = 0x175
MSR_EIP = 0x176

guest_main:
    mov eax, 1
    cpuid
    test edx, 1 << 11
    jz 9f
    /* IA32_SYSENTER_CS null: #GP(0) */
    mov ecx, MSR_CS
    xor eax, eax
    xor edx, edx
    wrmsr
    EXPECT_FAULT(VEC_GP, 0, sysenter)
    EXPECT_FAULT(VEC_GP, 0, sysexit)
    mov eax, KCODE
    wrmsr
    mov ecx, MSR_ESP
    mov eax, offset trap_stack_top - 64
    wrmsr
    mov ecx, MSR_EIP
    mov eax, offset kernel_entry
    wrmsr
    rdmsr
    CHECK_EQ(eax, offset kernel_entry)
    CHECK_EQ(edx, 0)
    EXPECT_USER(user_sysexit, 0x202, VEC_GP, 0, user_sysexit)

    /* a round trip */
    mov ebx, 0x1234
    mov esi, 0x5678
    EXPECT_USER(user_call, 0x3a02 | FL_CF, 0x80, 0, user_call_done)
    CHECK_EQ([seen_cs], KCODE)
    CHECK_EQ([seen_ss], KDATA)
    CHECK_EQ([seen_esp], offset trap_stack_top - 64)
    mov eax, [seen_flags]
    and eax, FL_IF + FL_VM + FL_RF + FL_CF + FL_IOPL3
    CHECK_EQ(eax, FL_CF + FL_IOPL3)         /* IF cleared, the rest kept */
    CHECK_EQ([trap_cs], UCODE)
    CHECK_EQ([trap_ss], UDATA)
    CHECK_EQ([trap_esp], offset user_stack_top)
    CHECK_EQ(ebx, 0x1235)
    CHECK_EQ(esi, 0x5678)

    /* many calls, so that their code is hot */
    xor ebx, ebx
    mov edi, 20000
    EXPECT_USER(user_loop, 0x202, 0x80, 0, user_loop_done)
    CHECK_EQ(ebx, 20000)

    /* from CPL 0 it is a jump */
    mov [saved_esp], esp
    mov dword ptr [from_kernel], 1
    sysenter
kernel_back:
    mov esp, [saved_esp]
    mov dword ptr [from_kernel], 0
    mov eax, cs
    CHECK_EQ(eax, KCODE)
9:  CHECK_EQ([from_kernel], 0)
    ret

kernel_entry:
    mov [seen_esp], esp
    pushfd
    pop dword ptr [seen_flags]
    mov eax, cs
    mov [seen_cs], eax
    mov eax, ss
    mov [seen_ss], eax
    cmp dword ptr [from_kernel], 0
    jne kernel_back
    inc ebx
    sti                     /* the shadow of STI covers SYSEXIT: Linux relies on it */
    sysexit

user_call: /* ECX: stack, EDX: return address, by the convention of this test */
    mov ecx, esp
    mov edx, offset user_call_back
    sysenter
    ud2
user_call_back:
    int 0x80
user_call_done:
user_loop:
    mov ecx, esp
    mov edx, offset 1f
    sysenter
1:  dec edi
    jnz user_loop
    int 0x80
user_loop_done:
user_sysexit:
    sysexit

    .bss
    .balign 4
saved_esp: .skip 4
from_kernel: .skip 4
seen_cs: .skip 4
seen_ss: .skip 4
seen_esp: .skip 4
seen_flags: .skip 4
