/* The lock of a store that never takes a key twice: numbers that only rise. The highest
 * one holds the lock, unless it says that it has let go. */
#include <inttypes.h>
#include <string.h>

#include "catalog/lock_inside.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum { NUMBER_DIGITS = 12, CONTENT_MAX = 1024, LONGEST_TERM_MS = 600000 };

static void prefix_of(const struct lock *l, char out[static RECORD_KEY_SIZE])
{
    snprintf(out, RECORD_KEY_SIZE, "%s/locks/", l->cluster);
}

static void key_of(const struct lock *l, uint64_t number,
                   char out[static RECORD_KEY_SIZE])
{
    snprintf(out, RECORD_KEY_SIZE, "%s/locks/%0*" PRIu64 ".json", l->cluster,
             NUMBER_DIGITS, number);
}

/* ---- what is there --------------------------------------------------------------------
 */

struct highest {
    const struct lock *l;
    uint64_t number; /* 0: none */
};

static enum rc take_key(void *arg, const struct store_info *info, struct err *e)
{
    struct highest *h = arg;
    char prefix[RECORD_KEY_SIZE], digits[NUMBER_DIGITS + 1], wanted[RECORD_KEY_SIZE];
    uint64_t number;

    (void)e;
    prefix_of(h->l, prefix);
    snprintf(digits, sizeof digits, "%s", info->key + strlen(prefix));
    if (!str_to_u64(digits, &number))
        return RC_OK;
    key_of(h->l, number, wanted);
    if (strcmp(wanted, info->key) == 0 && number > h->number)
        h->number = number;
    return RC_OK;
}

static enum rc find_highest(const struct lock *l, uint64_t *out, struct err *e)
{
    struct highest h = { l, 0 };
    char prefix[RECORD_KEY_SIZE];

    prefix_of(l, prefix);
    TRY(store_list(l->store, prefix, take_key, &h, e));
    *out = h.number;
    return RC_OK;
}

/* What a number's object says. One that cannot be read belongs to somebody unknown. */
struct claim {
    struct buf content;
    char owner[LOCK_OWNER_SIZE], nonce[LOCK_NONCE_SIZE];
    uint64_t term_ms;
    bool released;
};

static void claim_end(struct claim *c)
{
    buf_clear(&c->content);
}

static void parse_claim(struct claim *c)
{
    OWNED(json) o = NULL;
    struct err ignored;
    const char *owner, *nonce;

    snprintf(c->owner, sizeof c->owner, "somebody");
    if (json_parse((struct bytes){ c->content.p, c->content.n }, "a lock", &o,
                   &ignored) != RC_OK)
        return;
    owner = json_get_str(o, "owner");
    nonce = json_get_str(o, "nonce");
    if (owner != NULL)
        str_printable(c->owner, sizeof c->owner, bytes_str(owner));
    if (nonce != NULL)
        snprintf(c->nonce, sizeof c->nonce, "%s", nonce);
    if (!json_get_bool(o, "released", &c->released))
        c->released = false;
    if (!json_get_u64(o, "term_ms", &c->term_ms) || c->term_ms > LONGEST_TERM_MS)
        c->term_ms = 0;
}

static enum rc read_claim(const struct lock *l, uint64_t number, struct claim *out,
                          struct err *e)
{
    char key[RECORD_KEY_SIZE];
    struct err why = { 0 };
    enum rc rc;

    key_of(l, number, key);
    out->content.cap_max = CONTENT_MAX;
    rc = store_get_bytes(l->store, key, CONTENT_MAX, &out->content, &why);
    if (rc != RC_OK && rc != RC_CORRUPT) {
        *e = why;
        return rc;
    }
    parse_claim(out);
    return RC_OK;
}

/* ---- what we say ----------------------------------------------------------------------
 */

static enum rc put_claim(const struct lock *l, uint64_t number, bool replace,
                         bool released, struct err *e)
{
    OWNED(json) o = json_new_object();
    AT_END(mem_end) char *text = NULL;
    char key[RECORD_KEY_SIZE];

    json_set_str(o, "owner", l->owner);
    json_set_str(o, "nonce", l->nonce);
    json_set_u64(o, "beat", l->beat);
    json_set_u64(o, "term_ms", l->term_ms);
    json_set_bool(o, "released", released);
    TRY(json_render(o, false, &text, e));
    key_of(l, number, key);
    return store_put_bytes(l->store, key, &(struct store_put){ .replace = replace },
                           bytes_str(text), e);
}

static enum rc new_nonce(struct lock *l, struct err *e)
{
    uint8_t b[(LOCK_NONCE_SIZE - 1) / 2];

    TRY(os_random(b, sizeof b, e));
    str_hex(l->nonce, b, sizeof b);
    l->beat = 0;
    return RC_OK;
}

/* Numbers below are history; who cannot be removed now is removed by the next. */
static void remove_older(const struct lock *l)
{
    char key[RECORD_KEY_SIZE];
    struct err ignored;

    key_of(l, l->number - 1, key);
    if (store_remove(l->store, key, &ignored) != RC_OK)
        log_info("an old lock of '%s' is left in '%s'", l->cluster, store_name(l->store));
}

