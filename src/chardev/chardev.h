/*
 * Chardevs: the host's end of a guest's serial port, a virtio console or a control session.
 *
 *   front end (a serial port, a session)                             back end (a terminal, a socket, a file)
 *   chardev_write() -> out: ring of bytes      -> thread -> write()
 *   chardev_take()  <- in: ring of char_items  <- thread <- read()
 *
 * One thread, the character thread, does all host I/O. A front end never waits for it. Output for which there is no
 * room stays with the front end, which is told when there is room. Output is discarded where it has no reader: on a
 * socket without a client, and on a pseudo-terminal that no program has open.
 *
 * A chardev with mux=on has several front ends. All may write. Input goes to the one in focus, which the user changes
 * with Ctrl-A c. A chardev of standard input and output is always shared like that, because there is only one
 * terminal.
 *
 * For deterministic machines, and before the thread starts, chardev_poll() and chardev_write_all() do the I/O on the
 * calling thread.
 *
 * Locks: chardev.lock guards everything below it in the struct. Callbacks of front ends run without it.
 */
#ifndef RINGER_CHARDEV_CHARDEV_H
#define RINGER_CHARDEV_CHARDEV_H

#include "base/mailbox.h"
#include "char_options.h"
#include "net/loop.h"
#include "telnet.h"
#include "terminal.h"

#include <pthread.h>

#define CHARDEVS_MAX     40
#define CHARDEVS_OWN     4
#define CHAR_FRONTS      8
#define CHAR_OUT_BYTES   65536u
#define CHAR_IN_ITEMS    4096u
#define CHAR_EVENTS_ROOM 8u /* of these, kept free for events */

/* What a front end receives: a byte, or one of these events between two bytes. */
enum {
    CHAR_BREAK = 0x100, /* the line was held in break */
    CHAR_OPENED,        /* the other end is connected */
    CHAR_CLOSED,
    CHAR_FOCUS, /* mux: input comes here from now on */
};

struct chardev;

struct char_front {
    /* Installed by the owner. Both are called on the character thread, or on the thread that calls chardev_poll(). */
    void (*input)(struct char_front *front); /* there is something to take */
    void (*room)(struct char_front *front);  /* chardev_write() did not take all; now it would take more */
    bool answers; /* output answers input: for a client that has left it is dropped, and not for the next */
    bool polled;  /* the owner calls chardev_poll(); the thread reads no input for it */
    /* private */
    struct chardev *chardev; /* NULL: not attached */
    u16 in[CHAR_IN_ITEMS];
    u32 head, tail; /* never wrap; modulo CHAR_IN_ITEMS */
    bool refused;   /* room() is owed */
    bool fresh;     /* input() is owed */
    u32 left;       /* CHAR_CLOSED items in `in` */
};

/* A kind of back end. All are called with the lock held. Any but write may be NULL. */
struct chardev_ops {
    bool (*open)(struct chardev *chardev, char *error, size_t error_bytes);
    void (*fill)(struct chardev *chardev, struct net_poll *poll); /* beside in_fd and out_fd */
    void (*ready)(struct chardev *chardev, const struct net_poll *poll);
    /* in_fd is at its end, or out_fd is broken (-errno). */
    void (*lost)(struct chardev *chardev, int failed);
    /* Other than write(): returns as it does, with -errno. */
    long (*write)(struct chardev *chardev, const u8 *bytes, u32 count);
    void (*close)(struct chardev *chardev);
};

struct chardev {
    struct net_source source; /* first */
    struct chardevs *set;
    const struct char_options *options;
    const struct chardev_ops *ops;
    char name[128]; /* as query-chardev shows it */
    pthread_mutex_t lock;
    pthread_cond_t written; /* `out` has got shorter */
    int in_fd, out_fd;      /* -1: none */
    int in_slot, out_slot;  /* in net_poll.fds, -1: not there */
    bool open;              /* the other end is connected */
    bool drops_input; /* a terminal: keys are read even if no front end takes them, so that Ctrl-A x works */
    struct escape_keys keys;
    struct char_front *front[CHAR_FRONTS];
    unsigned fronts, focus;
    u8 out[CHAR_OUT_BYTES];
    u32 head, tail; /* never wrap; modulo CHAR_OUT_BYTES */
    bool timestamps, line_start;
    int log_fd; /* -1: none */
    /* sockets */
    int listen_fd;
    bool connecting, complained;
    u64 next_try_ns;
    struct telnet telnet;
    /* ringbuf */
    u8 *ring;
    u64 ring_head, ring_tail;
};

