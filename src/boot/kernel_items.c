#include "kernel_items.h"

#include "load_linux.h"

#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Keep the file of an image for one item. */
static struct rom_piece keep(const struct image *image, u64 offset, u64 bytes)
{
    return (struct rom_piece){
        .offset = offset, .bytes = (u32)bytes, .fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0)};
}

static bool put(struct fw_cfg *config, enum fw_cfg_key size, enum fw_cfg_key data, struct rom_piece *piece)
{
    return piece->fd >= 0 && fw_cfg_put_number(config, size, piece->bytes, 4) &&
           fw_cfg_put_numbered_source(config, data, piece->bytes, rom_piece_read, piece);
}

static int open_files(struct load *load, struct kernel_items *items)
{
    u8 start[SETUP_SECTS + 1], magic[4] = {0};
    struct image kernel, initrd;
    int status = image_open(load, &kernel, "kernel", load->files->kernel);
    if (status) return status;
    if (kernel.bytes > HEADER_END) status = image_read(load, &kernel, HEADER_MAGIC, magic, sizeof magic);
    if (!status && !memcmp(magic, "HdrS", 4)) {
        status = image_read(load, &kernel, 0, start, sizeof start);
        u64 setup = ((start[SETUP_SECTS] ? start[SETUP_SECTS] : 4) + 1u) * 512;
        if (setup < kernel.bytes && kernel.bytes <= UINT32_MAX) {
            items->setup = keep(&kernel, 0, setup);
            items->kernel = keep(&kernel, setup, kernel.bytes - setup);
        }
    }
    image_close(&kernel);
    if (status || !load->files->initrd) return status;
    status = image_open(load, &initrd, "initrd", load->files->initrd);
    if (status) return status;
    if (initrd.bytes <= UINT32_MAX) items->initrd = keep(&initrd, 0, initrd.bytes);
    image_close(&initrd);
    return 0;
}

int kernel_items_install(struct load *load, struct kernel_items *items, struct fw_cfg *config)
{
    *items = (struct kernel_items){.setup.fd = -1, .kernel.fd = -1, .initrd.fd = -1};
    const char *line = load->files->append ? load->files->append : "";
    u32 line_bytes = (u32)strlen(line) + 1;
    int status = open_files(load, items);
    if (status || items->kernel.fd < 0) return status;
    bool good = put(config, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA, &items->setup) &&
                put(config, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, &items->kernel) &&
                fw_cfg_put_number(config, FW_CFG_COMMAND_LINE_SIZE, line_bytes, 4) &&
                fw_cfg_put(config, FW_CFG_COMMAND_LINE_DATA, line, line_bytes) &&
                (!load->files->initrd || put(config, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, &items->initrd));
    return good ? 0 : load_fail(load, STATUS_HOST, "the kernel's files cannot be passed to the firmware");
}

void kernel_items_destroy(struct kernel_items *items)
{
    struct rom_piece *all[] = {&items->setup, &items->kernel, &items->initrd};
    for (unsigned n = 0; n < ARRAY_SIZE(all); n++)
        if (all[n]->bytes && all[n]->fd >= 0) close(all[n]->fd);
}
