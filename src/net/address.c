#include "address.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof(((struct net_address *)0)->at), "it is one");

bool net_address_inet(struct net_address *address, const char *host, const char *port, bool datagram,
                      char *error, size_t error_bytes)
{
    struct addrinfo hints = {.ai_socktype = datagram ? SOCK_DGRAM : SOCK_STREAM}, *found;
    char name[256];
    if (!host || !*host) {
        hints.ai_family = AF_INET;
        host = NULL;
    } else if (*host == '[' && host[strlen(host) - 1] == ']' && strlen(host) < sizeof(name)) {
        snprintf(name, sizeof(name), "%.*s", (int)strlen(host) - 2, host + 1);
        host = name;
    }
    if (strtoul(port, NULL, 10) > 65535) { /* getaddrinfo() takes it modulo 65536 */
        snprintf(error, error_bytes, "there is no port %s; ports are 1 to 65535", port);
        return false;
    }
    int failed = getaddrinfo(host, port, &hints, &found);
    if (failed) {
        snprintf(error, error_bytes, "cannot find the address %s:%s: %s", host ? host : "", port,
                 gai_strerror(failed));
        return false;
    }
    memcpy(address->at, found->ai_addr, found->ai_addrlen);
    address->bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

bool net_address_parse(struct net_address *address, const char *text, bool datagram, char *error,
                       size_t error_bytes)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    if (!colon || !colon[1] || (size_t)(colon - text) >= sizeof(host)) {
        snprintf(error, error_bytes, "\"%s\" is not HOST:PORT", text);
        return false;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    return net_address_inet(address, host, colon + 1, datagram, error, error_bytes);
}

bool net_address_unix(struct net_address *address, const char *path, char *error, size_t error_bytes)
{
    struct sockaddr_un *un = (struct sockaddr_un *)address->at;
    if (strlen(path) >= sizeof(un->sun_path)) {
        snprintf(error, error_bytes, "the path of the socket %s is too long: %zu bytes at most", path,
                 sizeof(un->sun_path) - 1);
        return false;
    }
    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(un->sun_path, path, strlen(path) + 1);
    address->bytes = sizeof(*un);
    return true;
}
