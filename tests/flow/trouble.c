#include "tests/flow/trouble.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "util/mem.h"
#include "util/os.h"
#include "wire/kv.h"

/* ---- the quota ----------------------------------------------------------- */

enum { VALUE = 256 << 10, PUTS_MAX = 200 };
const char *const trouble_small_quota[] = { "--quota-backend-bytes=16777216", NULL };

enum rc trouble_put(struct wire_client *w, const char *key, struct err *e)
{
    static uint8_t value[VALUE];

    memset(value, 'v', sizeof value);
    return wire_put(w, bytes_str(key), (struct bytes){ value, sizeof value }, 0, NULL, e);
}

/* Until the alarm: three keys again and again, or ever new ones from key-`from` on. The
 * number of the next. */
int trouble_fill(struct wire_client *w, bool rewrite, int from)
{
    for (int i = from; i < from + PUTS_MAX; i++) {
        struct err e = { 0 };
        char key[24];

        snprintf(key, sizeof key, "key-%d", rewrite ? i % 3 : i);
        if (trouble_put(w, key, &e) == RC_OK)
            continue;
        cr_assert_eq(wire_last(w)->detail, WIRE_NO_SPACE, "%s", e.why);
        return i;
    }
    cr_assert(false, "there is still space");
    return 0;
}

bool trouble_is_nospace(const struct cluster *c)
{
    return strstr(CTL(c, 0, "alarm", "list"), "NOSPACE") != NULL;
}

/* Members of one cluster raise it one after the other. */
void trouble_await_nospace(const struct cluster *c)
{
    for (int i = 0; i < 100 && !trouble_is_nospace(c); i++)
        usleep(50000);
    cr_assert(trouble_is_nospace(c));
}

/* ---- other data ---------------------------------------------------------- */

/* A value changed in the file of a stopped member, where no checksum covers it. */
static void mutate(const struct cluster_member *m, const char *from, const char *to)
{
    struct err e = { 0 };
    char path[600];
    AT_END(mem_end) uint8_t *p = NULL;
    size_t n = 0, changed = 0, length = strlen(from);
    FILE *f;

    snprintf(path, sizeof path, "%s/member/snap/db", m->data_dir);
    OK(os_read_file(path, 64 << 20, &p, &n, &e), &e);
    for (size_t at = 0; at + length <= n; at++)
        if (memcmp(p + at, from, length) == 0) {
            memcpy(p + at, to, length);
            changed++;
        }
    cr_assert_gt(changed, 0);
    f = fopen(path, "r+b");
    cr_assert(f != NULL && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

void trouble_spoil(struct cluster *c, unsigned i, const char *from, const char *to)
{
    cluster_kill(c, i, SIGTERM);
    mutate(&c->members[i], from, to);
    cluster_boot(c, i);
    cluster_wait(c, i);
}

void trouble_diverge(struct cluster *c, unsigned i, struct wire_client *w)
{
    history_put(w, "a-key", "the-true-value");
    for (int k = 0; k < 20; k++)
        history_put(w, "another", "x");
    usleep(300000); /* etcd commits to the file every 100 ms */
    trouble_spoil(c, i, "the-true-value", "the-fake-value");
}
