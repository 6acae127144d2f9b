/*
 * net serve ADDRESS: a server for all tests, for ever. It prints "ports TCP UDP HTTP" when they can be used.
 * net ADDRESS TCP,UDP,HTTP SECONDS TEST...: runs tests against such a server, one after the other, and prints for each
 *
 *   net: begin TEST
 *   net: end TEST VALUE        bytes a second, microseconds a round trip, or connections a second
 *
 * The first byte of a TCP connection says what the server does with it: take everything and answer with the number of
 * bytes, give without an end, or echo. An HTTP connection carries one request and ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK   (128u << 10) /* of a read or write, as iperf3's */
#define SMALL   100u
#define WORKERS 8u

enum { TAKE = 't', GIVE = 'g', ECHO = 'e' };

static const char request[] = "GET / HTTP/1.0\r\n\r\n";
static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

static void fail(const char *what)
{
    fprintf(stderr, "net: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool send_all(int fd, const void *from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t sent = send(fd, (const char *)from + done, bytes - done, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        done += (size_t)sent;
    }
    return true;
}

/* --- the server --- */

static void take(int fd, char *block)
{
    uint64_t count = 0;
    ssize_t got;
    while ((got = recv(fd, block, BLOCK, 0)) > 0)
        count += (uint64_t)got;
    if (got == 0) send_all(fd, &count, sizeof(count));
}

static void echo(int fd, char *block)
{
    int one = 1;
    ssize_t got;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    while ((got = recv(fd, block, BLOCK, 0)) > 0 && send_all(fd, block, (size_t)got)) {
    }
}

static void *serve_tcp(void *argument)
{
    int fd = (int)(intptr_t)argument;
    char *block = calloc(1, BLOCK), what = 0;
    if (block && recv(fd, &what, 1, 0) == 1) {
        if (what == TAKE) take(fd, block);
        if (what == ECHO) echo(fd, block);
        while (what == GIVE && send_all(fd, block, BLOCK)) {
        }
    }
    free(block);
    close(fd);
    return NULL;
}

static void *serve_http(void *argument)
{
    int fd = (int)(intptr_t)argument;
    char block[512];
    if (recv(fd, block, sizeof(block), 0) > 0) send_all(fd, answer, sizeof(answer) - 1);
    close(fd);
    return NULL;
}

struct port {
    int fd;
    void *(*serve)(void *connection);
};

static void *accept_loop(void *argument)
{
    const struct port *port = argument;
    for (;;) {
        pthread_t thread;
        int fd = accept(port->fd, NULL, NULL);
        if (fd < 0) continue;
        /* A request is answered at once, so it needs no thread. */
        if (port->serve == serve_http)
            serve_http((void *)(intptr_t)fd);
        else if (pthread_create(&thread, NULL, port->serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
        else
            close(fd);
    }
    return NULL;
}

static int open_port(int type, const char *address, unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(at);
    int fd = socket(AF_INET, type, 0);
    if (fd < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1) fail(address);
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) fail("bind");
    if (type == SOCK_STREAM && listen(fd, 128) < 0) fail("listen");
    getsockname(fd, (struct sockaddr *)&at, &bytes);
    *port = ntohs(at.sin_port);
    return fd;
}

static void serve(const char *address)
{
    unsigned port[3];
    struct port tcp = {open_port(SOCK_STREAM, address, &port[0]), serve_tcp};
    int udp = open_port(SOCK_DGRAM, address, &port[1]);
    struct port http = {open_port(SOCK_STREAM, address, &port[2]), serve_http};
    pthread_t thread;
    if (pthread_create(&thread, NULL, accept_loop, &tcp) || pthread_create(&thread, NULL, accept_loop, &http))
        fail("threads");
    printf("ports %u,%u,%u\n", port[0], port[1], port[2]);
    fflush(stdout);
    for (;;) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof(from);
        char block[2048];
        ssize_t got = recvfrom(udp, block, sizeof(block), 0, (struct sockaddr *)&from, &bytes);
        if (got >= 0) sendto(udp, block, (size_t)got, 0, (struct sockaddr *)&from, bytes);
    }
}

