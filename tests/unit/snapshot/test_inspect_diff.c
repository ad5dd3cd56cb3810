/* Differences between databases, against a comparison that looks at everything. */
#include <stdio.h>

#include "inspect_fixture.h"
#include "snapshot/diff.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"

#define LOOK AT_END(snap_look_clear) struct snap_look

static void look_into(const char *path, struct snap_look *out)
{
    struct err e = { 0 };

    OK(snap_look_open(path, &(struct snap_look_options){ 0 }, out, &e), &e);
}

/* What was told, a line each. */
struct told {
    char text[16384];
    size_t used, count;
};

static enum rc tell(void *arg, const struct snap_change *c, struct err *e)
{
    struct told *t = arg;

    (void)e;
    t->count++;
    t->used += (size_t)snprintf(t->text + t->used, sizeof t->text - t->used,
                                "%s %s %.*s: %s -> %s\n", snap_change_name(c->kind),
                                snap_subject_name(c->subject), (int)c->name.n, c->name.p,
                                c->was == NULL ? "" : c->was, c->is == NULL ? "" : c->is);
    cr_assert_lt(t->used, sizeof t->text);
    return RC_OK;
}

/* ---- keys ------------------------------------------------------------------------- */

struct expectation {
    const struct tale *tale;
    int64_t before, after;
    struct bytes last;
    size_t counts[SNAP_CHANGED + 1];
};

static bool same_event(const struct event *a, const struct event *b)
{
    return a == b || (a != NULL && b != NULL && a->main == b->main && a->sub == b->sub);
}

static enum rc expect(void *arg, const struct snap_change *c, struct err *e)
{
    struct expectation *x = arg;
    const struct event *was = tale_at(x->tale, c->name, x->before);
    const struct event *is = tale_at(x->tale, c->name, x->after);

    (void)e;
    cr_assert(c->subject == SNAP_KEY && !same_event(was, is));
    cr_assert(x->last.p == NULL || bytes_compare(x->last, c->name) < 0, "order");
    x->last = c->name;
    cr_assert_eq(c->kind, was == NULL  ? SNAP_ADDED
                          : is == NULL ? SNAP_REMOVED
                                       : SNAP_CHANGED);
    cr_assert_eq(was == NULL, c->before == NULL);
    cr_assert_eq(is == NULL, c->after == NULL);
    cr_assert(was == NULL || was->main == c->before->rev.main);
    cr_assert(is == NULL || bytes_equal(is->value, c->after->kv.value));
    x->counts[c->kind]++;
    return RC_OK;
}

static size_t differences(const struct tale *t, int64_t before, int64_t after)
{
    size_t n = 0;

    for (size_t k = 0; k < TALE_KEYS; k++) {
        struct bytes name = { t->names[k], t->name_sizes[k] };

        n += !same_event(tale_at(t, name, before), tale_at(t, name, after));
    }
    return n;
}

CASE(snapshot_diff, tells_what_happened_to_each_key)
{
    static struct tale t;
    size_t all[SNAP_CHANGED + 1] = { 0 };

    for (unsigned seed = 1; seed <= 8; seed++) {
        struct expectation x = { .tale = &t };
        const char *early;
        LOOK before = { 0 };
        LOOK after = { 0 };
        struct err e = { 0 };

        tale_begin(&t, seed);
        tale_go_on(&t, 40);
        x.before = t.revision;
        early = tale_file(&t);
        tale_go_on(&t, 8);
        x.after = t.revision;
        look_into(early, &before);
        look_into(tale_file(&t), &after);
        OK(snap_diff_keys(&before, &after, expect, &x, &e), &e);
        cr_assert_eq(x.counts[0] + x.counts[1] + x.counts[2],
                     differences(&t, x.before, x.after), "seed %u", seed);
        for (size_t i = 0; i <= SNAP_CHANGED; i++)
            all[i] += x.counts[i];
    }
    cr_assert(all[SNAP_ADDED] > 5 && all[SNAP_REMOVED] > 5 && all[SNAP_CHANGED] > 5);
}

CASE(snapshot_diff, is_silent_between_equals)
{
    static struct told t;
    const char *path = golden_file("etcd-3.6");
    LOOK a = { 0 };
    LOOK b = { 0 };
    struct err e = { 0 };

    look_into(path, &a);
    look_into(path, &b);
    OK(snap_diff_keys(&a, &b, tell, &t, &e), &e);
    OK(snap_diff_rest(&a, &b, tell, &t, &e), &e);
    cr_assert_eq(t.count, 0u, "%s", t.text);
}