/* ---- taking it ------------------------------------------------------------------------
 */

static enum rc held_by(const struct lock *l, const struct claim *c, struct err *e)
{
    return err_set(e, RC_LOCKED,
                   "%s works on '%s' in this repository; for %" PRIu64
                   " s it has given no sign of life" HINT
                   "wait for its end; if its process is gone, wait longer (--wait), or "
                   "take the lock away with 'holdfast unlock'",
                   c->owner, l->cluster, (clock_ms() - l->seen_at) / 1000);
}

/* Has this very content stood still for a term, as seen by our own clock? */
static enum rc stands_still(struct lock *l, uint64_t number, const struct claim *c,
                            bool *out, struct err *e)
{
    uint64_t term = c->term_ms > l->term_ms ? c->term_ms : l->term_ms;

    *out = false;
    if (number == l->seen_number &&
        bytes_equal((struct bytes){ l->seen.p, l->seen.n },
                    (struct bytes){ c->content.p, c->content.n })) {
        *out = clock_ms() - l->seen_at >= term;
        return RC_OK;
    }
    buf_clear(&l->seen);
    l->seen_number = number;
    l->seen_at = clock_ms();
    return buf_add(&l->seen, c->content.p, c->content.n, e);
}

/* May the number after this one be taken? RC_LOCKED names the holder. */
static enum rc may_follow(struct lock *l, uint64_t number, struct err *e)
{
    AT_END(claim_end) struct claim c = { 0 };
    bool still = false;

    if (number == 0)
        return RC_OK;
    TRY(read_claim(l, number, &c, e));
    if (c.released)
        return RC_OK;
    TRY(stands_still(l, number, &c, &still, e));
    if (!still)
        return held_by(l, &c, e);
    log_warn("%s held the lock of '%s' and gave no sign of life: it is taken away",
             c.owner, l->cluster);
    return RC_OK;
}

enum rc lock_fence_try(struct lock *l, const struct lock_options *o, struct err *e)
{
    uint64_t number = 0;
    enum rc rc;

    (void)o;
    TRY(find_highest(l, &number, e));
    rc = may_follow(l, number, e);
    if (rc == RC_NOTFOUND)
        return err_set(e, RC_LOCKED, "the lock of '%s' changes hands", l->cluster);
    TRY(rc);
    TRY(new_nonce(l, e));
    rc = put_claim(l, number + 1, false, false, e);
    if (rc == RC_REFUSED)
        return err_set(e, RC_LOCKED, "somebody else took the lock of '%s' just now",
                       l->cluster);
    TRY(rc);
    l->number = number + 1;
    if (number > 0)
        remove_older(l);
    rc = lock_fence_look(l, e);
    if (rc != RC_OK)
        lock_fence_release(l);
    return rc;
}

/* ---- holding it -----------------------------------------------------------------------
 */

static enum rc lost(const struct lock *l, const struct claim *c, struct err *e)
{
    return err_set(e, RC_LOCKED,
                   "the lock of '%s' was lost to %s: this process gave no sign of life "
                   "for too long, or somebody took the lock away",
                   l->cluster, c->owner);
}

static enum rc check_ours(const struct lock *l, struct err *e)
{
    AT_END(claim_end) struct claim c = { .owner = "somebody" };
    struct err why = { 0 };
    uint64_t number = 0;
    enum rc rc;

    TRY(find_highest(l, &number, e));
    rc = number == 0 ? RC_NOTFOUND : read_claim(l, number, &c, &why);
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        *e = why;
        return rc;
    }
    if (rc == RC_OK && number == l->number && strcmp(c.nonce, l->nonce) == 0)
        return RC_OK;
    return lost(l, &c, e);
}

/* Looked at before and after: a beat that comes too late must not hide that the lock is
 * somebody else's. */
enum rc lock_fence_look(struct lock *l, struct err *e)
{
    TRY(check_ours(l, e));
    l->beat++;
    TRY(put_claim(l, l->number, true, false, e));
    return check_ours(l, e);
}

/* By who is told to stop, too: the next job would have to wait for a term. */
void lock_fence_release(struct lock *l)
{
    struct err e = { 0 };
    enum rc rc;

    stop_hold(true);
    rc = check_ours(l, &e);
    if (rc == RC_OK)
        rc = put_claim(l, l->number, true, true, &e);
    stop_hold(false);
    if (rc != RC_OK)
        log_warn("the lock of '%s' could not be given back: %s", l->cluster, e.why);
}

/* A number that holds nothing, above the holder's. */
enum rc lock_fence_break(struct lock *l, bool *held, char owner[static LOCK_OWNER_SIZE],
                         struct err *e)
{
    AT_END(claim_end) struct claim c = { 0 };
    uint64_t number = 0;

    TRY(find_highest(l, &number, e));
    if (number == 0)
        return RC_OK;
    TRY(read_claim(l, number, &c, e));
    if (c.released)
        return RC_OK;
    *held = true;
    snprintf(owner, LOCK_OWNER_SIZE, "%s", c.owner);
    TRY(new_nonce(l, e));
    return put_claim(l, number + 1, false, true, e);
}
