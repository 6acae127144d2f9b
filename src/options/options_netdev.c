/*
 * Options: -netdev. A table of keys for each kind; back ends are made when the board is (board/wire_net.c).
 */
#include "net/dgram.h"
#include "net/stream.h"
#include "net/user.h"
#include "options_table.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* --- keys of -netdev user --- */

struct key_row {
    const char *name, *takes;
    bool (*set)(struct netdev_option *netdev, const char *value, struct complaint *c);
};

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0", "10.0.2.0". Addresses that are not given are derived from it. */
static bool set_network(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    struct user_options *user = netdev->user;
    char network[64];
    const char *slash = strchr(value, '/');
    u64 bits = 24;
    snprintf(network, sizeof(network), "%.*s", slash ? (int)(slash - value) : (int)strlen(value), value);
    if (inet_pton(AF_INET, network, &user->network) != 1) return false;
    if (slash && strchr(slash, '.')) {
        if (inet_pton(AF_INET, slash + 1, &user->mask) != 1) return false;
    } else {
        if (slash && (!option_number(slash + 1, &bits) || bits < 1 || bits > 30)) return false;
        user->mask = htonl(~0u << (32 - bits));
    }
    u32 base = ntohl(user->network & user->mask);
    user->network = htonl(base);
    user->host = htonl(base + 2);
    user->dns = htonl(base + 3);
    user->dhcp_start = htonl(base + 15);
    return true;
}

#define ADDRESS_SETTER(name, family, field)                                                                  \
    static bool set_##name(struct netdev_option *netdev, const char *value, struct complaint *c)             \
    {                                                                                                        \
        return inet_pton(family, value, &netdev->user->field) == 1;                                          \
    }
ADDRESS_SETTER(host, AF_INET, host)
ADDRESS_SETTER(dns, AF_INET, dns)
ADDRESS_SETTER(dhcp_start, AF_INET, dhcp_start)
ADDRESS_SETTER(prefix6, AF_INET6, prefix6)
ADDRESS_SETTER(host6, AF_INET6, host6)
ADDRESS_SETTER(dns6, AF_INET6, dns6)
#undef ADDRESS_SETTER

#define TEXT_SETTER(name, field)                                                                             \
    static bool set_##name(struct netdev_option *netdev, const char *value, struct complaint *c)             \
    {                                                                                                        \
        netdev->field = value;                                                                               \
        return *value != 0;                                                                                  \
    }
TEXT_SETTER(hostname, user->hostname)
TEXT_SETTER(domain, user->domain)
TEXT_SETTER(tftp, user->tftp_directory)
TEXT_SETTER(tftp_server, user->tftp_server)
TEXT_SETTER(bootfile, user->bootfile)
TEXT_SETTER(ifname, ifname)
#undef TEXT_SETTER

static bool set_prefix6_bits(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    u64 bits;
    if (!option_number(value, &bits) || bits > 126) return false;
    netdev->user->prefix6_bits = (u8)bits;
    return true;
}

static bool set_restricted(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    return option_switch(value, &netdev->user->restricted);
}

static bool set_ipv4(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    bool on;
    if (!option_switch(value, &on)) return false;
    netdev->user->no_ipv4 = !on;
    return true;
}

static bool set_ipv6(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    bool on;
    if (!option_switch(value, &on)) return false;
    netdev->user->no_ipv6 = !on;
    return true;
}

static bool add_dns_search(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    const char **list = netdev->user->dns_search;
    unsigned count = 0;
    while (list && list[count])
        count++;
    list = realloc(list, (count + 2) * sizeof(list[0]));
    if (!list) return false;
    list[count] = value;
    list[count + 1] = NULL;
    netdev->user->dns_search = list;
    return true;
}

static bool parse_port(const char *text, size_t length, u16 *port)
{
    char number[8];
    u64 value;
    if (!length || length >= sizeof(number)) return false;
    memcpy(number, text, length);
    number[length] = 0;
    if (!option_number(number, &value) || value > UINT16_MAX) return false;
    *port = (u16)value;
    return true;
}

