/*
 * x87, MMX, SSE and AVX instructions, executed on the host. Each becomes a thunk: a function that consists of the
 * instruction and RET. Its memory operand is at [r9] (a bounce buffer), and the guest's ESP, or one of R8 to R15, is in
 * r8. The bytes of a thunk are few enough to be its key in the table of thunks.
 *
 * The thunks' memory is mapped twice, for writing and for executing. A thunk can raise one host signal: SIGFPE,
 * for a SIMD exception that the guest has unmasked. Which flags of MXCSR such an instruction leaves depends on
 * the CPU (DPPS is several operations, and CPUs stop at different ones). So the host's CPU decides it here, as
 * in translated code. Pending #MF was checked before, and the bounce buffer raises no fault.
 */
#include "base/hash.h"
#include "cpuid.h"
#include "exec.h"
#include "host_alu.h"
#include "interp_private.h"
#include "isa.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THUNK_SLOTS 4096u
#define THUNK_BYTES 16u
#define ARENA_BYTES (THUNK_SLOTS * THUNK_BYTES)

struct thunks {
    u8 *write;
    const u8 *exec;
    _Alignas(64) u8 bounce[64];
};

int thunks_init(struct vcpu *v)
{
    struct thunks *t = aligned_alloc(64, sizeof *t);
    if (!t) return -ENOMEM;
    int error = 0, fd = memfd_create("ringer-thunks", MFD_CLOEXEC);
    void *write = MAP_FAILED, *exec = MAP_FAILED;
    if (fd < 0 || ftruncate(fd, ARENA_BYTES) < 0 ||
        (write = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED ||
        (exec = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0)) == MAP_FAILED)
        error = -errno;
    if (fd >= 0) close(fd);
    t->write = write;
    t->exec = exec;
    v->thunks = t;
    if (error) thunks_destroy(v);
    return error;
}

void thunks_destroy(struct vcpu *v)
{
    struct thunks *t = v->thunks;
    if (!t) return;
    if (t->write != MAP_FAILED) munmap(t->write, ARENA_BYTES);
    if (t->exec != MAP_FAILED) munmap((void *)(uintptr_t)t->exec, ARENA_BYTES);
    free(t);
    v->thunks = NULL;
}

/* --- making thunks --- */

/* The general register operand that ModRM's field has, if the host's register of that number is not the guest's:
 * ESP, and R8 to R15. Such an instruction has one general register operand, and it is moved to r8. */
static const struct operand *moved_operand(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++) {
        const struct operand *o = &i->op[n];
        if (o->kind == OPND_REG && o->reg_class <= RC_GPR64 && o->field <= FIELD_MODRM_RM &&
            o->field != FIELD_OTHER && (o->reg == REG_ESP || o->reg >= 8))
            return o;
    }
    return NULL;
}

/* The bytes of a thunk, the lowest first. A mandatory prefix, REX, 0F 38, opcode, ModRM, an immediate and RET
 * are eight bytes: one u64. So are an EVEX prefix, opcode, ModRM, an immediate and RET. */
struct code {
    u64 bytes;
    unsigned length;
};

static void put(struct code *c, u8 byte)
{
    c->bytes |= (u64)byte << (8 * c->length++);
}

/* With VEX or EVEX: the prefix's fields have the numbers of the registers that the decoder found. */
static u64 vex_thunk_code(const struct insn *i, bool memory)
{
    enum { R8 = 8, R9 = 9 };
    const struct operand *moved = moved_operand(i);
    struct code c = {0, 0};
    struct vex_fields f = {.reg = i->modrm >> 3 & 7, .rm = i->modrm & 7};
    u8 prefix[VEX_PREFIX_MOST];
    for (unsigned n = 0; n < i->operand_count; n++) {
        const struct operand *o = &i->op[n];
        if (o->kind != OPND_REG) continue;
        u8 number = o == moved ? R8 : o->reg;
        if (o->field == FIELD_MODRM_REG) f.reg = number;
        if (o->field == FIELD_MODRM_RM) f.rm = number;
        if (o->field == FIELD_VVVV) f.vvvv = number;
    }
    if (memory) f.rm = R9;
    unsigned prefix_bytes = insn_vex_or_evex_prefix(i, &f, prefix);
    for (unsigned n = 0; n < prefix_bytes; n++)
        put(&c, prefix[n]);
    put(&c, i->opcode);
    if (i->has_modrm) put(&c, (u8)((memory ? 0 : 0xc0) | (f.reg & 7) << 3 | (f.rm & 7)));
    if (i->imm_bytes) put(&c, insn_vex_immediate(i));
    put(&c, 0xc3); /* RET */
    return c.bytes;
}

