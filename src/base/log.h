/*
 * Messages to the user: one clear sentence on stderr, prefixed "ringer: ".
 *
 * die() is for bad user input and for failures of the host during start-up. It restores the terminal by the function
 * that was passed to log_at_die(), and ends the process. No action of a guest may cause a call of it.
 */
#ifndef RINGER_BASE_LOG_H
#define RINGER_BASE_LOG_H

/* Exit statuses of the ringer program (docs: README, "Exit status"). */
enum exit_status {
    STATUS_OK = 0,       /* the guest powered off or was quit by the user */
    STATUS_GUEST = 1,    /* the guest cannot go on: a triple fault */
    STATUS_USAGE = 2,    /* bad option or bad input file: no guest was run */
    STATUS_HOST = 3,     /* the host refused a request (memory, file, terminal) */
    STATUS_DIVERGED = 4, /* lockstep found a difference */
    STATUS_TIMEOUT = 5,  /* --timeout ran out */
    STATUS_LAST = STATUS_TIMEOUT,
};

/* What was asked for was not done. The caller returns a status. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The program goes on. */
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints only after log_enable_debug(). */
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_enable_debug(void);

_Noreturn void die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* From now on die() ends with this status, whatever it is called with. */
void log_die_status(int status);

/* Set the function that die() calls before it prints, to take the terminal out of raw mode. NULL removes it. */
void log_at_die(void (*restore)(void));

#endif
