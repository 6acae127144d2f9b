#include "state.h"

#include <string.h>

u64 random_next(struct random *r)
{
    u64 x = r->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->state = x;
    return x * 0x2545f4914f6cdd1dull;
}

u32 random_u32(struct random *r)
{
    static const u32 edges[] = {
        0,      1,       2,          0x7f,       0x80,       0xff,       0x100,      0x7fff,     0x8000,
        0xffff, 0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0xfffffffe, 0xffffff80, 0xffff8000,
        31,     32,      33,         0x55555555, 0xaaaaaaaa, 0x00ff00ff, 0x80808080, 0x7f7f7f7f, 0x01010101,
    };
    switch (random_below(r, 4)) {
    case 0: return edges[random_below(r, ARRAY_SIZE(edges))];
    case 1: return random_below(r, 256);
    case 2: return edges[random_below(r, ARRAY_SIZE(edges))] ^ (1u << random_below(r, 32));
    default: return (u32)(random_next(r) >> 32);
    }
}

/* Singles, doubles and integers at their boundaries, side by side. */
void random_bytes(struct random *r, u8 *to, unsigned bytes)
{
    static const u64 edges[] = {
        0,
        0x8000000000000000,
        0x3ff0000000000000, /* 1.0 */
        0xbff8000000000000, /* -1.5 */
        0x7ff0000000000000, /* infinity */
        0xfff0000000000000,
        0x7ff8000000000000, /* quiet NaN */
        0x7ff0000000000001, /* signalling NaN */
        0x0000000000000001, /* denormal */
        0x000fffffffffffff,
        0x0010000000000000, /* smallest normal */
        0x7fefffffffffffff, /* largest */
        0x41dfffffffc00000, /* 2^31 - 1 */
        0x41e0000000000000, /* 2^31 */
        0xc1e0000000200000, /* below -2^31 */
        0x43e0000000000000, /* 2^63 */
        0x3f8000003f800000, /* two singles: 1.0 */
        0x7f800000ff800000, /* infinities */
        0x7fc000007f800001, /* NaNs */
        0x0000000180000001, /* denormals */
        0x007fffff00800000,
        0x7f7fffffff7fffff,
        0x4f0000004effffff, /* 2^31 and just below */
        0x402000003fc00000, /* 2.5 1.5 */
        0x00ff00ff00ff00ff,
        0x8000800080008000,
        0x7fff7fff80018001,
        0xffffffffffffffff,
        0x0706050403020100,
        0x8080808080808080,
    };
    while (bytes) {
        u64 v = random_chance(r, 60) ? edges[random_below(r, ARRAY_SIZE(edges))] : random_next(r);
        unsigned n = bytes < 8 ? bytes : 8;
        memcpy(to, &v, n);
        to += n;
        bytes -= n;
    }
}

static void put16(u8 *to, unsigned v)
{
    to[0] = (u8)v;
    to[1] = (u8)(v >> 8);
}

static void random_st(struct random *r, u8 *to)
{
    static const u16 exponents[] = {0, 0, 1, 0x3ffe, 0x3fff, 0x4000, 0x401e, 0x403e, 0x7ffe, 0x7fff, 0x7fff};
    static const u64 mantissas[] = {0,
                                    1,
                                    0x8000000000000000,
                                    0x8000000000000001,
                                    0xc000000000000000,
                                    0xffffffffffffffff,
                                    0x7fffffffffffffff,
                                    0xa000000000000000};
    u64 mantissa = random_chance(r, 60) ? mantissas[random_below(r, ARRAY_SIZE(mantissas))] : random_next(r);
    unsigned exponent = exponents[random_below(r, ARRAY_SIZE(exponents))];
    if (random_chance(r, 30)) exponent = 0x3fff + random_below(r, 70) - 3;
    if (random_chance(r, 50)) mantissa |= 1ull << 63; /* unnormals are rare */
    memcpy(to, &mantissa, 8);
    put16(to + 8, exponent | (random_chance(r, 40) ? 0x8000 : 0));
    memset(to + 10, 0, 6);
}

static void random_fpu(u8 *fx, struct random *r)
{
    memset(fx, 0, 512);
    unsigned control = 0x37f, status = random_below(r, 8) << 11 | (random_below(r, 16) & 7) << 8;
    if (random_chance(r, 30)) control = (control & ~0xf00u) | random_below(r, 16) << 8;
    if (random_chance(r, 15)) control = (control & ~0x3fu) | random_below(r, 64);
    if (random_chance(r, 30)) status |= random_below(r, 64) & control; /* masked exceptions seen before */
    if (random_chance(r, 3)) {                                         /* an unmasked one pending */
        status |= random_below(r, 64);
        if (status & ~control & 0x3f) status |= 0x8080;
    }
    put16(fx + FX_FCW, control);
    put16(fx + FX_FSW, status);
    fx[FX_FTW] = random_chance(r, 30) ? 0xff : random_chance(r, 20) ? 0 : (u8)random_next(r);
    u32 mxcsr = 0x1f80;
    if (random_chance(r, 40))
        mxcsr |= random_below(r, 4) << 13 | (random_chance(r, 40) ? 0x8000 : 0) |
                 (random_chance(r, 40) ? 0x40 : 0);
    if (random_chance(r, 10)) mxcsr = (mxcsr & ~0x1f80u) | random_below(r, 64) << 7;
    if (random_chance(r, 20)) mxcsr |= random_below(r, 64);
    memcpy(fx + FX_MXCSR, &mxcsr, 4);
    for (unsigned n = 0; n < 8; n++) {
        random_st(r, fx + FX_ST + 16 * n);
        random_bytes(r, fx + FX_XMM + 16 * n, 16);
    }
}

