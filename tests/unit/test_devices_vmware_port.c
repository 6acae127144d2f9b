/*
 * VMware's backdoor: the register protocol as Linux's driver uses it, and drivers that get it wrong.
 */
#include "devices/input/ps2_mouse.h"
#include "devices/input/vmware_port.h"

#include "check.h"

static u32 reg[4];
static unsigned nudges;
static bool absolute;
static struct vmware_port port;

static u32 get(void *machine, enum vmware_register r)
{
    return reg[r];
}
static void set(void *machine, enum vmware_register r, u32 value)
{
    reg[r] = value;
}
static void set_absolute(void *machine, bool on)
{
    absolute = on;
}
static void nudge(void *machine)
{
    nudges++;
}

/* IN EAX, DX */
static u32 backdoor(u32 command, u32 argument)
{
    reg[VMWARE_EAX] = 0x564d5868;
    reg[VMWARE_EBX] = argument;
    reg[VMWARE_ECX] = command;
    reg[VMWARE_EDX] = VMWARE_PORT;
    return reg[VMWARE_EAX] = vmware_port_ops.read(&port, 0, 4);
}

enum { VERSION = 10, DATA = 39, STATUS = 40, COMMAND = 41, RESTRICT = 86 };

static void start(void)
{
    vmware_port_init(&port, &(struct vmware_port_wiring){
                                .get = get, .set = set, .absolute = set_absolute, .nudge = nudge});
    absolute = false;
    nudges = 0;
}

static void enable(void)
{
    start();
    backdoor(COMMAND, 0x45414552);
    CHECK_EQ(backdoor(STATUS, 0), 1);
    CHECK_EQ(backdoor(DATA, 1), 0x3442554a);
    CHECK_EQ(backdoor(RESTRICT, 1), 0);
    backdoor(COMMAND, 0x53424152);
    CHECK(absolute);
}

static void check_event(u32 first, u32 x, u32 y, u32 z)
{
    CHECK(backdoor(STATUS, 0) >= 4);
    backdoor(DATA, 4);
    CHECK_EQ(reg[VMWARE_EAX], first);
    CHECK_EQ(reg[VMWARE_EBX], x);
    CHECK_EQ(reg[VMWARE_ECX], y);
    CHECK_EQ(reg[VMWARE_EDX], z);
}

static void test_version(void)
{
    start();
    CHECK_EQ(backdoor(VERSION, ~0u), 6);
    CHECK_EQ(reg[VMWARE_EBX], 0x564d5868);
    CHECK_EQ(backdoor(4711, 0), 0xffffffff);
    /* a plain read of the port gets no answer */
    reg[VMWARE_EAX] = 0;
    reg[VMWARE_ECX] = VERSION;
    CHECK_EQ(vmware_port_ops.read(&port, 0, 4), 0xffffffff);
    reg[VMWARE_EAX] = 0x564d5868;
    CHECK_EQ(vmware_port_ops.read(&port, 0, 2), 0xffffffff);
    CHECK_EQ(backdoor(STATUS, 0), 0xffff0000);
    CHECK(!vmware_port_point(&port, 1, 1, 0, 0));
}

static void test_pointing(void)
{
    enable();
    CHECK(vmware_port_point(&port, 100, 65535, 0, 0));
    CHECK(vmware_port_point(&port, 200, 65000, 0, 0)); /* the same one, moved on */
    CHECK_EQ(backdoor(STATUS, 0), 4);
    vmware_port_point(&port, 200, 65000, 0, PS2_BUTTON_LEFT);
    vmware_port_point(&port, 200, 65000, -1, PS2_BUTTON_LEFT);
    vmware_port_point(&port, 200, 65000, -1, PS2_BUTTON_LEFT); /* the wheel is not summed */
    vmware_port_point(&port, 200, 65000, 0, PS2_BUTTON_RIGHT | PS2_BUTTON_MIDDLE);
    CHECK_EQ(nudges, 6);
    check_event(0, 200, 65000, 0);
    check_event(0x20, 200, 65000, 0);
    check_event(0x20, 200, 65000, (u32)-1);
    check_event(0x20, 200, 65000, (u32)-1);
    check_event(0x18, 200, 65000, 0);
    vmware_port_move(&port, 3, 4, 0, 0);
    vmware_port_move(&port, 1, 1, 0, 0);
    check_event(0x10000, 4, (u32)-5, 0);
    CHECK_EQ(backdoor(STATUS, 0), 0);
    backdoor(COMMAND, 0x4c455252);
    CHECK(!absolute && !vmware_port_point(&port, 1, 1, 0, 0));
}

/* Each of them ends in a state that the driver can detect, and nothing is read beyond the queue. */
static void test_hostile(void)
{
    static const u32 counts[] = {0, 5, 6, 0xffffffff, 4};
    for (unsigned n = 0; n < ARRAY_SIZE(counts); n++) {
        enable();
        if (counts[n] != 4) vmware_port_point(&port, 1, 2, 3, 0);
        CHECK_EQ(backdoor(DATA, counts[n]), 0xffffffff);
        CHECK_EQ(backdoor(STATUS, 0), 0xffff0000);
        CHECK(!absolute);
    }
    start();
    backdoor(COMMAND, 0x53424152); /* absolute before it was enabled */
    CHECK(!absolute);
    for (unsigned n = 0; n < 100000; n++)
        backdoor(COMMAND, 0x45414552);
    CHECK_EQ(backdoor(STATUS, 0), 1);
    enable();
    for (unsigned n = 0; n < 1000; n++)
        vmware_port_point(&port, (u16)n, 0, 1, 0);
    CHECK_EQ(backdoor(STATUS, 0), VMWARE_QUEUE_WORDS);
    /* Read in odd pieces, and while more comes: the queue wraps. */
    for (unsigned n = 0; n < 1000; n++) {
        backdoor(DATA, 1 + n % 3);
        vmware_port_point(&port, (u16)n, 0, 1, (u8)n);
    }
    CHECK(backdoor(STATUS, 0) <= VMWARE_QUEUE_WORDS);
    vmware_port_reset(&port);
    CHECK_EQ(backdoor(STATUS, 0), 0xffff0000);
}

int main(void)
{
    test_version();
    test_pointing();
    test_hostile();
    return check_report();
}
