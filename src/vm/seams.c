/*
 * What phys, the CPU and the board each ask of the others. See seams.h.
 */
#include "seams.h"

#include "cpu/cpuid.h"
#include "memory_events.h"

/* --- what phys asks for, beside memory_events.c --- */

static void message(void *owner, u64 gpa, u32 value)
{
    struct vm *vm = owner;
    apic_wires_message(&vm->chipset.apic, gpa, value);
}

/* --- what the CPU asks for --- */

static u32 port_read(void *machine, u16 port, unsigned size)
{
    struct vm *vm = machine;
    return ports_read(&vm->board.ports, port, size);
}

static void port_write(void *machine, u16 port, unsigned size, u32 value)
{
    struct vm *vm = machine;
    ports_write(&vm->board.ports, port, size, value);
}

static u32 port_read_string(void *machine, u16 port, unsigned size, u8 *to, u32 count)
{
    struct vm *vm = machine;
    u32 done = ports_read_string(&vm->board.ports, port, size, to, count);
    note_event(vm->counters.events, EVENT_DEVICE_INS, port, size, done);
    vm->counters.port_string_bytes += (u64)done * size;
    return done;
}

static u32 port_write_string(void *machine, u16 port, unsigned size, const u8 *from, u32 count)
{
    struct vm *vm = machine;
    u32 done = ports_write_string(&vm->board.ports, port, size, from, count);
    note_event(vm->counters.events, EVENT_DEVICE_OUTS, port, size, done);
    vm->counters.port_string_bytes += (u64)done * size;
    return done;
}

static int acknowledge(void *machine)
{
    struct vm *vm = machine;
    return apic_wires_acknowledge(&vm->chipset.apic);
}

static u64 tsc(void *machine)
{
    struct vm *vm = machine;
    return vm_time_tsc(&vm->time);
}

static u64 tsc_hz(void *machine)
{
    struct vm *vm = machine;
    return vm_time_tsc_hz(&vm->time);
}

static struct time_sample sample_time(void *machine)
{
    struct vm *vm = machine;
    struct time_sample now = vm_time_sample(&vm->time);
    now.wall_ns = vm->wall_ns;
    return now;
}

static void apic_base_written(void *machine, u64 base)
{
    struct vm *vm = machine;
    apic_wires_base(&vm->chipset.apic, base);
}

static void tsc_moved(void *machine)
{
    struct vm *vm = machine;
    lapic_tsc_moved(&vm->chipset.apic.lapic);
}

static u8 task_priority(void *machine)
{
    struct vm *vm = machine;
    return lapic_task_priority(&vm->chipset.apic.lapic);
}

static void set_task_priority(void *machine, u8 priority)
{
    struct vm *vm = machine;
    lapic_set_task_priority(&vm->chipset.apic.lapic, priority);
}

static u64 tsc_deadline(void *machine)
{
    const struct vm *vm = machine;
    return lapic_deadline(&vm->chipset.apic.lapic);
}

static void set_tsc_deadline(void *machine, u64 deadline)
{
    struct vm *vm = machine;
    lapic_set_deadline(&vm->chipset.apic.lapic, deadline);
}

static void ferr(void *machine, bool level)
{
    struct vm *vm = machine;
    chipset_ferr(&vm->chipset, level);
}

/* --- what the board asks for --- */

static void intr(void *machine, bool level)
{
    struct vcpu *v = &((struct vm *)machine)->vcpu;
    v->interrupt_line = level;
    if (level) __atomic_or_fetch(&v->pending, PENDING_INTERRUPT, __ATOMIC_SEQ_CST);
}

static void nmi(void *machine)
{
    struct vm *vm = machine;
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_NMI, __ATOMIC_SEQ_CST);
}

static void init(void *machine)
{
    machine_request_reset(machine, false);
}

static u32 get_register(void *machine, unsigned gpr)
{
    return (u32)((struct vm *)machine)->vcpu.gpr[gpr];
}

static void set_register(void *machine, unsigned gpr, u32 value)
{
    ((struct vm *)machine)->vcpu.gpr[gpr] = value;
}

static u64 guest_tsc(void *machine)
{
    struct vm *vm = machine;
    return vm_time_tsc(&vm->time) + vm->vcpu.tsc_offset;
}

