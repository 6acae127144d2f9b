/*
 * String instructions: the bulk routine must do what single elements do, across pages, with overlap, backwards, at
 * faults, in 16-bit addressing, and when something is pending.
 */
#include "exec_rig.h"

#include <string.h>

static u8 model[0x4000];

static void fill(struct rig *rig)
{
    for (unsigned n = 0; n < sizeof(model); n++)
        model[n] = (u8)(n * 7 + (n >> 8));
    phys_write_bytes(&rig->phys, RIG_DATA, model, sizeof(model));
}

static bool same(struct rig *rig)
{
    static u8 actual[sizeof(model)];
    phys_read_bytes(&rig->phys, RIG_DATA, actual, sizeof(actual));
    return !memcmp(actual, model, sizeof(model));
}

/* REP MOVS as the manual defines it, one element after the other. */
static void model_movs(u32 from, u32 to, u32 count, unsigned bytes, bool down)
{
    while (count--) {
        u8 element[4];
        memcpy(element, model + from, bytes);
        memcpy(model + to, element, bytes);
        from += down ? -bytes : bytes;
        to += down ? -bytes : bytes;
    }
}

static void test_movs(struct rig *rig)
{
    static const struct {
        u32 from, to, count;
        u8 bytes;
        bool down;
    } cases[] = {
        {0, 0x2000, 5000, 1, false},
        {3, 0x2001, 0x700, 4, false},
        {0x10, 0x11, 3000, 1, false},
        {0x10, 0x12, 1000, 4, false},
        {0x100, 0xfd, 1000, 4, false},
        {0x1ffc, 0x3ffc, 0x600, 4, true},
        {0x1fff, 0x2003, 500, 2, true},
        {0x1003, 0x1001, 700, 4, true},
        {0xffe, 0x2ffe, 3, 4, false},
        {5, 9, 1, 4, false},
        {5, 9, 0, 4, false},
    };
    struct vcpu *v = &rig->vcpu;
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        u8 opcode[] = {0x66, 0xf3, 0xa5};
        const u8 *code = cases[n].bytes == 2 ? opcode : opcode + 1;
        if (cases[n].bytes == 1) opcode[2] = 0xa4;
        rig_load(rig, code, 3);
        with_handlers(rig);
        if (n & 1) with_paging(rig);
        fill(rig);
        v->gpr[REG_ESI] = RIG_DATA + cases[n].from;
        v->gpr[REG_EDI] = RIG_DATA + cases[n].to;
        v->gpr[REG_ECX] = cases[n].count;
        if (cases[n].down) v->eflags |= FL_DF;
        model_movs(cases[n].from, cases[n].to, cases[n].count, cases[n].bytes, cases[n].down);
        STEP_OK(rig);
        u32 moved = cases[n].count * cases[n].bytes * (cases[n].down ? -1u : 1u);
        CHECK(same(rig));
        CHECK_EQ(v->gpr[REG_ECX], 0);
        CHECK_EQ(v->gpr[REG_ESI], RIG_DATA + cases[n].from + moved);
        CHECK_EQ(v->gpr[REG_EDI], RIG_DATA + cases[n].to + moved);
        CHECK_EQ(v->rip, RIG_CODE + (cases[n].bytes == 2 ? 3u : 2u));
    }
}

static void test_faults(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0xf3, 0xab); /* rep stosd into a page that is not there */
    with_paging(rig);
    fill(rig);
    map_page(rig, RIG_DATA + 0x1000, 0);
    v->gpr[REG_EAX] = 0xabcdef01;
    v->gpr[REG_EDI] = RIG_DATA + 0xff8;
    v->gpr[REG_ECX] = 5;
    struct outcome o = step(rig);
    CHECK_EQ(o.vector, VEC_PF);
    CHECK_EQ(o.error, PF_WRITE);
    CHECK_EQ(v->cr2, RIG_DATA + 0x1000);
    CHECK_EQ(v->gpr[REG_ECX], 3);
    CHECK_EQ(v->gpr[REG_EDI], RIG_DATA + 0x1000);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP] + 4, 4), RIG_CODE);

    LOAD(rig, 0xf3, 0xa5); /* the limit of ES: #GP at the element */
    v->seg[SEG_ES].limit = RIG_DATA + 0x104;
    vcpu_update_mode(v);
    v->gpr[REG_ESI] = RIG_DATA;
    v->gpr[REG_EDI] = RIG_DATA + 0xfd;
    v->gpr[REG_ECX] = 100;
    CHECK_EQ(step(rig).vector, VEC_GP);
    CHECK_EQ(v->gpr[REG_ECX], 98);
}