static u64 thunk_code(const struct insn *i, bool memory)
{
    enum { REX = 0x40, REX_W = 8, REX_R = 4, REX_B = 1, R8 = 0, R9 = 1 };
    if (insn_has_vex(i)) return vex_thunk_code(i, memory);
    const struct operand *moved = moved_operand(i);
    struct code c = {0, 0};
    u8 rex = i->rex & (REX_W | REX_R | REX_B), modrm = i->modrm;
    if (moved && moved->field == FIELD_MODRM_REG) {
        rex |= REX_R;
        modrm = (modrm & ~0x38) | R8 << 3;
    }
    if (memory) {
        rex |= REX_B;
        modrm = (modrm & 0x38) | R9;
    } else if (moved && moved->field == FIELD_MODRM_RM) {
        rex |= REX_B;
        modrm = (modrm & ~7) | R8;
    }
    if (i->mandatory) put(&c, i->mandatory);
    if (rex) put(&c, REX | rex);
    if (i->map >= 1) put(&c, 0x0f);
    if (i->map == 2) put(&c, 0x38);
    if (i->map == 3) put(&c, 0x3a);
    put(&c, i->opcode);
    if (i->has_modrm) put(&c, modrm);
    if (i->imm_bytes) put(&c, i->bytes[i->imm_offset]);
    put(&c, 0xc3); /* RET */
    return c.bytes;
}

/* Serialize after code that may have been executed was replaced through another address (SDM 3A 8.1.3). */
static void serialize(void)
{
    u32 eax = 0, ecx = 0;
    __asm__ volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx", "memory");
}

static const void *find_thunk(struct thunks *t, u64 code)
{
    u64 slot = (hash_multiply(code) >> 40) % THUNK_SLOTS * THUNK_BYTES;
    u64 *write = (u64 *)(t->write + slot);
    if (unlikely(*write != code)) {
        bool replaces = *write;
        *write = code;
        if (replaces) serialize();
    }
    return t->exec + slot;
}

/* The place of r8 in a frame: that of ESP. */
enum { THUNK_R8 = REG_ESP };

/* --- running thunks --- */

static void frame_prepare(struct thunk_frame *f, const struct vcpu *v, const struct insn *i, bool memory)
{
    struct thunks *t = v->thunks;
    for (unsigned n = 0; n < ARRAY_SIZE(f->gpr); n++)
        f->gpr[n] = v->gpr[n];
    if (moved_operand(i)) f->gpr[THUNK_R8] = vcpu_gpr_read(v, moved_operand(i)->reg);
    f->flags = flags_pack(v->eflags);
    f->memory = t->bounce;
    f->code = find_thunk(t, thunk_code(i, memory));
}

/* Results of 32 bits are zero-extended, as the guest's are. */
static void frame_commit(const struct thunk_frame *f, struct vcpu *v, const struct insn *i)
{
    const struct operand *moved = moved_operand(i);
    for (unsigned n = 0; n < ARRAY_SIZE(f->gpr); n++)
        if (n != THUNK_R8) v->gpr[n] = f->gpr[n];
    if (moved) *vcpu_gpr(v, moved->reg) = f->gpr[THUNK_R8];
    flags_unpack(v, f->flags);
}

/* Must the operand be aligned? With VEX it is the exception, without the rule for operands of 16 bytes. */
static bool is_aligned(const struct cpu_model *model, const struct insn *i, const struct operand *o)
{
    unsigned traits = i->row->traits;
    if (traits & ISA_AVX) return traits & ISA_ALIGNED;
    if (traits & ISA_MAY_BE_UNALIGNED) return model->sha_is_aligned;
    return o->bytes == 16 && !(traits & ISA_UNALIGNED);
}

