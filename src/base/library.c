#include "library.h"

#include <dlfcn.h>
#include <stdio.h>

bool library_load(struct library *library, char *error, size_t error_bytes)
{
    if (library->handle) return true;
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    for (unsigned n = 0; handle && n < library->count; n++) {
        *library->function[n].address = dlsym(handle, library->function[n].name);
        if (!*library->function[n].address) handle = NULL;
    }
    library->handle = handle;
    if (!handle) snprintf(error, error_bytes, "cannot load a library: %s", dlerror());
    return handle;
}

void *library_variable(const struct library *library, const char *name)
{
    return dlsym(library->handle, name);
}