static void test_compares(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0xf2, 0xae); /* repne scasb: strlen over pages */
    for (u32 n = 0; n < 0x1800; n++)
        phys_write(&rig->phys, RIG_DATA + n, 1, n == 0x1234 ? 0 : 'x');
    v->gpr[REG_EDI] = RIG_DATA;
    v->gpr[REG_ECX] = 0xffffffff;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_EDI], RIG_DATA + 0x1235);
    CHECK_EQ(v->gpr[REG_ECX], 0xffffffff - 0x1235);
    CHECK_EQ(flags(rig), FL_ZF | FL_PF);

    LOAD(rig, 0xf3, 0xa7); /* repe cmpsd */
    fill(rig);
    phys_write_bytes(&rig->phys, RIG_DATA + 0x2000, model, 0x1100);
    phys_write(&rig->phys, RIG_DATA + 0x2000 + 0x1008, 4, 0xffffffff);
    v->gpr[REG_ESI] = RIG_DATA;
    v->gpr[REG_EDI] = RIG_DATA + 0x2000;
    v->gpr[REG_ECX] = 0x440;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_ESI], RIG_DATA + 0x100c);
    CHECK_EQ(v->gpr[REG_ECX], 0x440 - 0x403);
    CHECK(v->eflags & FL_CF);
    CHECK(!(v->eflags & FL_ZF));

    LOAD(rig, 0xf3, 0xa6); /* no iteration: flags stay */
    v->eflags |= FL_CF | FL_OF;
    STEP_OK(rig);
    CHECK_EQ(flags(rig), FL_CF | FL_OF);
}

static void test_sixteen(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0x67, 0xf3, 0xa4); /* SI and DI wrap at 64 KB, high halves stay */
    v->seg[SEG_DS].base = v->seg[SEG_ES].base = 0x100000;
    vcpu_update_mode(v);
    for (u32 n = 0; n < 0x10000; n += 4)
        phys_write(&rig->phys, 0x100000 + n, 4, n);
    v->gpr[REG_ESI] = 0xaaaafffc;
    v->gpr[REG_EDI] = 0xbbbb8000;
    v->gpr[REG_ECX] = 0xcccc0008;
    STEP_OK(rig);
    CHECK_EQ(v->gpr[REG_ESI], 0xaaaa0004);
    CHECK_EQ(v->gpr[REG_EDI], 0xbbbb8008);
    CHECK_EQ(v->gpr[REG_ECX], 0xcccc0000);
    CHECK_EQ(phys_read(&rig->phys, 0x108000, 8), 0xfffc);
}

static void test_interruption(struct rig *rig)
{
    struct vcpu *v = &rig->vcpu;
    LOAD(rig, 0xf3, 0xa4);
    fill(rig);
    v->gpr[REG_ESI] = RIG_DATA;
    v->gpr[REG_EDI] = RIG_DATA + 0x2000;
    v->gpr[REG_ECX] = 0x2000;
    v->pending = PENDING_HOST;
    STEP_OK(rig);
    CHECK_EQ(v->rip, RIG_CODE);
    CHECK(v->gpr[REG_ECX] > 0 && v->gpr[REG_ECX] < 0x2000);
    v->pending = 0;
    STEP_OK(rig);
    CHECK_EQ(v->rip, RIG_CODE + 2);
    model_movs(0, 0x2000, 0x2000, 1, false);
    CHECK(same(rig));

    LOAD(rig, 0xf3, 0xa4); /* TF: a trap after each element, EIP at the instruction */
    v->gpr[REG_ESI] = v->gpr[REG_EDI] = RIG_DATA;
    v->gpr[REG_ECX] = 2;
    v->eflags |= FL_TF;
    vcpu_update_mode(v);
    CHECK_EQ(step(rig).vector, VEC_DB);
    CHECK_EQ(v->gpr[REG_ECX], 1);
    CHECK_EQ(phys_read(&rig->phys, v->gpr[REG_ESP], 4), RIG_CODE);
}