/* --- the tests --- */

struct target {
    struct sockaddr_in tcp, udp, http;
    double seconds;
};

static int connect_to(const struct sockaddr_in *to)
{
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) fail("socket");
        if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0) return fd;
        if (errno != EADDRNOTAVAIL) fail("connect");
        close(fd); /* all ports were used a moment ago, which happens only on the fast loopback */
        usleep(1000);
    }
}

static int open_tcp(const struct target *t, char what)
{
    int fd = connect_to(&t->tcp);
    if (!send_all(fd, &what, 1)) fail("send");
    return fd;
}

/* Received bytes a second, by the server's count. */
static double send_blocks(const struct target *t, size_t block_bytes)
{
    static char block[BLOCK];
    uint64_t count = 0;
    int fd = open_tcp(t, TAKE);
    double start = now();
    while (now() - start < t->seconds)
        /* Reading the clock for each small write would be most of the work. */
        for (unsigned n = 0; n < (block_bytes == SMALL ? 64 : 1); n++)
            if (!send_all(fd, block, block_bytes)) fail("send");
    shutdown(fd, SHUT_WR);
    if (recv(fd, &count, sizeof(count), MSG_WAITALL) != sizeof(count)) fail("the server's count");
    double value = (double)count / (now() - start);
    close(fd);
    return value;
}

static double test_out(const struct target *t)
{
    return send_blocks(t, BLOCK);
}

static double test_small(const struct target *t)
{
    return send_blocks(t, SMALL);
}

static double test_in(const struct target *t)
{
    static char block[BLOCK];
    uint64_t count = 0;
    int fd = open_tcp(t, GIVE);
    double start = now();
    while (now() - start < t->seconds) {
        ssize_t got = recv(fd, block, sizeof(block), 0);
        if (got <= 0) fail("recv");
        count += (uint64_t)got;
    }
    double value = (double)count / (now() - start);
    close(fd);
    return value;
}

static double test_tcp_round(const struct target *t)
{
    int one = 1, fd = open_tcp(t, ECHO);
    unsigned rounds = 0;
    char byte = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    double start = now();
    while (now() - start < t->seconds) {
        if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) fail("echo");
        rounds++;
    }
    close(fd);
    return (now() - start) * 1e6 / rounds;
}

static void set_patience(int fd)
{
    struct timeval second = {.tv_sec = 1};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
}

static double test_udp_round(const struct target *t)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned rounds = 0;
    char byte = 0;
    set_patience(fd);
    if (connect(fd, (const struct sockaddr *)&t->udp, sizeof(t->udp)) < 0) fail("connect");
    double start = now();
    while (now() - start < t->seconds) {
        if (send(fd, &byte, 1, 0) != 1) fail("send");
        if (recv(fd, &byte, 1, 0) == 1) rounds++;
    }
    close(fd);
    return (now() - start) * 1e6 / (rounds ? rounds : 1);
}

static uint16_t checksum(const uint16_t *word, unsigned words)
{
    uint32_t sum = 0;
    while (words--)
        sum += *word++;
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t) ~(sum + (sum >> 16));
}

/* An echo request of 56 bytes of data, as ping sends it. */
static double test_icmp_round(const struct target *t)
{
    union {
        struct icmphdr header;
        uint16_t word[32];
    } echo;
    char reply[256];
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    unsigned rounds = 0;
    if (fd < 0) fail("a raw socket");
    set_patience(fd);
    double start = now();
    while (now() - start < t->seconds) {
        memset(&echo, 0, sizeof(echo));
        echo.header.type = ICMP_ECHO;
        echo.header.un.echo.id = (uint16_t)getpid();
        echo.header.un.echo.sequence = (uint16_t)rounds;
        echo.header.checksum = checksum(echo.word, 32);
        if (sendto(fd, &echo, sizeof(echo), 0, (const struct sockaddr *)&t->tcp, sizeof(t->tcp)) < 0)
            fail("send");
        for (;;) { /* on loopback the socket sees the requests too */
            ssize_t got = recv(fd, reply, sizeof(reply), 0);
            const struct icmphdr *header = (const struct icmphdr *)(reply + 20);
            if (got < 0) break;
            if (header->type != ICMP_ECHOREPLY || header->un.echo.id != echo.header.un.echo.id ||
                header->un.echo.sequence != echo.header.un.echo.sequence)
                continue;
            rounds++;
            break;
        }
    }
    close(fd);
    return (now() - start) * 1e6 / (rounds ? rounds : 1);
}

