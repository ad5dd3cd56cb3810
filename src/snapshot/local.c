#include "snapshot/local.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* The host part of "https://[::1]:2379", "a.example:2379". */
static void host_of(const char *endpoint, char *host, size_t n)
{
    const char *start = strstr(endpoint, "://");
    const char *end;

    start = start == NULL ? endpoint : start + 3;
    if (*start == '[') {
        start++;
        end = strchrnul(start, ']');
    } else {
        end = start + strcspn(start, ":/");
    }
    snprintf(host, n, "%.*s", (int)(end - start), start);
}

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    struct sockaddr_in x4, y4;
    struct sockaddr_in6 x6, y6;

    if (a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET) {
        memcpy(&x4, a, sizeof x4);
        memcpy(&y4, b, sizeof y4);
        return x4.sin_addr.s_addr == y4.sin_addr.s_addr;
    }
    if (a->sa_family != AF_INET6)
        return false;
    memcpy(&x6, a, sizeof x6);
    memcpy(&y6, b, sizeof y6);
    return memcmp(&x6.sin6_addr, &y6.sin6_addr, sizeof x6.sin6_addr) == 0;
}

static bool is_loopback(const struct sockaddr *a)
{
    struct sockaddr_in in;

    if (a->sa_family != AF_INET)
        return false;
    memcpy(&in, a, sizeof in);
    return ntohl(in.sin_addr.s_addr) >> 24 == 127;
}

static bool is_ours(const struct sockaddr *a, const struct ifaddrs *interfaces)
{
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next)
        if (i->ifa_addr != NULL && same_address(a, i->ifa_addr))
            return true;
    return is_loopback(a);
}

bool snap_endpoint_is_local(const char *endpoint)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    struct ifaddrs *interfaces = NULL;
    bool ours = false;
    char host[256];

    host_of(endpoint, host, sizeof host);
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    if (getifaddrs(&interfaces) == 0)
        for (const struct addrinfo *a = found; a != NULL && !ours; a = a->ai_next)
            ours = is_ours(a->ai_addr, interfaces);
    freeifaddrs(interfaces);
    freeaddrinfo(found);
    return ours;
}
