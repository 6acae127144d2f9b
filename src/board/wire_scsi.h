/*
 * SCSI units by the drives that are in them.
 */
#ifndef RINGER_BOARD_WIRE_SCSI_H
#define RINGER_BOARD_WIRE_SCSI_H

#include "devices/storage/scsi_unit.h"

struct board;
struct drive;

/* The CD drive of a virtio-scsi-pci that has this -drive; NULL: there is none. */
struct scsi_unit *wire_scsi_cd_of(const struct board *board, const struct drive *drive);

#endif
