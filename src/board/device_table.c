#include "device_table.h"

/* In the order of `-device help`. */
const struct device_type *const device_table[] = {
    &ide_hd_type,         &ide_cd_type,     &floppy_type,         &virtio_blk_type,    &virtio_scsi_type,
    &scsi_hd_type,        &scsi_cd_type,    &virtio_net_type,     &e1000_type,         &rtl8139_type,
    &pcnet_type,          &ne2k_pci_type,   &ne2k_isa_type,       &virtio_9p_type,     &vhost_user_fs_type,
    &vhost_user_blk_type, &virtio_rng_type, &virtio_balloon_type, &virtio_serial_type, &virtconsole_type,
    &virtserialport_type, &i6300esb_type,   &isa_debug_exit_type, &isa_debugcon_type,  NULL,
};
