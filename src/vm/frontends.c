/*
 * The frontends of a run. See frontends.h.
 */
#include "frontends.h"

#include "base/confine.h"
#include "vm.h"

#include <pthread.h>
#include <string.h>

/* The usual size of a first thread's stack. */
#define STACK_BYTES (8u << 20)

int frontends_open(struct frontends *f, struct vm *vm, char *error, size_t error_bytes)
{
    const struct options *o = vm->options;
    struct console *console = &vm->chipset.console.console;
    *f = (struct frontends){.vm = vm};
    sem_init(&f->started, 0, 0);
    sem_init(&f->closed, 0, 0);
    if (o->vnc) {
        int status = STATUS_USAGE;
        f->vnc = vnc_open(console, o->vnc, &status, error, error_bytes);
        if (!f->vnc) return status;
    }
    if (o->display == DISPLAY_WINDOW) {
        struct sdl_window_options options = {
            .full_screen = o->full_screen, .whole = o->whole_scale, .closes = o->window_closes};
        f->window = sdl_window_open(console, &options, error, error_bytes);
        if (!f->window) return STATUS_HOST;
    }
    return STATUS_OK;
}

struct job {
    void (*run)(void *argument);
    void *argument;
};

static void *thread_main(void *argument)
{
    struct job *job = argument;
    job->run(job->argument);
    return NULL;
}

static void run_beside_window(struct frontends *f, struct job *job)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&thread, &attributes, thread_main, job);
    pthread_attr_destroy(&attributes);
    if (failed) die(STATUS_HOST, "cannot start the machine's thread: %s", strerror(failed));
    while (sem_wait(&f->started) < 0) /* EINTR */
        ;
    confine_thread(ROLE_WINDOW);
    sdl_window_run(f->window);
    sem_post(&f->closed);
    pthread_join(thread, NULL);
}

void frontends_run(struct frontends *f, void (*machine)(void *argument), void *argument)
{
    struct job job = {machine, argument};
    if (f->window)
        run_beside_window(f, &job);
    else
        machine(argument);
    vnc_close(f->vnc);
    sdl_window_close(f->window);
    sem_destroy(&f->started);
    sem_destroy(&f->closed);
}

void frontends_start(struct frontends *f)
{
    /* The first letters may have been sent before there was a thread to wake. */
    __atomic_or_fetch(&f->vm->vcpu.pending, PENDING_HOST, __ATOMIC_SEQ_CST);
    if (f->vnc) vnc_start(f->vnc);
    sem_post(&f->started);
}

void frontends_stop(struct frontends *f)
{
    wire_console_stopped(&f->vm->chipset.console);
    if (f->vnc) vnc_stop(f->vnc);
    while (f->window && sem_wait(&f->closed) < 0) /* EINTR */
        ;
}