static enum rc note_fork(void *arg, const struct snap_change *c, struct err *e)
{
    (void)e;
    *(bool *)arg = c->before->rev.main == c->after->rev.main;
    return RC_OK;
}

CASE(snapshot_diff, sees_another_value_behind_the_same_revision)
{
    const struct event one = {
        .main = 2, .create = 2, .version = 1, .key = TEXT("k"), .value = TEXT("a")
    };
    struct event other = one;
    bool forked = false;
    LOOK a = { 0 };
    LOOK b = { 0 };
    struct err e = { 0 };

    other.value = TEXT("b");
    look_into(invented_file(&(struct invented){ .events = &one, .event_count = 1 }), &a);
    look_into(invented_file(&(struct invented){ .events = &other, .event_count = 1 }),
              &b);
    OK(snap_diff_keys(&a, &b, note_fork, &forked, &e), &e);
    cr_assert(forked);
}

/* ---- the history ---------------------------------------------------------------------
 */

/* Puts k, supersedes it, deletes it, and puts another. */
static const struct event lives[] = {
    { .main = 2, .create = 2, .version = 1, .key = TEXT("k"), .value = TEXT("a") },
    { .main = 3, .create = 2, .version = 2, .key = TEXT("k"), .value = TEXT("b") },
    { .main = 4, .key = TEXT("k") },
    { .main = 5, .create = 5, .version = 1, .key = TEXT("l"), .value = TEXT("c") },
};
enum { LIVES = sizeof lives / sizeof lives[0] };

static void histories(const struct event *a_events, size_t a_count,
                      const struct event *b_events, size_t b_count, int64_t finished,
                      const char *expected)
{
    static struct told t;
    LOOK a = { 0 };
    LOOK b = { 0 };
    struct err e = { 0 };

    look_into(
        invented_file(&(struct invented){ .events = a_events, .event_count = a_count }),
        &a);
    look_into(invented_file(&(struct invented){
                  .events = b_events, .event_count = b_count, .finished = finished }),
              &b);
    t = (struct told){ 0 };
    OK(snap_diff_history(&a, &b, tell, &t, &e), &e);
    cr_assert_str_eq(t.text, expected);
}

CASE(snapshot_diff, sees_what_differs_in_the_past)
{
    struct event other[LIVES];

    memcpy(other, lives, sizeof lives);
    histories(lives, LIVES, other, LIVES, 0, "");
    other[0].value = TEXT("x");
    histories(lives, LIVES, other, LIVES, 0, "changed history k:  -> \n");
    histories(lives, LIVES, other, LIVES, 2, "");
    other[0] = lives[0];
    other[3].value = TEXT("x");
    histories(lives, LIVES, other, LIVES, 0, ""); /* the key itself differs */
}

CASE(snapshot_diff, sees_what_is_missing_in_the_past)
{
    struct event other[LIVES] = { lives[0], lives[2], lives[3] };

    histories(lives, LIVES, other, LIVES - 1, 0, "removed history k:  -> \n");
    histories(other, LIVES - 1, lives, LIVES, 0, "added history k:  -> \n");
    other[1] = lives[3]; /* nor was it deleted: there it is what it holds now */
    histories(lives, LIVES, other, 2, 0,
              "removed history k:  -> \nremoved history k:  -> \n");
}

/* One of them has gone on: what only it can have is no difference. */
CASE(snapshot_diff, the_past_of_a_later_snapshot_is_the_same)
{
    static struct tale t;

    for (unsigned seed = 1; seed <= 4; seed++) {
        static struct told none;
        const char *early;
        LOOK before = { 0 };
        LOOK after = { 0 };
        struct err e = { 0 };

        tale_begin(&t, seed);
        tale_go_on(&t, 40);
        early = tale_file(&t);
        tale_go_on(&t, 8);
        look_into(early, &before);
        look_into(tale_file(&t), &after);
        none = (struct told){ 0 };
        OK(snap_diff_history(&before, &after, tell, &none, &e), &e);
        OK(snap_diff_history(&after, &before, tell, &none, &e), &e);
        cr_assert_eq(none.count, 0, "seed %u: %s", seed, none.text);
    }
}

/* ---- the other buckets ------------------------------------------------------------ */

