/* A state that goes from etcd into the embedded store, on to another, and back: whichever
 * way a restore goes, HashKV, keys, leases and users are the same behind it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "tests/flow/picture.h"
#include "wire/auth.h"
#include "wire/kv.h"
#include "wire/lease.h"

/* Where the state is, and what it was when it was last looked at. */
struct stage {
    struct cluster k;
    struct cluster_backend backend;
    const char *flags[3];
    struct picture picture;
    struct flow_hash hash;
    char what[64];
};

static void stage_end(struct stage *s)
{
    cluster_stop(&s->k);
    picture_clear(&s->picture);
}

#define STAGE AT_END(stage_end) struct stage

/* An etcd of that version, or the store that answers as one. */
static void choose(struct stage *s, const char *version, bool store)
{
    s->backend = *cluster_backend(store ? "lab" : version);
    s->backend.version = version;
    s->backend.minor = version[2] - '0';
    if (store) {
        s->flags[0] = "--etcd-version";
        s->flags[1] = version;
    }
}

static void look(struct stage *s)
{
    OWNED(wire_client) c = NULL;

    s->k.user = "root:pw";
    flow_connect(&s->k, &c);
    picture_clear(&s->picture);
    s->picture = (struct picture){ 0 };
    picture_take(c, &s->picture);
    s->hash = flow_hashkv(c, 0, 0);
}

static void same(const struct stage *a, const struct stage *b)
{
    picture_same(&a->picture, &b->picture, b->what);
    cr_assert(a->hash.hash == b->hash.hash && a->hash.compact == b->hash.compact &&
                  a->hash.revision == b->hash.revision,
              "%s: HashKV %u of %" PRId64 ", then %u of %" PRId64, b->what, a->hash.hash,
              a->hash.revision, b->hash.hash, b->hash.revision);
}

/* Something for the next way that was not there on the last. */
static void go_on(struct stage *s)
{
    OWNED(wire_client) c = NULL;
    struct wire_lease lease = { 0 };
    struct history_random r = { (uint64_t)s->hash.revision };
    struct err e = { 0 };

    flow_connect(&s->k, &c);
    history_grow(c, &r, 30, 2);
    OK(wire_lease_grant(c, 0, 100000, &lease, &e), &e);
    OK(wire_put(c, bytes_str("leased/here"), bytes_str(s->what), lease.id, NULL, &e), &e);
    look(s);
}

static void begin(struct stage *s, const char *version, bool store)
{
    OWNED(wire_client) c = NULL;
    struct err e = { 0 };

    choose(s, version, store);
    cluster_start(&s->k, &s->backend,
                  &(struct cluster_options){ .flags = store ? s->flags : NULL });
    flow_connect(&s->k, &c);
    history_make(c, 4);
    history_add_users(c);
    OK(wire_auth_enable(c, &e), &e);
    look(s);
    cr_assert(s->picture.keys > 1000 && s->picture.leases > 3);
}

/* By a snapshot and a restore. */
static void restore(struct stage *from, struct stage *to, bool store)
{
    const struct cluster_member *m = &to->k.members[0];
    const char *file = path_in(from->k.dir, "x.db.zst");

    TOOL(saved, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&from->k),
         "--user", "root:pw");
    cluster_kill(&from->k, 0, SIGTERM);
    choose(to, from->backend.version, store);
    snprintf(to->what, sizeof to->what, "%s to %s, %s", from->backend.name,
             to->backend.name, from->backend.version);
    cluster_plan(&to->k, &to->backend,
                 &(struct cluster_options){ .flags = store ? to->flags : NULL });
    TOOL(restored, 0, "restore", file, "--name", m->name, "--data-dir", m->data_dir,
         "--initial-cluster", cluster_initial(&to->k, 1), "--initial-advertise-peer-urls",
         cluster_peer_url(&to->k, 0), "--bump-revision", "0");
    cluster_boot_first(&to->k, 1);
    look(to);
    same(from, to);
}

/* By starting the one on the stopped other's data directory: the same member goes on. */
static void take_over(struct stage *from, struct stage *to, bool store)
{
    cluster_kill(&from->k, 0, SIGKILL);
    choose(to, from->backend.version, store);
    snprintf(to->what, sizeof to->what, "%s on the directory of %s", to->backend.name,
             from->backend.name);
    to->k = from->k;
    to->k.backend = &to->backend;
    to->k.options.flags = store ? to->flags : NULL;
    cluster_boot_first(&to->k, 1);
    look(to);
    same(from, to);
}

static void alice_may_only_read(const struct stage *s)
{
    struct cluster k = s->k;
    OWNED(wire_client) c = NULL;
    struct err e = { 0 };

    k.user = "alice:secret";
    flow_connect(&k, &c);
    cr_assert_eq(wire_put(c, bytes_str("fill/x"), bytes_str("1"), 0, NULL, &e), RC_AUTH,
                 "%s", s->what);
}

EACH_ETCD(store, is_restored_from_and_to)
{
    STAGE etcd = { 0 };
    STAGE store = { 0 };
    STAGE second = { 0 };
    STAGE back = { 0 };
    STAGE end = { 0 };

    begin(&etcd, b->version, false);
    restore(&etcd, &store, true);
    go_on(&store);
    restore(&store, &second, true);
    alice_may_only_read(&second);
    go_on(&second);
    restore(&second, &back, false);
    go_on(&back);
    restore(&back, &end, false);
    alice_may_only_read(&end);
}

/* Each killed, so that what the next one has is what was in the log. */
EACH_ETCD(store, shares_its_directory_with)
{
    STAGE store = { 0 };
    STAGE etcd = { 0 };
    STAGE again = { 0 };

    begin(&store, b->version, true);
    go_on(&store);
    take_over(&store, &etcd, false);
    alice_may_only_read(&etcd);
    go_on(&etcd);
    take_over(&etcd, &again, true);
    alice_may_only_read(&again);
    go_on(&again);
}
