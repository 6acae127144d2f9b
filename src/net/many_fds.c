#include "many_fds.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLPRI == POLLPRI && EPOLLERR == POLLERR &&
                   EPOLLHUP == POLLHUP,
               "events are passed on as they are");

void many_fds_init(struct many_fds *many)
{
    *many = (struct many_fds){.epoll = -1};
}

static void use_poll(struct many_fds *many)
{
    if (many->epoll >= 0) close(many->epoll);
    many->epoll = -1;
    many->events = 0;
}

void many_fds_destroy(struct many_fds *many)
{
    use_poll(many);
    free(many->fd);
    free(many->list);
    free(many->list_before);
    free(many->event);
    many_fds_init(many);
}

static bool is_told(const struct many_fds *many, int fd)
{
    return (unsigned)fd < many->fds && many->fd[fd].told == many->number;
}

void many_fds_forget(struct many_fds *many, int fd)
{
    if (many->epoll < 0 || fd < 0 || !is_told(many, fd)) return;
    epoll_ctl(many->epoll, EPOLL_CTL_DEL, fd, NULL);
    many->fd[fd].told = 0;
}

/* Half of MANY_FDS is enough to stay with epoll, so a number of descriptors near it does not change back and forth. */
void many_fds_begin(struct many_fds *many)
{
    bool wanted = !many->failed && many->added >= (many->epoll < 0 ? MANY_FDS : MANY_FDS / 2);
    int *list = many->list_before;
    if (!wanted) {
        use_poll(many);
    } else if (many->epoll < 0) {
        many->epoll = epoll_create1(EPOLL_CLOEXEC);
        many->failed = many->epoll < 0;
        many->number++; /* nothing is known to it */
        many->added = 0;
    }
    many->list_before = many->list;
    many->list = list;
    many->added_before = many->added;
    many->added = 0;
    many->round++;
}

/* Room for this descriptor and one more in the list. */
static bool make_room(struct many_fds *many, int fd)
{
    if ((unsigned)fd >= many->fds) {
        unsigned fds = (unsigned)fd * 2 + MANY_FDS;
        struct many_fd *grown = realloc(many->fd, fds * sizeof(*grown));
        if (!grown) return false;
        memset(grown + many->fds, 0, (fds - many->fds) * sizeof(*grown));
        many->fd = grown;
        many->fds = fds;
    }
    if (many->added < many->capacity) return true;
    unsigned capacity = many->capacity * 2 + MANY_FDS;
    int *list = realloc(many->list, capacity * sizeof(*list));
    if (list) many->list = list;
    int *before = realloc(many->list_before, capacity * sizeof(*before));
    if (before) many->list_before = before;
    struct epoll_event *event = realloc(many->event, capacity * sizeof(*event));
    if (event) many->event = event;
    if (!list || !before || !event) return false;
    many->capacity = capacity;
    return true;
}

static bool tell(struct many_fds *many, int fd, short events)
{
    struct epoll_event event = {.events = (u16)events, .data.fd = fd};
    bool told = is_told(many, fd);
    if (told && many->fd[fd].events == events) return true;
    return epoll_ctl(many->epoll, told ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0;
}

int many_fds_add(struct many_fds *many, struct net_poll *poll, int fd, short events)
{
    if (many->epoll < 0) {
        int index = net_poll_add(poll, fd, events);
        if (index >= 0 && !many->added++) many->index = index;
        return index;
    }
    if (!make_room(many, fd) || !tell(many, fd, events)) {
        many->failed = true;
        poll->wake_ns = 0; /* the next round begins at once */
        return -1;
    }
    many->fd[fd] = (struct many_fd){.told = many->number, .round = many->round, .events = events};
    many->list[many->added++] = fd;
    return fd;
}

void many_fds_end(struct many_fds *many, struct net_poll *poll)
{
    if (many->epoll < 0) return;
    for (unsigned n = 0; n < many->added_before; n++) {
        int fd = many->list_before[n];
        if (many->fd[fd].round != many->round) many_fds_forget(many, fd);
    }
    many->index = net_poll_add(poll, many->epoll, POLLIN);
}

bool many_fds_collect(struct many_fds *many, const struct net_poll *poll)
{
    if (many->epoll < 0) {
        short seen = 0;
        for (unsigned n = 0; n < many->added; n++)
            seen |= poll->fds[many->index + (int)n].revents;
        return seen;
    }
    many->events = 0;
    if (many->index < 0 || !poll->fds[many->index].revents) return false;
    int got = epoll_wait(many->epoll, many->event, (int)many->capacity, 0);
    many->events = got > 0 ? (unsigned)got : 0;
    for (unsigned n = 0; n < many->events; n++)
        many->fd[many->event[n].data.fd].seen = (short)many->event[n].events;
    return many->events;
}

short many_fds_seen(const struct many_fds *many, const struct net_poll *poll, int index)
{
    if (index < 0) return 0;
    return many->epoll < 0 ? poll->fds[index].revents : many->fd[index].seen;
}