static const uint8_t lease_1[] = { 0, 0, 0, 0, 0, 0, 0, 1 };
static const uint8_t lease_2[] = { 0, 0, 0, 0, 0, 0, 0, 2 };
static const uint8_t lease_9[] = { 0x80, 0, 0, 0, 0, 0, 0, 9 };
static const uint8_t lease_9_value[] = { 8,    0x89, 0x80, 0x80, 0x80, 0x80, 0x80,
                                         0x80, 0x80, 0x80, 1,    16,   5 };

CASE(snapshot_diff, tells_what_changed_besides_keys)
{
    static const struct extra before[] = {
        { MVCC_ALARM, TEXT("\x08\x11\x10\x01"), TEXT("") },
        { MVCC_AUTH_ROLES, TEXT("dev"),
          TEXT("\x0a\x03"
               "dev\x12\x05\x08\x01\x12\x01k") },
        { MVCC_AUTH_USERS, TEXT("ann"),
          TEXT("\x0a\x03"
               "ann\x12\x01x") },
        { MVCC_AUTH_USERS, TEXT("bob"),
          TEXT("\x0a\x03"
               "bob\x12\x01x") },
        { MVCC_LEASE, BYTES_OF(lease_1), TEXT("\x08\x01\x10\x3c") },
        { MVCC_LEASE, BYTES_OF(lease_2), TEXT("\x08\x02\x10\x3c") },
        { MVCC_MEMBERS, TEXT("11"), TEXT("{\"id\":17,\"peerURLs\":[\"http://a:1\"]}") },
    };
    static const struct extra after[] = {
        { MVCC_AUTH, TEXT("authEnabled"), TEXT("\x01") },
        { MVCC_AUTH, TEXT("authRevision"), TEXT("\0\0\0\0\0\0\0\7") },
        { MVCC_AUTH_ROLES, TEXT("dev"),
          TEXT("\x0a\x03"
               "dev\x12\x08\x08\x02\x12\x01k\x1a\x01\x00") },
        { MVCC_AUTH_USERS, TEXT("ann"),
          TEXT("\x0a\x03"
               "ann\x12\x01y\x1a\x03"
               "dev") },
        { MVCC_AUTH_USERS, TEXT("eve"),
          TEXT("\x0a\x03"
               "eve\x12\x01x") },
        { MVCC_LEASE, BYTES_OF(lease_2), TEXT("\x08\x02\x10\x3c\x18\x07") },
        { MVCC_LEASE, BYTES_OF(lease_9), BYTES_OF(lease_9_value) },
        { MVCC_MEMBERS, TEXT("12"),
          TEXT("{\"id\":18,\"peerURLs\":[\"http://b:1\"],\"isLearner\":true}") },
        { MVCC_MEMBERS_REMOVED, TEXT("11"), TEXT("removed") },
    };
    static struct told t;
    LOOK a = { 0 };
    LOOK b = { 0 };
    struct err e = { 0 };

    look_into(invented_file(&(struct invented){ .extras = before, .extra_count = 7 }),
              &a);
    look_into(invented_file(&(struct invented){ .extras = after, .extra_count = 9 }), &b);
    OK(snap_diff_rest(&a, &b, tell, &t, &e), &e);
    cr_assert_str_eq(t.text,
                     "removed lease 1: ttl 60s -> \n"
                     "changed lease 2: ttl 60s -> ttl 60s, 7s left\n"
                     "added lease 8000000000000009:  -> ttl 5s\n"
                     "changed user ann: with a password -> with a password, roles dev\n"
                     "removed user bob: with a password -> \n"
                     "added user eve:  -> with a password\n"
                     "changed role dev: write k -> readwrite k to \\x00\n"
                     "removed member 11: not started, peers http://a:1 -> \n"
                     "added member 12:  -> not started, peers http://b:1, learner\n"
                     "added removed member 11:  -> removed\n"
                     "removed alarm NOSPACE of 11: active -> \n"
                     "changed auth authentication: off -> on\n"
                     "changed auth revision: 0 -> 7\n");
}

CASE(snapshot_diff, survives_when_memory_runs_out)
{
    static struct told t;
    LOOK a = { 0 };
    LOOK b = { 0 };
    unsigned failures = 0;

    look_into(golden_file("etcd-3.5"), &a);
    look_into(golden_file("etcd-3.6"), &b);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };

        t = (struct told){ 0 };
        enum rc rc = snap_diff_rest(&a, &b, tell, &t, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        failures += rc == RC_NOMEM;
    }
    cr_assert_gt(failures, 10u);
    cr_assert_eq(t.count, 6u, "4 leases, 2 members: %s", t.text);
}
