/*
 * Chips that are little more than latches: DMA page registers, debug ports, and the registers of the DMA controllers.
 */
#include "devices/chipset/debug_ports.h"
#include "devices/chipset/i8237.h"

#include "check.h"

static u32 exit_status;
static u8 transmitted;

static void on_exit_port(void *machine, u32 status)
{
    exit_status = status;
}
static void on_transmit(void *sink, u8 byte)
{
    transmitted = byte;
}

static void test_debug_ports(void)
{
    struct debug_exit port;
    struct debug_console console;
    debug_exit_init(&port, on_exit_port, NULL);
    debug_console_init(&console, on_transmit, NULL);
    debug_exit_ops.write(&port, 0, 1, 0x10);
    CHECK_EQ(exit_status, 0x21);
    debug_exit_ops.write(&port, 0, 4, 0);
    CHECK_EQ(exit_status, 1);
    CHECK_EQ(debug_exit_ops.read(&port, 0, 1), 0);
    debug_console_ops.write(&console, 0, 1, 'x');
    CHECK_EQ(transmitted, 'x');
    CHECK_EQ(debug_console_ops.read(&console, 0, 1), 0xe9);
}

static void test_dma(void)
{
    struct i8237_pair dma;
    i8237_init(&dma, (struct dma){0});
    struct i8237 *low = &dma.controller[0], *high = &dma.controller[1];
    CHECK_EQ(i8237_ops.read(low, 15, 1), 0xff); /* all masked */
    i8237_ops.write(low, 4, 1, 0x34), i8237_ops.write(low, 4, 1, 0x12);
    i8237_ops.write(low, 5, 1, 0x78), i8237_ops.write(low, 5, 1, 0x56);
    CHECK_EQ(low->channel[2].address, 0x1234);
    CHECK_EQ(low->channel[2].count, 0x5678);
    CHECK_EQ(i8237_ops.read(low, 4, 1), 0x34);
    CHECK_EQ(i8237_ops.read(low, 4, 1), 0x12);
    i8237_ops.read(low, 4, 1);
    i8237_ops.write(low, 12, 1, 0); /* clear the flip-flop */
    CHECK_EQ(i8237_ops.read(low, 4, 1), 0x34);
    i8237_ops.write(low, 11, 1, 0x46);
    CHECK_EQ(low->channel[2].mode, 0x44);
    i8237_ops.write(low, 10, 1, 0x02);
    CHECK_EQ(low->mask, 0x0b);
    i8237_ops.write(low, 9, 1, 0x05);
    CHECK_EQ(i8237_ops.read(low, 8, 1), 0x20);
    i8237_ops.write(low, 13, 1, 0); /* master clear */
    CHECK_EQ(low->mask, 0x0f);
    CHECK_EQ(i8237_ops.read(low, 8, 1), 0);
    /* the second controller has a register every second port */
    i8237_ops.write(high, 0x04, 1, 0xcd), i8237_ops.write(high, 0x04, 1, 0xab);
    CHECK_EQ(high->channel[1].address, 0xabcd);
    i8237_ops.write(high, 0x1c, 1, 0);
    CHECK_EQ(high->mask, 0);
    dma_page_ops.write(&dma, 0, 1, 0x42); /* POST code */
    dma_page_ops.write(&dma, 15, 1, 0x43);
    CHECK_EQ(dma_page_ops.read(&dma, 0, 1), 0x42);
    CHECK_EQ(dma.page[15], 0x43);
}

int main(void)
{
    test_debug_ports();
    test_dma();
    return check_report();
}