struct chardevs {
    struct net_loop loop;
    struct mailbox loop_mailbox;  /* letters to the character thread */
    struct net_source letters;    /* runs them */
    u32 kicked;                   /* atomic: there is output, or room for input, that fill() has not seen */
    struct mailbox *vcpu_mailbox; /* NULL: there is no machine yet, or no more */
    const u32 *giving_up; /* when it is not zero, chardev_write_all() no longer waits (atomic; may be NULL) */
    /* A user's request to end (STATUS_OK and no sentence), or a failure. On the vCPU thread. */
    void (*stop)(void *owner, int status, const char *sentence);
    void *owner;
    u32 stopping; /* atomic: stop() was or will be called */
    struct letter stop_letter;
    int stop_status;
    char stop_sentence[256];
    struct chardev *chardev[CHARDEVS_MAX];
    unsigned count;
    struct char_options own[CHARDEVS_OWN]; /* of chardevs that no option made */
    struct char_options late;              /* of one that was made while the machine runs */
    bool escape_keys;                      /* also where standard input is no terminal */
    u8 escape;                             /* -echr: the key that comes before a command */
    u64 began_ns;                          /* for time stamps */
};

/* Returns 0 or -errno. */
int chardevs_init(struct chardevs *set);
/* Writes the waiting output (unless giving_up), and closes all. */
void chardevs_destroy(struct chardevs *set);
/* Open one. A server is bound when this returns. False with one sentence in error. The options must outlive it. */
bool chardevs_add(struct chardevs *set, const struct char_options *options, char *error, size_t error_bytes);
/* Close it, and forget it. It has no front end. On the character thread, or before that starts. */
void chardevs_remove(struct chardevs *set, struct chardev *chardev);
struct chardev *chardevs_find(struct chardevs *set, const char *id);
/* Put terminals into raw mode. Then start the thread: 0 or -errno. */
void chardevs_take_terminal(struct chardevs *set);
int chardevs_start(struct chardevs *set);
/* Waits until all output that has a reader is written (unless giving_up). */
void chardevs_drain(struct chardevs *set);
/* The machine ends: it gets no more letters. */
void chardevs_forget_machine(struct chardevs *set);

/* --- front ends --- */

/* False with one sentence in error. Before chardevs_start(); later on the vCPU or the character thread. */
bool chardev_attach(struct char_front *front, struct chardev *chardev, char *error, size_t error_bytes);
/* From its return on, the character thread makes no calls to the front end. */
void chardev_detach(struct char_front *front);
/* Before the thread starts: a server's socket has this client already. */
void chardev_adopt(struct chardev *chardev, int fd);
/* Does the chardev hold only what this run has written? */
bool chardev_starts_anew(const struct char_front *front);
/* Returns how many bytes were taken. If not all were, room() is called when there is room. */
u32 chardev_write(struct char_front *front, const u8 *bytes, u32 count);
/* Wait for room; wait for the host too if the front end is polled. */
void chardev_write_all(struct char_front *front, const u8 *bytes, u32 count);
/* Should output that finds no room wait for the reader? Not where the reader may never read. */
bool chardev_keeps_all(const struct char_front *front);
/* Up to `count` items. A front end that answers gets the end of a client only when it asks again, because it has
 * answered what came before by then. */
u32 chardev_take(struct char_front *front, u16 *items, u32 count);
/* Does the host I/O that needs no waiting. */
void chardev_poll(struct char_front *front);
/* Can there be input, now or later? */
bool chardev_may_read(struct char_front *front);
bool chardev_is_open(struct char_front *front);

/* --- ringbuf: what was written to it; bytes to be read from it as input --- */
u64 chardev_ring_read(struct chardev *chardev, u8 *to, u64 bytes);

/* --- for back ends: with the lock held --- */

extern const struct chardev_ops char_null_ops, char_stdio_ops, char_file_ops, char_pipe_ops, char_pty_ops,
    char_ringbuf_ops, char_socket_ops;
void chardev_event(struct chardev *chardev, u16 event);
void chardev_set_open(struct chardev *chardev, bool open);
/* Input for the front end in focus, after the escape keys. */
void chardev_input(struct chardev *chardev, const u8 *bytes, u32 count);
/* How much input may be read now. */
u32 chardev_input_room(const struct chardev *chardev);
void chardev_fail(struct chardev *chardev, int failed);
/* The file of logfile=, if there is one. */
bool char_open_log(struct chardev *chardev, char *error, size_t error_bytes);

#endif