/* Parse "ADDRESS:PORT" up to `end`. The address may be missing. */
static bool parse_end(const char *text, const char *end, u32 *address, u16 *port)
{
    char number[INET_ADDRSTRLEN];
    const char *colon = memchr(text, ':', (size_t)(end - text));
    if (!colon || (size_t)(colon - text) >= sizeof(number)) return false;
    memcpy(number, text, (size_t)(colon - text));
    number[colon - text] = 0;
    if (*number && inet_pton(AF_INET, number, address) != 1) return false;
    return parse_port(colon + 1, (size_t)(end - colon - 1), port);
}

/* [tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT. Without a host address, on 127.0.0.1 only: to listen to the
 * world takes an explicit 0.0.0.0. */
static bool add_forward(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    struct user_options *user = netdev->user;
    struct user_forward forward = {.host = htonl(INADDR_LOOPBACK), .rule = value};
    const char *dash = strchr(value, '-');
    if (user->forwards == USER_FORWARDS)
        return COMPLAIN(c, "there are more than %u forwarded ports", USER_FORWARDS);
    forward.udp = !strncmp(value, "udp:", 4);
    if (forward.udp || !strncmp(value, "tcp:", 4))
        value += 4;
    else if (*value == ':')
        value++;
    else
        return false;
    if (!dash || dash < value || !parse_end(value, dash, &forward.host, &forward.host_port) ||
        !parse_end(dash + 1, dash + strlen(dash), &forward.guest, &forward.guest_port) || !forward.guest_port)
        return false;
    user->forward[user->forwards++] = forward;
    return true;
}

/* [tcp]:ADDRESS:PORT-cmd:COMMAND, -unix:PATH or -tcp:HOST:PORT */
static bool add_guest_forward(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    struct user_options *user = netdev->user;
    struct user_guest_forward forward = {0};
    const char *dash = strchr(value, '-');
    if (user->guest_forwards == USER_FORWARDS)
        return COMPLAIN(c, "there are more than %u forwarded ports", USER_FORWARDS);
    value += strncmp(value, "tcp:", 4) ? *value == ':' : 4;
    if (!dash || dash < value || !parse_end(value, dash, &forward.address, &forward.port)) return false;
    if (!strncmp(dash + 1, "cmd:", 4))
        forward.command = dash + 5;
    else if (!strncmp(dash + 1, "unix:", 5))
        forward.unix_path = dash + 6;
    else if (!strncmp(dash + 1, "tcp:", 4))
        forward.tcp = dash + 5;
    else
        return false;
    user->guest_forward[user->guest_forwards++] = forward;
    return true;
}

static bool refuse_smb(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    return COMPLAIN(c, "-netdev user: Ringer starts no SMB server; share a folder with -virtfs, or forward a "
                       "port to a server of your own");
}

static const struct key_row user_keys[] = {
    {"net", "a network, as 10.0.2.0/24", set_network},
    {"host", "an IPv4 address", set_host},
    {"dns", "an IPv4 address", set_dns},
    {"dhcpstart", "an IPv4 address", set_dhcp_start},
    {"hostname", "a name", set_hostname},
    {"domainname", "a name", set_domain},
    {"dnssearch", "a domain", add_dns_search},
    {"restrict", "on or off", set_restricted},
    {"ipv4", "on or off", set_ipv4},
    {"ipv6", "on or off", set_ipv6},
    {"ipv6-prefix", "an IPv6 address", set_prefix6},
    {"ipv6-prefixlen", "a number up to 126", set_prefix6_bits},
    {"ipv6-host", "an IPv6 address", set_host6},
    {"ipv6-dns", "an IPv6 address", set_dns6},
    {"tftp", "a directory", set_tftp},
    {"tftp-server-name", "a name", set_tftp_server},
    {"bootfile", "a file's name", set_bootfile},
    {"smb", "nothing", refuse_smb},
    {"smbserver", "nothing", refuse_smb},
    {"hostfwd", "[tcp|udp]:[ADDRESS]:PORT-[ADDRESS]:PORT", add_forward},
    {"guestfwd", "[tcp]:ADDRESS:PORT-cmd:COMMAND, -unix:PATH or -tcp:HOST:PORT", add_guest_forward},
    {0},
};

/* --- tap and sockets --- */

static bool set_fd(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    u64 fd;
    if (!option_number(value, &fd) || fd > INT32_MAX) return false;
    netdev->fd = netdev->stream->fd = (int)fd;
    return true;
}

