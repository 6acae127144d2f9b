#include "confine.h"

#include <stddef.h>

static confine_function *confine;
static _Thread_local bool confined;

void confine_set(confine_function *function)
{
    __atomic_store_n(&confine, function, __ATOMIC_RELEASE);
}

bool confine_is_due(void)
{
    return !confined && __atomic_load_n(&confine, __ATOMIC_ACQUIRE);
}

void confine_thread_slowly(enum thread_role role, int folder_fd)
{
    confined = true;
    __atomic_load_n(&confine, __ATOMIC_ACQUIRE)(role, folder_fd);
}
