#include "tests/flow/picture.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/case.h"
#include "util/siphash.h"
#include "util/str.h"
#include "wire/auth.h"
#include "wire/kv.h"
#include "wire/lease.h"

static void say(struct picture *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct picture *p, const char *fmt, ...)
{
    char line[1024];
    struct err e = { 0 };
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    cr_assert(n > 0 && (size_t)n < sizeof line);
    OK(buf_add(&p->text, line, (size_t)n, &e), &e);
}

static enum rc say_key(void *arg, const struct wire_kv *kv, struct err *e)
{
    static const uint8_t seed[SIPHASH_KEY_SIZE];
    struct siphash digest = siphash_of(seed, kv->value.p, kv->value.n);
    struct picture *p = arg;
    char key[256];

    (void)e;
    str_printable(key, sizeof key, kv->key);
    say(p, "key %s: value of %zu bytes, digest %" PRIx64 "%" PRIx64, key, kv->value.n,
        digest.low, digest.high);
    say(p,
        ", created %" PRId64 ", modified %" PRId64 ", version %" PRId64 ", lease %" PRIx64
        "\n",
        kv->create_revision, kv->mod_revision, kv->version, (uint64_t)kv->lease);
    p->keys++;
    return RC_OK;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Time left is not compared: it starts anew when a lease changes hands. */
static void say_leases(struct picture *p, struct wire_client *c)
{
    struct wire_leases list = { 0 };
    struct err e = { 0 };

    OK(wire_lease_list(c, &list, &e), &e);
    if (list.count > 0)
        qsort(list.ids, list.count, sizeof *list.ids, by_number);
    for (size_t i = 0; i < list.count; i++) {
        struct wire_lease l = { 0 };

        OK(wire_lease_get(c, list.ids[i], true, &l, &e), &e);
        say(p, "lease %" PRIx64 ": granted %" PRId64 " s, %zu keys\n", (uint64_t)l.id,
            l.granted_ttl, l.key_count);
        cr_assert(l.ttl > 0, "lease %" PRIx64 " has expired", (uint64_t)l.id);
        wire_lease_clear(&l);
    }
    p->leases = list.count;
    wire_leases_clear(&list);
}

static void say_role(struct picture *p, struct wire_client *c, const char *role)
{
    struct wire_permissions grants = { 0 };
    struct err e = { 0 };
    char key[128], end[128];

    say(p, "role %s:", role);
    if (strcmp(role, "root") != 0) /* 3.6 shows what it may do without a grant */
        OK(wire_role_get(c, role, &grants, &e), &e);
    for (size_t i = 0; i < grants.count; i++) {
        str_printable(key, sizeof key, grants.items[i].key);
        str_printable(end, sizeof end, grants.items[i].end);
        say(p, " %d %s to %s", (int)grants.items[i].access, key, end);
    }
    say(p, "\n");
    wire_permissions_clear(&grants);
}

static void say_users(struct picture *p, struct wire_client *c)
{
    AT_END(str_list_clear) struct str_list users = { 0 }, roles = { 0 };
    struct err e = { 0 };

    OK(wire_role_list(c, &roles, &e), &e);
    for (size_t i = 0; i < roles.count; i++)
        say_role(p, c, roles.items[i]);
    OK(wire_user_list(c, &users, &e), &e);
    for (size_t i = 0; i < users.count; i++) {
        AT_END(str_list_clear) struct str_list has = { 0 };

        OK(wire_user_roles(c, users.items[i], &has, &e), &e);
        say(p, "user %s:", users.items[i]);
        for (size_t k = 0; k < has.count; k++)
            say(p, " %s", has.items[k]);
        say(p, "\n");
    }
}

void picture_take(struct wire_client *c, struct picture *out)
{
    struct wire_range all = { .key = BYTES_OF("\0"), .end = BYTES_OF("\0") };
    struct err e = { 0 };

    all.key.n = all.end.n = 1;
    OK(wire_range_each(c, &all, say_key, out, &out->revision, &e), &e);
    say_leases(out, c);
    say_users(out, c);
    OK(buf_add(&out->text, "", 1, &e), &e);
}

void picture_same(const struct picture *before, const struct picture *after,
                  const char *what)
{
    const char *a = (const char *)before->text.p, *b = (const char *)after->text.p;
    size_t n = before->text.n < after->text.n ? before->text.n : after->text.n;
    size_t i = 0, line = 0;

    while (i < n && a[i] == b[i])
        if (a[i++] == '\n')
            line = i;
    cr_assert(i == before->text.n && i == after->text.n,
              "%s: the cluster is not the same:\n- %.*s\n+ %.*s", what,
              (int)strcspn(a + line, "\n"), a + line, (int)strcspn(b + line, "\n"),
              b + line);
}