/* QEMU runs a script that sets up the interface as root. Ringer runs none. */
static bool set_script(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    return !strcmp(value, "no") || COMPLAIN(c, "-netdev tap: Ringer runs no scripts; set up the interface "
                                               "before, and give script=no,downscript=no");
}

static bool set_ignored(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    return true;
}

static bool set_chardev(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    netdev->chardev = value;
    return true;
}

static const struct key_row vhost_user_keys[] = {
    {"chardev", "the id of a -chardev socket", set_chardev},
    {"vhostforce", "on or off", set_ignored},
    {"queues", "a number", set_ignored},
    {0},
};

static const struct key_row tap_keys[] = {
    {"ifname", "the name of an interface", set_ifname},
    {"fd", "the number of a descriptor", set_fd},
    {"script", "no", set_script},
    {"downscript", "no", set_script},
    {"vhost", "on or off", set_ignored},
    {"vnet_hdr", "on or off", set_ignored},
    {0},
};

static bool set_listen(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    netdev->stream->server = true;
    return net_address_parse(&netdev->stream->address, value, false, c->text, c->bytes);
}

static bool set_connect(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    return net_address_parse(&netdev->stream->address, value, false, c->text, c->bytes);
}

static bool set_datagrams_to(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    netdev->kind = NETDEV_DGRAM;
    return net_address_parse(&netdev->dgram->remote, value, true, c->text, c->bytes);
}

/* Of udp an address with a port, of mcast that of an interface. */
static bool set_localaddr(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    struct net_address *local = &netdev->dgram->local;
    if (strchr(value, ':')) return net_address_parse(local, value, true, c->text, c->bytes);
    return net_address_inet(local, value, "0", true, c->text, c->bytes);
}

static const struct key_row socket_keys[] = {
    {"listen", "[HOST]:PORT", set_listen},
    {"connect", "HOST:PORT", set_connect},
    {"udp", "HOST:PORT", set_datagrams_to},
    {"mcast", "GROUP:PORT", set_datagrams_to},
    {"localaddr", "an address, for udp with a port", set_localaddr},
    {"fd", "the number of a descriptor", set_fd},
    {0},
};

static bool set_server(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    return option_switch(value, &netdev->stream->server);
}

static bool set_reconnect(struct netdev_option *netdev, const char *value, struct complaint *c)
{
    u64 seconds;
    if (!option_number(value, &seconds) || seconds > 3600) return false;
    netdev->stream->reconnect_s = (unsigned)seconds;
    return true;
}

#define ADDRESS_SETTER(name, field)                                                                          \
    static bool set_##name(struct netdev_option *netdev, const char *value, struct complaint *c)             \
    {                                                                                                        \
        netdev->field = value;                                                                               \
        return *value != 0;                                                                                  \
    }
ADDRESS_SETTER(local_type, local.type)
ADDRESS_SETTER(local_host, local.host)
ADDRESS_SETTER(local_port, local.port)
ADDRESS_SETTER(local_path, local.path)
ADDRESS_SETTER(local_fd, local.fd)
ADDRESS_SETTER(remote_type, remote.type)
ADDRESS_SETTER(remote_host, remote.host)
ADDRESS_SETTER(remote_port, remote.port)
ADDRESS_SETTER(remote_path, remote.path)
ADDRESS_SETTER(remote_fd, remote.fd)
#undef ADDRESS_SETTER

static const struct key_row stream_keys[] = {
    {"server", "on or off", set_server},
    {"reconnect", "seconds", set_reconnect},
    {"addr.type", "inet, unix or fd", set_remote_type},
    {"addr.path", "a path", set_remote_path},
    {"addr.host", "a host", set_remote_host},
    {"addr.port", "a port", set_remote_port},
    {"addr.str", "the number of a descriptor", set_remote_fd},
    {0},
};

static const struct key_row dgram_keys[] = {
    {"local.type", "inet, unix or fd", set_local_type},
    {"local.path", "a path", set_local_path},
    {"local.host", "a host", set_local_host},
    {"local.port", "a port", set_local_port},
    {"local.str", "the number of a descriptor", set_local_fd},
    {"remote.type", "inet or unix", set_remote_type},
    {"remote.path", "a path", set_remote_path},
    {"remote.host", "a host", set_remote_host},
    {"remote.port", "a port", set_remote_port},
    {"remote.str", "the number of a descriptor", set_remote_fd},
    {0},
};

