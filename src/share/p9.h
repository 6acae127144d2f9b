/*
 * 9P2000.L: numbers of the protocol that Linux's 9p file system speaks to a server. The base protocol is Plan 9's
 * intro(5); the extension is described in the wiki of diod, "protocol.md", and in Linux's include/net/9p/9p.h.
 *
 *   every message   +0 size, 32 bits | +4 type, 8 bits | +5 tag, 16 bits | body; all numbers little-endian
 *   string          length, 16 bits | bytes, without an end
 *   qid             type, 8 bits | version, 32 bits | path, 64 bits: the identity of a file
 *   fid             32 bits: the client's number for a file that it has walked to or opened
 */
#ifndef RINGER_SHARE_P9_H
#define RINGER_SHARE_P9_H

/* Requests. A reply has the number that follows; RLERROR answers any. */
enum p9_type {
    P9_RLERROR = 7,
    P9_TSTATFS = 8,
    P9_TLOPEN = 12,
    P9_TLCREATE = 14,
    P9_TSYMLINK = 16,
    P9_TMKNOD = 18,
    P9_TRENAME = 20,
    P9_TREADLINK = 22,
    P9_TGETATTR = 24,
    P9_TSETATTR = 26,
    P9_TXATTRWALK = 30,
    P9_TXATTRCREATE = 32,
    P9_TREADDIR = 40,
    P9_TFSYNC = 50,
    P9_TLOCK = 52,
    P9_TGETLOCK = 54,
    P9_TLINK = 70,
    P9_TMKDIR = 72,
    P9_TRENAMEAT = 74,
    P9_TUNLINKAT = 76,
    P9_TVERSION = 100,
    P9_TAUTH = 102,
    P9_TATTACH = 104,
    P9_TFLUSH = 108,
    P9_TWALK = 110,
    P9_TREAD = 116,
    P9_TWRITE = 118,
    P9_TCLUNK = 120,
    P9_TREMOVE = 122,
};

#define P9_NO_FID 0xffffffffu

enum p9_qid_type { P9_QID_FILE = 0, P9_QID_LINK = 0x02, P9_QID_DIRECTORY = 0x80 };

/* The most names in a Twalk. */
#define P9_WALK_NAMES 16
/* Bytes before the data: Rread's head and count; Twrite's head, fid, offset and count; what Linux subtracts from
 * the message size for either. */
#define P9_READ_BYTES  11
#define P9_WRITE_BYTES 23
#define P9_DATA_BYTES  24
/* The smallest message size that a client may ask for, and the largest that it gets. */
#define P9_SIZE_LEAST 4096u
#define P9_SIZE_MOST  (1u << 20)

/* Tgetattr: the fields that stat(2) has. */
#define P9_GETATTR_BASIC 0x7ffull

/* Tsetattr */
enum {
    P9_SET_MODE = 0x01,
    P9_SET_UID = 0x02,
    P9_SET_GID = 0x04,
    P9_SET_SIZE = 0x08,
    P9_SET_ATIME = 0x10, /* to the time now, unless ..._TO is set, too */
    P9_SET_MTIME = 0x20,
    P9_SET_CTIME = 0x40,
    P9_SET_ATIME_TO = 0x80,
    P9_SET_MTIME_TO = 0x100,
};

/* Tlock and Tgetlock */
enum { P9_LOCK_READ = 0, P9_LOCK_WRITE = 1, P9_LOCK_NONE = 2 };
enum { P9_LOCKED = 0, P9_LOCK_BLOCKED = 1 };

/* Tunlinkat */
#define P9_REMOVE_DIRECTORY 0x200u

#endif
