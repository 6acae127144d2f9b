/*
 * sockets open HOST PORT N [MS]: opens N TCP connections, each within MS ms (30000), and keeps them, then sends a byte over each and takes it back, then closes all.
 *     Prints "opened K", and "echoed K".
 * sockets flood HOST PORT SECONDS: sends UDP datagrams as fast as possible. sockets deaf HOST PORT SECONDS: connects,
 * and does not read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned patience_ms = 30000;

static int connect_to(const struct sockaddr_in *to, int type)
{
    struct timeval patience = {patience_ms / 1000, patience_ms % 1000 * 1000};
    int fd = socket(AF_INET, type, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* of connect() too */
    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0) return fd;
    close(fd);
    return -1;
}

static void open_many(const struct sockaddr_in *to, unsigned count)
{
    struct rlimit limit = {count + 64, count + 64};
    int *fd = calloc(count, sizeof(*fd));
    unsigned opened = 0, echoed = 0;
    char byte = 'x';
    if (!fd || setrlimit(RLIMIT_NOFILE, &limit) < 0) exit(1);
    for (unsigned n = 0; n < count; n++)
        if ((fd[n] = connect_to(to, SOCK_STREAM)) >= 0) opened++;
    printf("opened %u\n", opened);
    for (unsigned n = 0; n < count; n++)
        if (fd[n] >= 0 && send(fd[n], &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd[n], &byte, 1, 0) == 1) echoed++;
    printf("echoed %u\n", echoed);
    for (unsigned n = 0; n < count; n++)
        if (fd[n] >= 0) close(fd[n]);
}

static void flood(const struct sockaddr_in *to, unsigned seconds)
{
    static char data[1400];
    time_t end = time(NULL) + seconds;
    int fd = connect_to(to, SOCK_DGRAM);
    while (time(NULL) < end)
        for (unsigned n = 0; n < 64; n++)
            send(fd, data, sizeof(data), MSG_DONTWAIT);
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (argc == 6) patience_ms = (unsigned)atoi(argv[--argc]);
    if (argc != 5 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) return 2;
    to.sin_port = htons((unsigned short)atoi(argv[3]));
    unsigned number = (unsigned)atoi(argv[4]);
    if (!strcmp(argv[1], "open")) {
        open_many(&to, number);
    } else if (!strcmp(argv[1], "flood")) {
        flood(&to, number);
    } else if (!strcmp(argv[1], "deaf")) {
        if (connect_to(&to, SOCK_STREAM) < 0) return 1;
        sleep(number);
    }
    return 0;
}