void state_random(struct state *s, struct random *r)
{
    memset(s, 0, sizeof(*s));
    for (unsigned n = 0; n < 8; n++)
        s->gpr[n] = random_u32(r);
    s->gpr[4] = SCRATCH_AT + 0x1000 + random_below(r, 0x400) * 4;
    s->gpr[5] = SCRATCH_AT + 0x1000 + random_below(r, 0x400) * 4;
    s->eflags = 2 | FLAGS_IF | ((u32)random_next(r) & FLAGS_ARITH) | (random_chance(r, 25) ? FLAGS_DF : 0);
    s->eip = CODE_AT;
    s->vector = VECTOR_END;
    random_fpu(s->fx, r);
}

void state_random_ymm(struct state *s, struct random *r)
{
    random_bytes(r, s->fx + FX_YMM, FX_YMM_END - FX_YMM);
}

static const char *const gpr_names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};

static unsigned differ(const char *what, u64 a, u64 b, const char *const names[2], FILE *out)
{
    if (a == b) return 0;
    fprintf(out, "  %-8s %s %#llx, %s %#llx\n", what, names[0], (unsigned long long)a, names[1],
            (unsigned long long)b);
    return 1;
}

static u32 get(const u8 *at, unsigned bytes)
{
    u32 v = 0;
    memcpy(&v, at, bytes);
    return v;
}

static void print_bytes(const u8 *bytes, unsigned count, FILE *out)
{
    while (count--)
        fprintf(out, "%02x", bytes[count]);
}

static unsigned differ_bytes(const char *what, unsigned n, const u8 *a, const u8 *b, unsigned count,
                             const char *const names[2], FILE *out)
{
    if (!memcmp(a, b, count)) return 0;
    fprintf(out, "  %s%u     %s ", what, n, names[0]);
    print_bytes(a, count, out);
    fprintf(out, ", %s ", names[1]);
    print_bytes(b, count, out);
    fprintf(out, "\n");
    return 1;
}

unsigned state_compare(const struct state *a, const struct state *b, u32 flags_mask,
                       const char *const names[2], FILE *out)
{
    unsigned count = 0;
    count += differ("vector", a->vector, b->vector, names, out);
    if (a->vector != VECTOR_END) count += differ("eip", a->eip, b->eip, names, out);
    for (unsigned n = 0; n < 8; n++)
        count += differ(gpr_names[n], a->gpr[n], b->gpr[n], names, out);
    count += differ("eflags", a->eflags & (flags_mask | FLAGS_DF), b->eflags & (flags_mask | FLAGS_DF), names,
                    out);
    count += differ("fcw", get(a->fx + FX_FCW, 2), get(b->fx + FX_FCW, 2), names, out);
    count += differ("fsw", get(a->fx + FX_FSW, 2), get(b->fx + FX_FSW, 2), names, out);
    count += differ("ftw", a->fx[FX_FTW], b->fx[FX_FTW], names, out);
    count += differ("mxcsr", get(a->fx + FX_MXCSR, 4), get(b->fx + FX_MXCSR, 4), names, out);
    for (unsigned n = 0; n < 8; n++) {
        count += differ_bytes("st", n, a->fx + FX_ST + 16 * n, b->fx + FX_ST + 16 * n, 10, names, out);
        count += differ_bytes("xmm", n, a->fx + FX_XMM + 16 * n, b->fx + FX_XMM + 16 * n, 16, names, out);
        count += differ_bytes("upper", n, a->fx + FX_YMM + 16 * n, b->fx + FX_YMM + 16 * n, 16, names, out);
    }
    return count;
}

void state_print(const struct state *s, FILE *out)
{
    for (unsigned n = 0; n < 8; n++)
        fprintf(out, "  %s %08x%s", gpr_names[n], s->gpr[n], n % 4 == 3 ? "\n" : "");
    fprintf(out, "  eflags %08x eip %08x vector %02x fcw %04x fsw %04x ftw %02x mxcsr %08x\n", s->eflags,
            s->eip, s->vector, get(s->fx + FX_FCW, 2), get(s->fx + FX_FSW, 2), s->fx[FX_FTW],
            get(s->fx + FX_MXCSR, 4));
    for (unsigned n = 0; n < 8; n++) {
        fprintf(out, "  st%u ", n);
        print_bytes(s->fx + FX_ST + 16 * n, 10, out);
        fprintf(out, "  xmm%u ", n);
        print_bytes(s->fx + FX_XMM + 16 * n, 16, out);
        fprintf(out, "\n");
    }
}