static double test_http(const struct target *t)
{
    unsigned requests = 0;
    double start = now();
    while (now() - start < t->seconds) {
        char page[512];
        size_t bytes = 0;
        ssize_t got;
        int fd = connect_to(&t->http);
        if (!send_all(fd, request, sizeof(request) - 1)) fail("send");
        while ((got = recv(fd, page + bytes, sizeof(page) - bytes, 0)) > 0)
            bytes += (size_t)got;
        close(fd);
        if (bytes != sizeof(answer) - 1) fail("an answer that is too short");
        requests++;
    }
    return requests / (now() - start);
}

/* In seconds; nothing else happens meanwhile. */
static double test_idle(const struct target *t)
{
    usleep((useconds_t)(t->seconds * 1e6));
    return t->seconds;
}

static const struct test {
    const char *name;
    double (*run)(const struct target *t);
    unsigned workers;
} tests[] = {
    {"out-1", test_out, 1},
    {"out-8", test_out, WORKERS},
    {"in-1", test_in, 1},
    {"in-8", test_in, WORKERS},
    {"small", test_small, 1},
    {"round-tcp", test_tcp_round, 1},
    {"round-udp", test_udp_round, 1},
    {"round-icmp", test_icmp_round, 1},
    {"http-1", test_http, 1},
    {"http-8", test_http, WORKERS},
    {"idle", test_idle, 1},
};

/* The sum of the results of that number of processes at once. */
static double run_workers(const struct test *test, const struct target *t)
{
    int pipes[2];
    double sum = 0, value;
    if (pipe(pipes) < 0) fail("pipe");
    for (unsigned n = 0; n < test->workers; n++) {
        if (fork()) continue;
        value = test->run(t);
        _exit(write(pipes[1], &value, sizeof(value)) != sizeof(value));
    }
    close(pipes[1]);
    for (unsigned n = 0; n < test->workers; n++) {
        if (read(pipes[0], &value, sizeof(value)) != sizeof(value)) fail("a worker");
        sum += value;
    }
    close(pipes[0]);
    for (unsigned n = 0; n < test->workers; n++)
        wait(NULL);
    return sum;
}

static void run(const char *name, const struct target *t)
{
    for (unsigned n = 0; n < sizeof(tests) / sizeof(tests[0]); n++) {
        if (strcmp(tests[n].name, name)) continue;
        printf("net: begin %s\n", name);
        fflush(stdout);
        double value = tests[n].workers > 1 ? run_workers(&tests[n], t) : tests[n].run(t);
        printf("net: end %s %.6g\n", name, value);
        fflush(stdout);
        return;
    }
    fprintf(stderr, "net: there is no test %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    unsigned port[3];
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && !strcmp(argv[1], "serve")) serve(argv[2]);
    if (argc < 5 || sscanf(argv[2], "%u,%u,%u", &port[0], &port[1], &port[2]) != 3) {
        fprintf(stderr, "usage: net serve ADDRESS | net ADDRESS TCP,UDP,HTTP SECONDS TEST...\n");
        return 2;
    }
    struct target target = {.seconds = atof(argv[3])};
    struct sockaddr_in *at[] = {&target.tcp, &target.udp, &target.http};
    for (unsigned n = 0; n < 3; n++) {
        *at[n] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port[n])};
        if (inet_pton(AF_INET, argv[1], &at[n]->sin_addr) != 1) fail(argv[1]);
    }
    for (int n = 4; n < argc; n++)
        run(argv[n], &target);
    return 0;
}
