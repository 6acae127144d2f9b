/*
 * A shared folder as plain values: -fsdev and -virtfs.
 */
#ifndef RINGER_BASE_SHARE_OPTIONS_H
#define RINGER_BASE_SHARE_OPTIONS_H

#include "base/types.h"

/* Owners and modes of the files that a guest makes. */
enum share_security {
    SHARE_NONE,        /* the process, as far as the host does not let it give files away */
    SHARE_PASSTHROUGH, /* the owner that the guest names; the host must let the process set it */
    SHARE_MAPPED, /* the process; extended attributes user.virtfs.* keep what the guest says, as QEMU writes them */
};

/* What becomes of files on other devices than the folder's: their inode numbers may be the same. */
enum share_devices {
    SHARE_REMAP,  /* numbers are changed so that they differ */
    SHARE_WARN,   /* the user is told */
    SHARE_FORBID, /* the guest cannot reach them */
};

struct share_options {
    const char *path;
    enum share_security security;
    enum share_devices devices;
    bool read_only;
    u16 file_mode, directory_mode; /* SHARE_MAPPED: of the host's files (fmode, dmode) */
};

#endif
