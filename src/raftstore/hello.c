#include "raftstore/hello.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "util/bytes.h"
#include "util/str.h"

static const char hello_magic[8] = "HOLDPEER";

void hello_write(const struct hello *h, uint8_t out[static HELLO_SIZE])
{
    memset(out, 0, HELLO_SIZE);
    memcpy(out, hello_magic, sizeof hello_magic);
    out[8] = (uint8_t)h->kind;
    put_le64(out + 16, h->cluster);
    put_le64(out + 24, h->from);
    put_le64(out + 32, h->to);
    memcpy(out + 40, h->url, strnlen(h->url, HELLO_URL_SIZE - 1));
}

bool hello_begins(const uint8_t *in, size_t n)
{
    return memcmp(in, hello_magic, n < sizeof hello_magic ? n : sizeof hello_magic) == 0;
}

enum rc hello_read(const uint8_t in[static HELLO_SIZE], struct hello *out, struct err *e)
{
    if (memcmp(in, hello_magic, sizeof hello_magic) != 0 ||
        (in[8] != HELLO_RAFT && in[8] != HELLO_CALLS) || in[HELLO_SIZE - 1] != 0)
        return err_set(e, RC_CORRUPT, "no member speaks like this");
    *out = (struct hello){
        .kind = in[8],
        .cluster = le64(in + 16),
        .from = le64(in + 24),
        .to = le64(in + 32),
    };
    memcpy(out->url, in + 40, HELLO_URL_SIZE);
    return RC_OK;
}

static const char *after_scheme(const char *url)
{
    const char *rest = strstr(url, "://");

    return rest == NULL ? url : rest + 3;
}

enum rc hello_address(const char *url, char host[static 16], uint16_t *port,
                      struct err *e)
{
    const char *rest = after_scheme(url), *colon = strrchr(rest, ':');
    struct in_addr parsed;
    uint64_t number = 0;
    char name[16];

    if (colon == NULL || colon - rest >= (ptrdiff_t)sizeof name ||
        !str_to_u64(colon + 1, &number) || number > UINT16_MAX)
        return err_set(e, RC_USAGE, "'%s' is not http://IPv4:PORT", url);
    snprintf(name, sizeof name, "%.*s", (int)(colon - rest), rest);
    if (strcmp(name, "localhost") == 0)
        snprintf(name, sizeof name, "127.0.0.1");
    if (inet_pton(AF_INET, name, &parsed) != 1)
        return err_set(e, RC_USAGE, "'%s' is not http://IPv4:PORT", url);
    memcpy(host, name, sizeof name);
    *port = (uint16_t)number;
    return RC_OK;
}