/* --- operands with a writemask --- */

/* The elements of the memory operand that the mask selects, by MASK_PACKED the first ones. */
static u64 elements_of_mask(const struct vcpu *v, const struct insn *i, const struct operand *o)
{
    unsigned count = o->bytes / i->element_bytes;
    u64 mask = fpu_opmask(v, i->mask), elements = 0;
    if (i->mask_bits < 64) mask &= (1ull << i->mask_bits) - 1;
    switch ((enum mask_rule)i->mask_rule) {
    case MASK_PACKED:
        for (; mask; mask &= mask - 1)
            elements = elements << 1 | 1;
        return elements;
    case MASK_SPREAD:
        for (; mask; mask = count < 64 ? mask >> count : 0)
            elements |= mask & ((1ull << count) - 1);
        return elements;
    default: return mask;
    }
}

/* Move the elements between guest memory and the bounce buffer, or only check that it may be written. */
enum transfer { TRANSFER_READ, TRANSFER_PROBE, TRANSFER_WRITE };
static void move_elements(struct vcpu *v, const struct insn *i, u64 address, u64 elements, u8 *bounce,
                          enum transfer transfer)
{
    unsigned bytes = i->element_bytes;
    for (unsigned n = 0; elements >> n; n++) {
        u64 at = exec_mask_address(i, address + n * bytes);
        if (!(elements >> n & 1)) continue;
        switch (transfer) {
        case TRANSFER_READ: mem_read_bytes(v, i->mem_seg, at, bounce + n * bytes, bytes); break;
        case TRANSFER_PROBE: mem_probe_write(v, i->mem_seg, at, bytes); break;
        case TRANSFER_WRITE: mem_write_bytes(v, i->mem_seg, at, bounce + n * bytes, bytes); break;
        }
        if (n == 63) break;
    }
}

static void prepare_masked(struct vcpu *v, const struct insn *i, const struct operand *o, u64 address,
                           u8 *bounce)
{
    if (i->mask_rule == MASK_ALL && o->written) {
        mem_probe_write(v, i->mem_seg, address, o->bytes);
    } else if (i->mask_rule == MASK_ALL) {
        mem_read_bytes(v, i->mem_seg, address, bounce, o->bytes);
    } else {
        u64 elements = elements_of_mask(v, i, o);
        move_elements(v, i, address, elements, bounce, o->written ? TRANSFER_PROBE : TRANSFER_READ);
    }
}

static void prepare_memory(struct vcpu *v, const struct insn *i, const struct operand *o, u64 address,
                           u8 *bounce)
{
    bool unused = i->mask && !v->model->unused_is_aligned && !elements_of_mask(v, i, o);
    if (is_aligned(v->model, i, o) && !unused)
        mem_check_aligned(v, i->mem_seg, address, o->bytes, o->bytes, o->written);
    if (i->mask) {
        prepare_masked(v, i, o, address, bounce);
        return;
    }
    if (o->written) mem_probe_write(v, i->mem_seg, address, o->bytes);
    /* An x87 store with an unmasked exception stores nothing: then the old bytes are written again. */
    if (o->read || (i->row->traits & ISA_FPU)) mem_read_bytes(v, i->mem_seg, address, bounce, o->bytes);
}

void thunk_execute(struct vcpu *v, const struct insn *i)
{
    struct thunks *t = v->thunks;
    const struct operand *memory = insn_memory(i);
    struct thunk_frame frame;
    u64 address = memory ? exec_address(v, i) : 0;
    if (memory) prepare_memory(v, i, memory, address, t->bounce);
    frame_prepare(&frame, v, i, memory);
    if (!fpu_execute(v, &frame)) fault_raise(v, v->paging.cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
    if (memory && memory->written && i->mask)
        move_elements(v, i, address, elements_of_mask(v, i, memory), t->bounce, TRANSFER_WRITE);
    else if (memory && memory->written)
        mem_write_bytes(v, i->mem_seg, address, t->bounce, memory->bytes);
    frame_commit(&frame, v, i);
}
