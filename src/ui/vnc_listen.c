/*
 * The VNC server's address and password. See vnc.h.
 */
#include "vnc_private.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_PORT   5900
#define DISPLAYS_MAX (65536 - FIRST_PORT)
#define BACKLOG      8

/* Read the first line of a file, up to as many characters as the protocol uses. */
static bool read_password(struct vnc *vnc, const char *file, char *error, size_t error_bytes)
{
    char line[256];
    FILE *in = fopen(file, "re");
    bool good = in && fgets(line, sizeof(line), in);
    int why = in ? ferror(in) ? errno : 0 : errno;
    if (in) fclose(in);
    if (good) line[strcspn(line, "\r\n")] = 0;
    if (good && line[0]) {
        snprintf(vnc->password, sizeof(vnc->password), "%.*s", VNC_PASSWORD_MAX, line);
        return true;
    }
    snprintf(error, error_bytes, "cannot read a VNC password in %s: %s", file,
             why ? strerror(why) : "it is empty");
    return false;
}

/* `detail`: one of those behind the address, `length` characters long. With password=on, a monitor's command sets the
 * password. */
static bool parse_detail(struct vnc *vnc, const char *detail, size_t length, char *error, size_t error_bytes)
{
    static const char key[] = "password-file=";
    char word[PATH_MAX];
    snprintf(word, sizeof(word), "%.*s", (int)length, detail);
    bool file = !strncmp(word, key, strlen(key));
    if (file && !read_password(vnc, word + strlen(key), error, error_bytes)) return false;
    if (file || !strcmp(word, "password") || !strcmp(word, "password=on"))
        vnc->wants_password = true;
    else if (strcmp(word, "password=off")) {
        snprintf(error, error_bytes,
                 "-vnc takes password-file=FILE or password=on|off behind the address, not \"%s\"", word);
        return false;
    }
    return true;
}

static bool parse_details(struct vnc *vnc, const char *details, char *error, size_t error_bytes)
{
    while (*details) {
        size_t length = strcspn(details, ",");
        if (!parse_detail(vnc, details, length, error, error_bytes)) return false;
        details += length + (details[length] == ',');
    }
    return true;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int listen_at(const struct addrinfo *at)
{
    int one = 1, fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int open_port(const struct vnc *vnc, const char *host, const char *port, int *status, char *error,
                     size_t error_bytes)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int failed = getaddrinfo(host, port, &hints, &list);
    if (failed) {
        snprintf(error, error_bytes, "-vnc: there is no host \"%s\": %s", host, gai_strerror(failed));
        return -1;
    }
    int fd = listen_at(list);
    if (fd >= 0 && !is_loopback(list->ai_addr) && !vnc->wants_password)
        log_warn("there is no VNC password: anyone who reaches port %s of %s can use the machine", port,
                 host);
    freeaddrinfo(list);
    if (fd >= 0) return fd;
    *status = STATUS_HOST;
    snprintf(error, error_bytes, "cannot listen for VNC at port %s of %s: %s", port, host, strerror(-fd));
    return -1;
}

int vnc_listen(struct vnc *vnc, const char *specification, int *status, char *error, size_t error_bytes)
{
    char host[256] = "127.0.0.1", port[8], *end;
    size_t length = strcspn(specification, ",");
    const char *colon = memrchr(specification, ':', length);
    const char *number = colon ? colon + 1 : "";
    unsigned long display = strtoul(number, &end, 10);
    size_t name = colon ? (size_t)(colon - specification) : 0;
    *status = STATUS_USAGE;
    if (*number < '0' || *number > '9' || end != specification + length || display >= DISPLAYS_MAX ||
        name >= sizeof(host)) {
        snprintf(error, error_bytes, "-vnc takes [HOST]:N, N from 0 to %u, not \"%s\"", DISPLAYS_MAX - 1,
                 specification);
        return -1;
    }
    if (name && specification[0] == '[' && specification[name - 1] == ']') /* IPv6 */
        snprintf(host, sizeof(host), "%.*s", (int)name - 2, specification + 1);
    else if (name)
        snprintf(host, sizeof(host), "%.*s", (int)name, specification);
    snprintf(port, sizeof(port), "%lu", FIRST_PORT + display);
    if (!parse_details(vnc, specification + length + (specification[length] == ','), error, error_bytes))
        return -1;
    return open_port(vnc, host, port, status, error, error_bytes);
}
