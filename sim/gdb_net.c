// sim/gdb_net.c: the way to GDB over the network: one connection, from this computer unless a host was asked for.
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "sim/gdb.h"

#define PATIENCE 10 // seconds to wait for a GDB that does not read what it is sent

struct gdb_net {
    int listener, fd;
};

// --- a connected socket

static long socket_read(void *ctx, void *buf, unsigned n, int ms)
{
    struct pollfd p = {.fd = *(int *)ctx, .events = POLLIN};
    int r = poll(&p, 1, ms);
    if (r <= 0)
        return r < 0 && errno != EINTR ? -1 : 0;
    ssize_t got = recv(p.fd, buf, n, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    return got > 0 ? got : -1;
}

static bool socket_write(void *ctx, const void *buf, unsigned n)
{
    const char *p = buf;
    while (n) {
        ssize_t put = send(*(int *)ctx, p, n, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        p += put;
        n -= (unsigned)put;
    }
    return true;
}

struct gdb_io gdb_socket_io(int *fd) { return (struct gdb_io){fd, socket_read, socket_write}; }
struct gdb_io gdb_net_io(struct gdb_net *n) { return gdb_socket_io(&n->fd); }

// --- waiting for GDB

// "[HOST]:PORT" in two. -1: not of that form.
static int split(const char *where, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(where, ':');
    const char *p = colon ? colon + 1 : where;
    size_t n = colon ? (size_t)(colon - where) : 0;
    if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
        where++;
        n -= 2;
    } else if (memchr(where, ':', n)) {
        return -1; // an IPv6 address without brackets
    }
    if (!*p || strlen(p) > 5 || strspn(p, "0123456789") != strlen(p) || atoi(p) > 65535 || n >= host_size)
        return -1;
    snprintf(host, host_size, "%.*s", n ? (int)n : 9, n ? where : "127.0.0.1");
    snprintf(port, port_size, "%s", p);
    return 0;
}

static int listen_at(const struct addrinfo *list)
{
    int fd = -1, on = 1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 1) < 0) {
            int e = errno;
            close(fd);
            errno = e;
            fd = -1;
        }
    }
    return fd;
}

static void tell(int fd)
{
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    char host[64], port[16];
    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0 ||
        getnameinfo((struct sockaddr *)&a, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
        return;
    bool v6 = strchr(host, ':'), local = !strncmp(host, "127.", 4) || !strcmp(host, "::1");
    fprintf(stderr, "ringside: the guest waits for GDB; attach with: gdb -ex 'target remote %s%s%s:%s'\n",
            local && !v6 ? ""
            : v6         ? "["
                         : "",
            local && !v6 ? "" : host, v6 ? "]" : "", port);
    if (!local)
        fprintf(stderr, "ringside: anyone who can reach this port commands the guest: GDB's protocol has no password\n");
}

struct gdb_net *gdb_net_open(const char *where, struct sim_error *err)
{
    char host[256], port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list;
    struct gdb_net *n = calloc(1, sizeof *n);
    if (!n || split(where, host, sizeof host, port, sizeof port) < 0) {
        free(n);
        sim_fail(err, SIM_USAGE, "--gdb %s: wanted [HOST]:PORT, for example :1234", where);
        return NULL;
    }
    n->fd = -1;
    int r = getaddrinfo(host, port, &hints, &list);
    n->listener = r ? -1 : listen_at(list);
    int e = errno;
    if (!r)
        freeaddrinfo(list);
    if (n->listener < 0) {
        sim_fail(err, SIM_USAGE, "--gdb %s: cannot listen there: %s; is the port taken?", where, r ? gai_strerror(r) : strerror(e));
        gdb_net_close(n);
        return NULL;
    }
    tell(n->listener);
    do
        n->fd = accept4(n->listener, NULL, NULL, SOCK_CLOEXEC);
    while (n->fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (n->fd < 0) {
        sim_fail(err, SIM_INTERNAL, "--gdb %s: %s", where, strerror(errno));
        gdb_net_close(n);
        return NULL;
    }
    int on = 1;
    const struct timeval patience = {.tv_sec = PATIENCE};
    setsockopt(n->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    close(n->listener); // one GDB at a time, and only this one
    n->listener = -1;
    return n;
}

void gdb_net_close(struct gdb_net *n)
{
    if (!n)
        return;
    if (n->fd >= 0)
        close(n->fd);
    if (n->listener >= 0)
        close(n->listener);
    free(n);
}
