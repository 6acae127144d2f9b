/*
 * Enters and leaves 32-bit code. The frame at NATIVE_AT has absolute addresses, because no register is free. Offsets are those of
 * struct native_frame in native.c, which asserts them.
 */
#define NATIVE_AT 0x180000
#define IN_GPR    0x00
#define IN_FLAGS  0x20
#define HOST_RSP  0x28
#define FAR_IN    0x30
#define OUT_GPR   0x40
#define OUT_FLAGS 0x60
#define HOST_DS   0x68
#define HOST_ES   0x6c
#define MXCSR     0x70
#define COMPONENTS 0x74
#define IN_FX     0x200
#define OUT_FX    0x600
#define AT(field) ds:[NATIVE_AT + field]

    .intel_syntax noprefix
    .text
    .globl native_enter
    .type native_enter, @function
native_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov eax, ds
    mov dword ptr AT(HOST_DS), eax
    mov eax, es
    mov dword ptr AT(HOST_ES), eax
    mov qword ptr AT(HOST_RSP), rsp
    mov eax, 0x2b
    mov ds, eax
    mov es, eax
    mov eax, dword ptr AT(COMPONENTS)
    xor edx, edx
    test eax, eax
    jz 1f
    xrstor AT(IN_FX)
    jmp 2f
1:  fxrstor AT(IN_FX)
2:
    push qword ptr AT(IN_FLAGS)
    popfq
    mov eax, dword ptr AT(IN_GPR)
    mov ecx, dword ptr AT(IN_GPR + 4)
    mov edx, dword ptr AT(IN_GPR + 8)
    mov ebx, dword ptr AT(IN_GPR + 12)
    mov esp, dword ptr AT(IN_GPR + 16)
    mov ebp, dword ptr AT(IN_GPR + 20)
    mov esi, dword ptr AT(IN_GPR + 24)
    mov edi, dword ptr AT(IN_GPR + 28)
    .byte 0xff, 0x2c, 0x25 /* LJMP m16:32, which this syntax cannot say */
    .long NATIVE_AT + FAR_IN

    /* Copied below 4 GB, where 32-bit code can jump to; so nothing here is relative to RIP */
    .globl native_stub, native_stub_resume, native_stub_end
native_stub:
    mov dword ptr AT(OUT_GPR), eax
    mov dword ptr AT(OUT_GPR + 4), ecx
    mov dword ptr AT(OUT_GPR + 8), edx
    mov dword ptr AT(OUT_GPR + 12), ebx
    mov dword ptr AT(OUT_GPR + 16), esp
    mov dword ptr AT(OUT_GPR + 20), ebp
    mov dword ptr AT(OUT_GPR + 24), esi
    mov dword ptr AT(OUT_GPR + 28), edi
    mov rsp, qword ptr AT(HOST_RSP)
    pushfq
    pop qword ptr AT(OUT_FLAGS)
    cld
    mov eax, dword ptr AT(COMPONENTS)
    xor edx, edx
    test eax, eax
    jz 1f
    xsave AT(OUT_FX)
    vzeroupper
    jmp native_stub_resume
1:  fxsave AT(OUT_FX)
native_stub_resume: /* the signal handler comes back here, RSP = HOST_RSP */
    mov eax, dword ptr AT(HOST_DS)
    mov ds, eax
    mov eax, dword ptr AT(HOST_ES)
    mov es, eax
    fninit
    ldmxcsr dword ptr AT(MXCSR)
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
native_stub_end:
    .section .note.GNU-stack, "", @progbits
