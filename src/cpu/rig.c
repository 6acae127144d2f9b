#include "rig.h"

#include "cpuid.h"
#include "interp.h"
#include "mode.h"

#include <stdlib.h>
#include <string.h>

/* --- what RAM and vCPU ask of their machine --- */

static void guarded_written(void *owner, u64 gpa, u64 bytes)
{
    struct rig *rig = owner;
    u8 *flags = phys_flags(&rig->phys, gpa);
    if (*flags & PHYS_TRACED) shadow_table_written(&rig->shadow, gpa, bytes);
    if (!(*flags & PHYS_CODE)) return;
    bool left = interp_code_written(&rig->vcpu, gpa, bytes);
    if (rig->translated_code_written) left |= rig->translated_code_written(&rig->vcpu, gpa, bytes);
    if (!left) *flags &= (u8)~PHYS_CODE;
}

static void protect(void *owner, u64 gpa_page)
{
    shadow_drop_writes(&((struct rig *)owner)->shadow, gpa_page);
}

static void before_device(void *owner)
{
    fpu_park(&((struct rig *)owner)->vcpu);
}

static u32 port_read(void *machine, u16 port, unsigned size)
{
    return ~0u;
}
static void port_write(void *machine, u16 port, unsigned size, u32 value) {}
static int acknowledge(void *machine)
{
    return -1;
}
static u64 tsc(void *machine)
{
    return 0;
}
static void ferr(void *machine, bool level) {}

/* --- */

struct rig *rig_open(u64 ram_bytes)
{
    struct rig *rig = aligned_alloc(_Alignof(struct rig), sizeof(*rig));
    if (!rig) return NULL;
    memset(rig, 0, sizeof(*rig));
    struct vcpu *v = &rig->vcpu;
    if (phys_init(&rig->phys, ram_bytes)) goto no_ram;
    if (shadow_init(&rig->shadow, &rig->phys, &rig->counters)) goto no_shadow;
    rig->phys.owner = rig;
    rig->phys.guarded_written = guarded_written;
    rig->phys.protect = protect;
    rig->phys.before_device = before_device;
    rig->host = (struct vcpu_host){.port_read = port_read,
                                   .port_write = port_write,
                                   .interrupt_acknowledge = acknowledge,
                                   .tsc = tsc,
                                   .ferr = ferr,
                                   .machine = rig};
    v->phys = &rig->phys;
    v->shadow = &rig->shadow;
    v->counters = &rig->counters;
    v->host = &rig->host;
    v->model = cpu_model_find("max");
    v->icount_limit = v->icount_soft = UINT64_MAX;
    if (interp_init(v)) goto no_interpreter;
    vcpu_reset(v);
    return rig;
no_interpreter:
    shadow_destroy(&rig->shadow);
no_shadow:
    phys_destroy(&rig->phys);
no_ram:
    free(rig);
    return NULL;
}

void rig_close(struct rig *rig)
{
    interp_destroy(&rig->vcpu);
    shadow_destroy(&rig->shadow);
    phys_destroy(&rig->phys);
    free(rig);
}

/* SDM 3A figure 3-8. */
void rig_put_descriptor(struct rig *rig, u64 table, u16 selector, u32 base, u32 limit, u32 access)
{
    u64 at = table + (selector & ~7u);
    phys_write(&rig->phys, at, 4, base << 16 | (limit & 0xffff));
    phys_write(&rig->phys, at + 4, 4,
               (base & 0xff000000) | (limit & 0xf0000) | (access & 0xf0ff) << 8 | (base >> 16 & 0xff));
}
