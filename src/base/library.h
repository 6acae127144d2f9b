/*
 * Shared libraries that only some runs need: SDL for a window, libvncserver, Capstone for listings. With all that they
 * depend on they are sixty files, and loading them takes longer than all else that a start does. So Ringer is not
 * linked with them.
 *
 *   SDL_Init()  ->  stub: jmp *library_SDL_Init  ->  the function in libSDL2
 *                                ^ filled by library_load()
 *
 * A function that is called and not listed does not link. One that is called before library_load() has succeeded ends
 * the process by a jump to address 0.
 */
#ifndef RINGER_BASE_LIBRARY_H
#define RINGER_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct library_function {
    const char *name;
    void **address;
};

struct library {
    const char *file; /* its SONAME */
    const struct library_function *function;
    unsigned count;
    void *handle; /* NULL: not loaded */
};

/* Defines `struct library variable` and the stubs. FUNCTIONS is an X-macro of function names. */
#define LIBRARY(variable, soname, FUNCTIONS)                                                                 \
    FUNCTIONS(LIBRARY_STUB)                                                                                  \
    static const struct library_function variable##_functions[] = {FUNCTIONS(LIBRARY_ROW)};                  \
    struct library variable = {soname, variable##_functions,                                                 \
                               sizeof(variable##_functions) / sizeof(variable##_functions[0]), NULL};

#define LIBRARY_ROW(name) {#name, &library_##name},
/* Hidden: the library itself and others that it needs must not find the stub in place of the function. */
#define LIBRARY_STUB(name)                                                                                   \
    __attribute__((visibility("hidden"))) void *library_##name;                                              \
    __asm__(".pushsection .text\n"                                                                           \
            ".globl " #name "\n"                                                                             \
            ".hidden " #name "\n"                                                                            \
            ".type " #name ", @function\n" #name ":\n"                                                       \
            "    jmp *library_" #name "(%rip)\n"                                                             \
            ".size " #name ", . - " #name "\n"                                                               \
            ".popsection\n");

/* Loads the library, unless it is loaded, with all that it depends on; it stays. Outside of the sandbox only, and by
 * one thread at a time. false with one sentence in error. */
bool library_load(struct library *library, char *error, size_t error_bytes);
/* The address of a variable of a library that is loaded; NULL if it has none. */
void *library_variable(const struct library *library, const char *name);

#endif
