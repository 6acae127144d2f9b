/*
 * Every type of device that -device can put on this board. To add one: define its row in a wire_*.c
 * (options/device_type.h), declare it here, and list it in device_table.c.
 */
#ifndef RINGER_BOARD_DEVICE_TABLE_H
#define RINGER_BOARD_DEVICE_TABLE_H

#include "options/device_type.h"

extern const struct device_type *const device_table[]; /* NULL at the end */

/* wire_ide.c, wire_floppy.c */
extern const struct device_type ide_hd_type, ide_cd_type, floppy_type;
/* wire_vhost_user.c */
extern const struct device_type vhost_user_fs_type, vhost_user_blk_type;
/* wire_virtio_*.c */
extern const struct device_type virtio_net_type, virtio_blk_type, virtio_9p_type, virtio_rng_type,
    virtio_balloon_type, virtio_scsi_type, scsi_hd_type, scsi_cd_type, virtio_serial_type, virtconsole_type,
    virtserialport_type;
/* wire_net_chips.c, wire_ne2000.c */
extern const struct device_type e1000_type, rtl8139_type, pcnet_type, ne2k_pci_type, ne2k_isa_type;
/* wire_debug.c */
extern const struct device_type isa_debug_exit_type, isa_debugcon_type;
/* wire_usb.c */
extern const struct device_type uhci_type, usb_keyboard_type, usb_tablet_type, usb_storage_type;
/* wire_watchdog.c */
extern const struct device_type i6300esb_type;

#endif
