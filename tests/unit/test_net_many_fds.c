/*
 * Many descriptors of connections: what is ready is what poll() says, through changes of the wanted events, closed
 * descriptors and new ones with the same numbers, and from few to many and back. If the module is wrong, a connection
 * hangs, or the network thread never sleeps.
 */
#include "check.h"
#include "net/many_fds.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MOST = 4 * MANY_FDS, ROUNDS = 3500 };

static struct many_fds many;
static struct net_poll loop;
static struct {
    int fd, peer;
    short wanted;
    int index;
} pair[PAIRS_MOST];
static unsigned pairs;

static unsigned random_below(unsigned most)
{
    static u32 state = 4711;
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % most;
}

static void open_pair(unsigned n)
{
    int fds[2];
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
    pair[n].fd = fds[0];
    pair[n].peer = fds[1];
    many_fds_forget(&many, pair[n].fd); /* as libslirp tells of a new one */
}

static void close_pair(unsigned n)
{
    many_fds_forget(&many, pair[n].fd);
    close(pair[n].fd);
    if (pair[n].peer >= 0) close(pair[n].peer);
}

static void change_something(void)
{
    static char bytes[512];
    unsigned n = random_below(pairs);
    switch (random_below(6)) {
    case 0: pair[n].wanted = (short)(random_below(8) ? POLLIN : 0); break;
    case 1: pair[n].wanted |= POLLOUT; break;
    case 2: pair[n].wanted &= ~POLLOUT; break;
    case 3:
        if (pair[n].peer >= 0) CHECK(write(pair[n].peer, bytes, 1 + random_below(sizeof(bytes) - 1)) != 0);
        break;
    case 4: CHECK(read(pair[n].fd, bytes, sizeof(bytes)) >= -1); break;
    default:
        if (random_below(2) && pair[n].peer >= 0) { /* the other end hangs up */
            close(pair[n].peer);
            pair[n].peer = -1;
        } else { /* and a new one has the same number */
            close_pair(n);
            open_pair(n);
        }
    }
}

static void set_pairs(unsigned count)
{
    while (pairs > count)
        close_pair(--pairs);
    for (; pairs < count; pairs++) {
        open_pair(pairs);
        pair[pairs].wanted = POLLIN;
    }
}

static void add_all(void)
{
    loop.count = 0;
    loop.wake_ns = ~0ull;
    many_fds_begin(&many);
    for (unsigned n = 0; n < pairs; n++)
        pair[n].index = pair[n].wanted ? many_fds_add(&many, &loop, pair[n].fd, pair[n].wanted) : -1;
    many_fds_end(&many, &loop);
    CHECK_EQ(loop.wake_ns, ~0ull);
}

static void compare(void)
{
    bool any = false;
    CHECK(poll(loop.fds, loop.count, 0) >= 0);
    bool told = many_fds_collect(&many, &loop);
    for (unsigned n = 0; n < pairs; n++) {
        struct pollfd expected = {.fd = pair[n].fd, .events = pair[n].wanted};
        if (!pair[n].wanted) continue;
        CHECK(poll(&expected, 1, 0) >= 0);
        any |= expected.revents;
        CHECK_EQ(many_fds_seen(&many, &loop, pair[n].index), expected.revents);
    }
    CHECK_EQ(told, any);
}

int main(void)
{
    static const unsigned counts[] = {10, MANY_FDS - 1, PAIRS_MOST, MANY_FDS, MANY_FDS / 2, 3, PAIRS_MOST};
    many_fds_init(&many);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round % (ROUNDS / ARRAY_SIZE(counts)) == 0)
            set_pairs(counts[round / (ROUNDS / ARRAY_SIZE(counts)) % ARRAY_SIZE(counts)]);
        for (unsigned n = random_below(20); n; n--)
            change_something();
        add_all();
        compare();
    }
    CHECK(many.epoll >= 0);
    /* The kernel refuses: by poll() from then on. */
    close(many.epoll);
    many.epoll = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pair[0].wanted ^= POLLOUT;
    loop.count = 0;
    many_fds_begin(&many);
    CHECK_EQ(many_fds_add(&many, &loop, pair[0].fd, POLLIN | POLLPRI), -1);
    CHECK_EQ(loop.wake_ns, 0);
    many_fds_end(&many, &loop);
    add_all();
    CHECK_EQ(many.epoll, -1);
    compare();
    set_pairs(0);
    many_fds_destroy(&many);
    free(loop.fds);
    return check_report();
}
