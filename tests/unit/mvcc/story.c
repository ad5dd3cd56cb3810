#include "tests/unit/mvcc/story.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/case.h"

static unsigned below(struct story *s, unsigned n)
{
    return (unsigned)rand_r(&s->seed) % n;
}

static void record(struct story *s, struct story_record r)
{
    cr_assert_lt(s->count, STORY_RECORDS);
    s->records[s->count++] = r;
}

static bool change_key(struct story *s, unsigned k, int64_t sub)
{
    int64_t main = s->revision + 1;

    if (s->keys[k].alive && below(s, 3) == 0) {
        s->keys[k].alive = false;
        s->live--;
        record(s, (struct story_record){ .main = main, .sub = sub, .key = k });
        return true;
    }
    if (!s->keys[k].alive) {
        if (below(s, 2) == 0)
            return false;
        s->keys[k].alive = true;
        s->keys[k].create = main;
        s->keys[k].version = 0;
        s->live++;
    }
    s->keys[k].version++;
    record(s,
           (struct story_record){ main, sub, s->keys[k].create, s->keys[k].version, k });
    return true;
}

static void transaction(struct story *s)
{
    unsigned first = below(s, STORY_KEYS), keys = 1 + below(s, 4);
    int64_t sub = 0;

    for (unsigned i = 0; i < keys; i++)
        sub += change_key(s, (first + i) % STORY_KEYS, sub);
    s->revision += sub > 0;
}

/* Of each key its newest record up to `at` stays, unless it is a tombstone; one at `at`
 * itself stays by the rule of 3.4.34 and 3.5.16. */
static bool stays(const struct story *s, size_t i, int64_t at, bool new_rule)
{
    const struct story_record *r = &s->records[i];

    if (r->main > at)
        return true;
    for (size_t later = i + 1; later < s->count; later++)
        if (s->records[later].key == r->key && s->records[later].main <= at)
            return false;
    return r->version > 0 || r->key == STORY_KEYS || (new_rule && r->main == at);
}

/* Removes at most `most` records, in order. */
static void compact(struct story *s, int64_t at, size_t most)
{
    bool new_rule = below(s, 2) == 0, stay[STORY_RECORDS];
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++) {
        stay[i] = most == 0 || stays(s, i, at, new_rule);
        most -= !stay[i];
    }
    for (size_t i = 0; i < s->count; i++)
        if (stay[i])
            s->records[kept++] = s->records[i];
    s->count = kept;
    s->scheduled = at;
}

static void compaction(struct story *s)
{
    int64_t oldest = s->finished < 1 ? 1 : s->finished;

    if (s->revision <= oldest)
        return;
    compact(s, oldest + 1 + below(s, (unsigned)(s->revision - oldest)), SIZE_MAX);
    s->finished = s->scheduled;
}

/* What a restore with a bump leaves, and the compaction that the first boot then runs. */
static void bump(struct story *s)
{
    s->revision += 5;
    s->bumped = true;
    record(s, (struct story_record){ .main = s->revision, .key = STORY_KEYS });
    s->scheduled = s->revision;
    if (below(s, 2) == 0) {
        compact(s, s->revision, SIZE_MAX);
        s->finished = s->scheduled;
    }
}

void story_make(struct story *s, unsigned seed, unsigned steps)
{
    *s = (struct story){ .revision = 1, .finished = -1, .scheduled = -1, .seed = seed };
    for (unsigned i = 0; i < steps; i++) {
        unsigned what = below(s, 40);

        if (what < 3)
            compaction(s);
        else if (what > 3 || s->scheduled > s->finished)
            transaction(s);
        else if (below(s, 4) == 0)
            bump(s);
        /* A server that boots goes on with what is scheduled before it writes. */
        if (s->scheduled > s->finished && i + 1 < steps) {
            compact(s, s->scheduled, SIZE_MAX);
            s->finished = s->scheduled;
        }
    }
    if (s->scheduled == s->finished && s->revision > s->finished + 1 && below(s, 3) == 0)
        compact(s, s->revision - below(s, 2), below(s, 20));
}

void story_pairs(const struct story *s, struct pairs *pairs)
{
    static const char *const names[STORY_KEYS] = {
        "/registry/a", "/registry/b", "c", "d", "e", "f", "g", "a key of some length"
    };

    for (size_t i = 0; i < s->count; i++) {
        const struct story_record *r = &s->records[i];
        AT_END(buf_clear) struct buf key = { 0 };
        AT_END(buf_clear) struct buf value = { 0 };
        char text[32];

        snprintf(text, sizeof text, "value %lld", (long long)(r->main * 1000 + r->sub));
        change_pair(&(struct change){ r->main, r->sub,
                                      r->key < STORY_KEYS ? names[r->key] : "", r->create,
                                      r->version, 0, text },
                    &key, &value);
        if (r->key == STORY_KEYS) {
            key.n = MVCC_REV_SIZE;
            value.n = 0;
        }
        pairs_add(pairs, (struct bytes){ key.p, key.n },
                  (struct bytes){ value.p, value.n });
    }
}

void pairs_each(const struct pairs *pairs,
                void (*pair)(void *arg, struct bytes key, struct bytes value), void *arg)
{
    const uint8_t *p = pairs->bytes.p;

    for (size_t i = 0; i < pairs->count; i++) {
        size_t n[2];

        memcpy(n, p, sizeof n);
        p += sizeof n;
        pair(arg, (struct bytes){ p, n[0] }, (struct bytes){ p + n[0], n[1] });
        p += n[0] + n[1];
    }
}

static void refer(void *arg, struct bytes key, struct bytes value)
{
    reference_add(arg, key, value);
}

void pairs_reference(const struct pairs *pairs, int64_t compact_rev, struct reference *r)
{
    r->count = 0;
    r->compact = compact_rev;
    pairs_each(pairs, refer, r);
}