/* The address, from the given pieces; *fd if it is a descriptor's number. */
static bool resolve(const struct netdev_address *from, bool datagram, struct net_address *to, int *fd,
                    struct complaint *c)
{
    u64 number;
    const char *type = from->type ? from->type : from->path ? "unix" : from->fd ? "fd" : "inet";
    if (!strcmp(type, "unix")) {
        if (!from->path) return COMPLAIN(c, "-netdev: the address of a Unix socket needs its path");
        return net_address_unix(to, from->path, c->text, c->bytes);
    }
    if (!strcmp(type, "inet")) {
        if (!from->port) return COMPLAIN(c, "-netdev: the address of an Internet socket needs its port");
        return net_address_inet(to, from->host, from->port, datagram, c->text, c->bytes);
    }
    if (strcmp(type, "fd"))
        return COMPLAIN(c, "-netdev: there are no addresses of type \"%s\"; there are inet, unix and fd",
                        type);
    if (!from->fd || !option_number(from->fd, &number) || number > INT32_MAX)
        return COMPLAIN(c, "-netdev: the address of a descriptor needs its number");
    *fd = (int)number;
    return true;
}

static bool was_given(const struct netdev_address *address)
{
    return address->type || address->host || address->port || address->path || address->fd;
}

/* -netdev socket,fd=N: its kind is that of the descriptor. */
static void sort_descriptor(struct netdev_option *netdev)
{
    int type = SOCK_STREAM;
    socklen_t bytes = sizeof(type);
    getsockopt(netdev->fd, SOL_SOCKET, SO_TYPE, &type, &bytes);
    if (type != SOCK_DGRAM) return;
    netdev->kind = NETDEV_DGRAM;
    netdev->dgram->fd = netdev->fd;
}

static bool finish_addresses(struct netdev_option *netdev, struct complaint *c)
{
    bool datagram = netdev->kind == NETDEV_DGRAM;
    struct net_address *to = datagram ? &netdev->dgram->remote : &netdev->stream->address;
    int *fd = datagram ? &netdev->dgram->fd : &netdev->stream->fd;
    if (was_given(&netdev->remote) && !resolve(&netdev->remote, datagram, to, fd, c)) return false;
    return !was_given(&netdev->local) || resolve(&netdev->local, true, &netdev->dgram->local, fd, c);
}

/* --- a -netdev --- */

static bool has_address(struct netdev_option *netdev, struct complaint *c)
{
    if (netdev->kind == NETDEV_STREAM && netdev->fd >= 0) sort_descriptor(netdev);
    if (!finish_addresses(netdev, c)) return false;
    switch (netdev->kind) {
    case NETDEV_USER: return true;
    case NETDEV_VHOST_USER:
        return netdev->chardev ? true : COMPLAIN(c, "-netdev vhost-user needs chardev=ID");
    case NETDEV_TAP:
        if (netdev->ifname || netdev->fd >= 0) return true;
        return COMPLAIN(c, "-netdev tap needs ifname= or fd=");
    case NETDEV_DGRAM:
        if (netdev->dgram->remote.bytes || netdev->dgram->fd >= 0) return true;
        return COMPLAIN(c, "-netdev %s has no address to send to: it needs remote.type=, or a descriptor",
                        netdev->list);
    case NETDEV_STREAM:
        if (netdev->stream->address.bytes || netdev->stream->fd >= 0) return true;
        return COMPLAIN(c, "-netdev %s has no address to connect to", netdev->list);
    }
    return false;
}

static const struct netdev_kind_row {
    const char *name;
    enum netdev_kind kind;
    const struct key_row *keys;
    const char *help;
} kinds[] = {
    {"user", NETDEV_USER, user_keys, "NAT, DHCP, DNS and TFTP in this process; no privilege"},
    {"tap", NETDEV_TAP, tap_keys, "an interface of the host"},
    {"socket", NETDEV_STREAM, socket_keys, "another virtual machine, by TCP, UDP or a multicast group"},
    {"stream", NETDEV_STREAM, stream_keys, "another virtual machine or a program, by TCP or a Unix socket"},
    {"dgram", NETDEV_DGRAM, dgram_keys, "another virtual machine or a program, by UDP or a Unix socket"},
    {"vhost-user", NETDEV_VHOST_USER, vhost_user_keys,
     "a program that serves the queues of a virtio-net-pci"},
};

