/*
 * The options for drives and their media: -hda ... -hdd, -cdrom, -fda, -fdb, -pflash, -drive, -snapshot.
 */
#ifndef RINGER_OPTIONS_OPTIONS_DRIVE_H
#define RINGER_OPTIONS_OPTIONS_DRIVE_H

#include "base/disk.h"

#define DRIVES_MAX 32

enum drive_interface {
    DRIVE_IDE,    /* index: channel * 2 + device */
    DRIVE_FLOPPY, /* index: A: 0, B: 1 */
    DRIVE_VIRTIO, /* a virtio-blk device of its own */
    DRIVE_FLASH,  /* a flash chip with firmware or its variables */
    DRIVE_NONE,   /* for a -device that names its id */
};

enum drive_medium { MEDIUM_DISK, MEDIUM_CDROM };

struct drive_option {
    bool gone;          /* the drive has gone; its number is free for another one */
    char *file;         /* NULL: an empty drive */
    char *id;           /* NULL: none */
    char *serial;       /* serial number, for the guest; NULL: the default */
    const char *format; /* NULL: to be guessed */
    enum drive_interface interface;
    unsigned index;
    bool index_given;
    unsigned
        boot_index; /* firmware tries small numbers first; 0: no index, tried after all drives with one */
    enum drive_medium medium;
    bool read_only, snapshot, write_through, never_flush, no_discard;
    enum error_policy on_read_error, on_write_error;
    enum detect_zeroes detect_zeroes;
    /* A node, of -blockdev or blockdev-add. While there are nodes above it that lie in it or are based on it, it has no
     * image of its own: theirs include it. */
    bool node;
    bool no_backing; /* the node is based on nothing, whatever its image says */
    unsigned above;
    struct drive_option *below[2]; /* NULL: none */
};

struct drive_options {
    struct drive_option drive[DRIVES_MAX];
    unsigned count;
    bool snapshot; /* all of them */
};

/* -drive KEY=VALUE,... as QEMU has it; a comma in a value is written twice. False with one sentence in error. */
bool drive_options_add(struct drive_options *options, const char *list, char *error, size_t error_bytes);
/* -hda and the like: a file in a drive at a fixed connector. */
bool drive_options_add_file(struct drive_options *options, const char *file, enum drive_interface interface,
                            unsigned index, enum drive_medium medium, char *error, size_t error_bytes);
/* An empty drive with this id, for a -device. False with one sentence in error. */
bool drive_options_add_empty(struct drive_options *options, const char *id, char *error, size_t error_bytes);
/* Give an index to drives without one, and refuse two drives with the same index. */
bool drive_options_settle(struct drive_options *options, char *error, size_t error_bytes);

/* The drive with this id, or NULL. */
struct drive_option *drive_options_find(struct drive_options *options, const char *id);

void drive_options_release(struct drive_options *options);

/* The same as -drive if=none,LIST for a machine that runs. NULL with one sentence in error. */
struct drive_option *drive_options_plug(struct drive_options *options, const char *list, char *error,
                                        size_t error_bytes);
/* Frees what the option owns; its number is free for another one. */
void drive_option_release(struct drive_option *drive);

const char *drive_interface_name(enum drive_interface interface);

#endif
