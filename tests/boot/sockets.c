/*
 * sockets open HOST PORT N [MS]: opens N TCP connections, each within MS ms (30000), and keeps them, then sends a byte
 * over each and takes it back, then closes all.
 *     Prints "opened K", and "echoed K".
 * sockets frames INTERFACE none|promiscuous|all|MAC: asks the other end for frames, takes what comes until "end", and
 * prints the text of each.
 *     Meanwhile the interface is promiscuous, takes all groups, or the group MAC.
 * sockets rings INTERFACE N: gives the card rings of N descriptors, as ethtool -G does.
 * sockets flood HOST PORT SECONDS: sends UDP datagrams as fast as possible. sockets deaf HOST PORT SECONDS: connects,
 * and does not read.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* A frame of the protocol for local experiments (IEEE 802): addresses, type, text. */
#define EXPERIMENT 0x88b5
enum { HEADER = 14, TYPE = 12, FRAME = 60, MAC = 6 };

/* What the interface is to receive beside its own frames. */
static void join(int fd, int interface, const char *what)
{
    struct packet_mreq request = {.mr_ifindex = interface, .mr_alen = MAC};
    unsigned char *a = request.mr_address;
    if (!strcmp(what, "promiscuous"))
        request.mr_type = PACKET_MR_PROMISC;
    else if (!strcmp(what, "all"))
        request.mr_type = PACKET_MR_ALLMULTI;
    else if (sscanf(what, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", a, a + 1, a + 2, a + 3, a + 4, a + 5) == MAC)
        request.mr_type = PACKET_MR_MULTICAST;
    else
        return;
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) < 0) exit(1);
}

static void frames(const char *name, const char *what)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(EXPERIMENT)};
    struct timeval patience = {.tv_sec = 30};
    unsigned char frame[2048] = {0};
    int fd = socket(AF_PACKET, SOCK_RAW, htons(EXPERIMENT));
    at.sll_ifindex = (int)if_nametoindex(name);
    if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) exit(1);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    join(fd, at.sll_ifindex, what);
    struct ifreq card = {0};
    strncpy(card.ifr_name, name, sizeof(card.ifr_name) - 1);
    if (ioctl(fd, SIOCGIFHWADDR, &card) < 0) exit(1);
    memset(frame, 0xff, MAC);
    memcpy(frame + MAC, card.ifr_hwaddr.sa_data, MAC);
    frame[TYPE] = EXPERIMENT >> 8;
    frame[TYPE + 1] = EXPERIMENT & 0xff;
    strcpy((char *)frame + HEADER, "ask");
    if (send(fd, frame, FRAME, 0) != FRAME) exit(1);
    for (;;) {
        socklen_t bytes = sizeof(at);
        ssize_t got = recvfrom(fd, frame, sizeof(frame) - 1, 0, (struct sockaddr *)&at, &bytes);
        if (got < HEADER) exit(1);
        frame[got] = 0;
        if (at.sll_pkttype == PACKET_OUTGOING) continue;
        if (!strcmp((char *)frame + HEADER, "end")) break;
        printf("%s: %s\n", what, frame + HEADER);
    }
}

static int set_rings(const char *name, unsigned descriptors)
{
    struct ethtool_ringparam rings = {
        .cmd = ETHTOOL_SRINGPARAM, .rx_pending = descriptors, .tx_pending = descriptors};
    struct ifreq card = {.ifr_data = (char *)&rings};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    strncpy(card.ifr_name, name, sizeof(card.ifr_name) - 1);
    return fd < 0 || ioctl(fd, SIOCETHTOOL, &card) < 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (argc == 4 && !strcmp(argv[1], "rings")) return set_rings(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 4 && !strcmp(argv[1], "frames")) {
        frames(argv[2], argv[3]);
        return 0;
    }
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