static bool set_key(struct netdev_option *netdev, const struct key_row *row, const char *key,
                    const char *value, struct complaint *c)
{
    while (row->name && strcmp(row->name, key))
        row++;
    if (!row->name) return COMPLAIN(c, "-netdev %s: there is no key \"%s\"", netdev->list, key);
    c->text[0] = 0; /* a setter may write a sentence of its own */
    if (value && row->set(netdev, value, c)) return true;
    if (c->text[0]) return false;
    return COMPLAIN(c, "-netdev: %s takes %s, not \"%s\"", key, row->takes, value ? value : "");
}

/* The row of the kind with which `text` begins. NULL with one sentence. */
static const struct netdev_kind_row *find_kind(const char *text, struct complaint *c)
{
    size_t length = strcspn(text, ",");
    for (unsigned n = 0; n < ARRAY_SIZE(kinds); n++)
        if (strlen(kinds[n].name) == length && !strncmp(kinds[n].name, text, length)) return &kinds[n];
    if (c)
        snprintf(c->text, c->bytes,
                 "there is no network \"%.*s\"; there are user, tap, socket, stream, dgram and vhost-user",
                 (int)length, text);
    return NULL;
}

bool options_has_netdev(const char *text, struct complaint *c)
{
    return find_kind(text, c);
}

void options_help_netdevs(const char *kind, FILE *out)
{
    const struct netdev_kind_row *row = kind ? find_kind(kind, NULL) : NULL;
    if (!row) {
        /* Programs read QEMU's form: a name a line. */
        fputs("Available netdev backend types:\n", out);
        for (unsigned n = 0; n < ARRAY_SIZE(kinds); n++)
            fprintf(out, "%s\n", kinds[n].name);
        return;
    }
    fprintf(out, "-netdev %s,id=ID,...: %s\n", row->name, row->help);
    for (const struct key_row *key = row->keys; key->name; key++)
        if (key->set != refuse_smb) fprintf(out, "  %s=<%s>\n", key->name, key->takes);
}

bool options_add_netdev(struct net_options *net, const char *value, const char *id, char *others,
                        size_t others_bytes, struct complaint *c)
{
    if (net->count == NETDEVS_MAX) return COMPLAIN(c, "there are more than %u networks", NETDEVS_MAX);
    struct netdev_option *netdev = &net->netdev[net->count++];
    *netdev = (struct netdev_option){.fd = -1,
                                     .list = strdup(value),
                                     .user = malloc(sizeof(*netdev->user)),
                                     .stream = calloc(1, sizeof(*netdev->stream)),
                                     .dgram = calloc(1, sizeof(*netdev->dgram))};
    if (!netdev->user || !netdev->stream || !netdev->dgram) return COMPLAIN(c, "out of memory");
    user_defaults(netdev->user);
    netdev->stream->fd = netdev->dgram->fd = -1;
    struct option_list list;
    char *key = "", *text;
    if (!netdev->list || !option_list_open(&list, value)) return COMPLAIN(c, "out of memory");
    option_list_next(&list, &key, &text);
    netdev->text = list.text; /* the strings stay: not closed */
    const struct netdev_kind_row *kind = find_kind(key, c);
    if (!kind) return false;
    netdev->kind = kind->kind;
    netdev->stream->description = netdev->dgram->description = netdev->list;
    while (option_list_next(&list, &key, &text)) {
        static const char *const of_the_card[] = {"model",  "mac",  "addr",   "bootindex", "romfile",
                                                  "rombar", "chip", "iobase", "irq"};
        bool card = false;
        for (unsigned n = 0; n < ARRAY_SIZE(of_the_card) && others; n++)
            card |= !strcmp(key, of_the_card[n]);
        if (card) {
            size_t length = strlen(others);
            snprintf(others + length, others_bytes - length, ",%s=%s", key, text ? text : "");
        } else if (!strcmp(key, "id")) {
            free(netdev->id);
            netdev->id = strdup(text ? text : "");
        } else if (!set_key(netdev, kind->keys, key, text, c)) {
            return false;
        }
    }
    if (!netdev->id && id) netdev->id = strdup(id);
    if (!netdev->id || !*netdev->id) return COMPLAIN(c, "-netdev %s needs id=NAME", kind->name);
    return has_address(netdev, c);
}