static u64 apic_timer_hz(void *machine)
{
    return cpuid_crystal_hz(tsc_hz(machine));
}

static void a20(void *machine, bool open)
{
    struct vm *vm = machine;
    u64 mask = open ? ~0ull : ~(1ull << 20);
    if (mask == vm->phys.a20_mask) return;
    vm->phys.a20_mask = mask;
    shadow_flush(&vm->shadow);
}

/* Drop shadow entries for the range, and code that was made from it. */
static void memory_changed(void *machine, u64 gpa, u64 bytes)
{
    memory_changed_at(machine, gpa, bytes);
}

static void collect_written(void *machine, u64 *pages)
{
    shadow_collect_dirty(&((struct vm *)machine)->shadow, pages);
}

static void power_button(void *machine)
{
    piix4_pm_power_button(&((struct vm *)machine)->chipset.power);
}

static void reset(void *machine, bool hard)
{
    machine_request_reset(machine, hard);
}

static void suspend(void *machine)
{
    machine_request_suspend(machine);
}

static void wake(void *machine)
{
    machine_request_wake(machine);
}

static void stop(void *machine, enum stop_cause cause, int status, const char *sentence)
{
    vm_stop(machine, cause, status, sentence ? "%s" : NULL, sentence);
}

static void pause_for(void *machine, enum pause_reason reason, bool paused)
{
    if (paused)
        machine_pause(machine, reason);
    else
        machine_resume(machine, reason);
}

static void tell(void *machine, enum board_event event, const char *text, u64 value)
{
    for (struct machine_listener *l = ((struct vm *)machine)->listeners; l; l = l->next)
        if (l->tell_of_board) l->tell_of_board(l->owner, event, text, value);
}

static const struct board_host board_host = {
    .intr = intr,
    .nmi = nmi,
    .init = init,
    .get_register = get_register,
    .set_register = set_register,
    .tsc = guest_tsc,
    .tsc_hz = tsc_hz,
    .apic_timer_hz = apic_timer_hz,
    .a20 = a20,
    .memory_changed = memory_changed,
    .collect_written = collect_written,
    .power_button = power_button,
    .reset = reset,
    .suspend = suspend,
    .wake = wake,
    .stop = stop,
    .pause = pause_for,
    .tell = tell,
};

/* --- joining them --- */

void seams_of_phys(struct vm *vm)
{
    memory_events_wire(vm);
    vm->phys.message = message;
    vm->phys.owner = vm;
}

void seams_of_cpu(struct vm *vm)
{
    static const struct vcpu_apic apic = {.base_written = apic_base_written,
                                          .tsc_moved = tsc_moved,
                                          .deadline = tsc_deadline,
                                          .set_deadline = set_tsc_deadline,
                                          .task_priority = task_priority,
                                          .set_task_priority = set_task_priority};
    vm->cpu_host = (struct vcpu_host){.port_read = port_read,
                                      .port_write = port_write,
                                      .port_read_string = port_read_string,
                                      .port_write_string = port_write_string,
                                      .interrupt_acknowledge = acknowledge,
                                      .tsc = tsc,
                                      .tsc_hz = tsc_hz,
                                      .sample_time = vm->options->no_kvm_clock ? NULL : sample_time,
                                      .ferr = ferr,
                                      .apic = vm->options->board.no_apic ? NULL : &apic,
                                      .machine = vm};
    vm->vcpu.host = &vm->cpu_host;
}

void seams_of_board(struct vm *vm)
{
    vm->board.options = &vm->options->board;
    vm->board.host = &board_host;
    vm->board.machine = vm;
    vm->board.follower = vm->role == MACHINE_FOLLOWER;
    vm->board.deterministic = vm->options->deterministic;
    vm->board.tsc_deadline = vm->options->cpu->f1_ecx & F1C_TSC_DEADLINE;
    vm->board.clock = &vm->time.clock;
    vm->board.memory = &vm->phys;
    vm->board.dma = phys_dma(&vm->phys);
    vm->board.mailbox = &vm->mailbox;
    vm->board.drives = &vm->drives;
    vm->board.chardevs = vm->chardevs;
}