/* --- INS and OUTS --- */

/* A port that counts up, or checks that it is counted up; `room` elements go in bulk, then one singly. */
struct stream {
    u32 next, room, singles, bulks, wrong;
};

static u32 stream_in(void *machine, u16 port, unsigned size)
{
    struct stream *stream = machine;
    stream->singles++;
    return stream->next++;
}
static void stream_out(void *machine, u16 port, unsigned size, u32 value)
{
    struct stream *stream = machine;
    stream->singles++;
    stream->wrong += value != (u32)mask_bytes(stream->next++, size);
}
static u32 stream_in_string(void *machine, u16 port, unsigned size, u8 *to, u32 count)
{
    struct stream *stream = machine;
    u32 taken = count < stream->room ? count : stream->room;
    stream->bulks += taken != 0;
    for (u32 n = 0; n < taken; n++)
        store_any(to + n * size, size, stream->next++);
    return taken;
}
static u32 stream_out_string(void *machine, u16 port, unsigned size, const u8 *from, u32 count)
{
    struct stream *stream = machine;
    u32 taken = count < stream->room ? count : stream->room;
    stream->bulks += taken != 0;
    for (u32 n = 0; n < taken; n++)
        stream->wrong += load_any(from + n * size, size) != mask_bytes(stream->next++, size);
    return taken;
}

/* Steps until the string is done; 300 words over a page end, written and read back. */
static void test_ports(struct rig *rig, u32 room, bool down, u32 singles)
{
    struct vcpu *v = &rig->vcpu;
    struct stream stream = {.room = room};
    u32 first = RIG_DATA + 0xf00, count = 300;
    rig->host = (struct vcpu_host){.port_read = stream_in,
                                   .port_write = stream_out,
                                   .port_read_string = stream_in_string,
                                   .port_write_string = stream_out_string,
                                   .machine = &stream};
    for (unsigned out = 0; out < 2; out++) {
        LOAD(rig, 0x66, 0xf3, 0x6d, 0x66, 0xf3, 0x6f);
        v->rip += out * 3;
        stream.next = stream.singles = 0;
        u32 from = down ? first + (count - 1) * 2 : first;
        v->gpr[REG_ESI] = v->gpr[REG_EDI] = from;
        v->gpr[REG_ECX] = count;
        if (down) v->eflags |= FL_DF;
        STEP_OK(rig);
        CHECK_EQ(v->gpr[REG_ECX], 0);
        CHECK_EQ(v->gpr[out ? REG_ESI : REG_EDI], from + (down ? -count : count) * 2);
        CHECK_EQ(phys_read(&rig->phys, first, 2), down ? count - 1 : 0);
        CHECK_EQ(phys_read(&rig->phys, first + 2 * (count - 1), 2), down ? 0 : count - 1);
        CHECK_EQ(stream.next, count);
        CHECK(stream.singles <= singles);
    }
    CHECK_EQ(stream.wrong, 0);
    CHECK_EQ(stream.bulks != 0, room && !down);
    rig->host = (struct vcpu_host){0};
}

int main(void)
{
    struct rig *rig = rig_create();
    test_movs(rig);
    test_faults(rig);
    test_compares(rig);
    test_sixteen(rig);
    test_interruption(rig);
    test_ports(rig, 1000, false, 4);
    test_ports(rig, 100, false, 4);
    test_ports(rig, 0, false, 300);
    test_ports(rig, 1000, true, 300);
    rig_close(rig);
    return check_report();
}
