#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Process-wide state, because stderr and the terminal are process-wide too. */
static bool debug_enabled;
static void (*die_hook)(void);
static int die_status; /* 0: the one that die() is called with */

static void say(const char *prefix, const char *format, va_list args)
{
    fprintf(stderr, "ringer: %s", prefix);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void log_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("warning: ", format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    if (!debug_enabled) return;
    va_list args;
    va_start(args, format);
    say("debug: ", format, args);
    va_end(args);
}

void die(int status, const char *format, ...)
{
    if (die_hook) die_hook();
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
    exit(die_status ? die_status : status);
}

void log_die_status(int status)
{
    die_status = status;
}

void log_enable_debug(void)
{
    debug_enabled = true;
}

void log_at_die(void (*restore)(void))
{
    die_hook = restore;
}
