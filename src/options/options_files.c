#include "options_files.h"

#include "net/user.h"

#include <stdlib.h>
#include <string.h>

struct visit {
    void (*add)(void *owner, const char *path);
    void *owner;
};

static void visit(const struct visit *v, const char *path)
{
    if (path && *path) v->add(v->owner, path);
}

/* "file arguments,file arguments": Multiboot modules. Also the whole, as the name of one file. */
static void visit_modules(const struct visit *v, const char *initrd)
{
    if (!initrd) return;
    visit(v, initrd);
    for (const char *at = initrd; *at; at += strcspn(at, ","), at += *at == ',') {
        char *file = strndup(at, strcspn(at, " ,"));
        visit(v, file);
        free(file);
    }
}

static void visit_boot(const struct visit *v, const struct boot_files *boot, const struct boot_plan *plan)
{
    visit(v, boot->kernel);
    visit_modules(v, boot->initrd);
    visit(v, boot->firmware);
    for (unsigned n = 0; n < plan->option_roms; n++)
        visit(v, plan->option_rom[n]);
}

static void visit_board(const struct visit *v, const struct board_options *board)
{
    for (unsigned n = 0; n < board->drives.count; n++)
        visit(v, board->drives.drive[n].file);
    for (unsigned n = 0; n < board->devices.chardevs; n++)
        visit(v, board->devices.chardev[n].path);
    for (unsigned n = 0; n < board->net.dumps; n++)
        visit(v, board->net.dump[n].file);
    for (unsigned n = 0; n < board->net.count; n++)
        visit(v, board->net.netdev[n].local.path);
}

void options_files(const struct options *o, void (*add)(void *owner, const char *path), void *owner)
{
    struct visit v = {add, owner};
    visit_boot(&v, &o->boot, &o->boot_plan);
    visit_board(&v, &o->board);
    visit(&v, o->pid_file);
    visit(&v, o->screen_dump);
    visit(&v, o->screenshot);
}

unsigned options_tftp_directories(const struct options *o, const char *path[NETDEVS_MAX])
{
    unsigned count = 0;
    for (unsigned n = 0; n < o->board.net.count; n++) {
        const struct user_options *user = o->board.net.netdev[n].user;
        if (user && user->tftp_directory) path[count++] = user->tftp_directory;
    }
    return count;
}

bool options_start_programs(const struct options *o)
{
    for (unsigned n = 0; n < o->board.net.count; n++) {
        const struct user_options *user = o->board.net.netdev[n].user;
        for (unsigned f = 0; user && f < user->guest_forwards; f++)
            if (user->guest_forward[f].command) return true;
    }
    return false;
}
