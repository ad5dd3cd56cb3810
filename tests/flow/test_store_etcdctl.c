/* etcdctl cannot tell the embedded store from an etcd: its commands end alike and print
 * the same, for each version and the etcdctl that goes with it. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/flow/parity.h"

/* clang-format off */
#define END { .args = { NULL } }
#define DO(...) { .args = { __VA_ARGS__, NULL } }
#define DO_HOW(mode, ...) { .args = { __VA_ARGS__, NULL }, .how = (mode) }
#define DO_WITH(text, ...) { .args = { __VA_ARGS__, NULL }, .input = (text) }

static const struct parity_step keys[] = {
    DO("put", "a/1", "one"),
    DO("put", "a/2", "two"),
    DO("put", "a/3", "three"),
    DO("put", "b", "bee"),
    DO("put", "a/2", "second", "--prev-kv"),
    DO("put", "a/2", "second", "--prev-kv", "-w", "json"),
    DO("put", "a/1", "--ignore-value"),
    DO("put", "none", "--ignore-value"),
    DO("put", "a/1", "x", "--ignore-lease"),
    DO("put", "none", "x", "--ignore-lease"),
    DO("put", "", "x"),
    DO("put", "a/1", "x", "--lease=123"),
    DO_WITH("from standard input", "put", "in"),
    DO("get", "a/1"),
    DO("get", "none"),
    DO("get", ""),
    DO("get", "", "--prefix"),
    DO("get", "a/", "--prefix"),
    DO("get", "a/1", "a/3"),
    DO("get", "a/2", "--from-key"),
    DO("get", "a/", "--prefix", "--keys-only"),
    DO("get", "a/", "--prefix", "--count-only"),
    DO("get", "a/", "--prefix", "--count-only", "-w", "fields"),
    DO("get", "a/", "--prefix", "--print-value-only"),
    DO("get", "a/", "--prefix", "--limit=2"),
    DO("get", "a/", "--prefix", "--limit=2", "-w", "json"),
    DO("get", "a/", "--prefix", "--order=DESCEND"),
    DO("get", "a/", "--prefix", "--sort-by=VERSION", "--order=ASCEND"),
    DO("get", "a/", "--prefix", "--sort-by=CREATE", "--order=DESCEND"),
    DO("get", "a/", "--prefix", "--sort-by=MODIFY"),
    DO("get", "a/", "--prefix", "--sort-by=VALUE", "-w", "fields"),
    DO("get", "a/2", "--rev=3", "-w", "json"),
    DO("get", "a/2", "--rev=1000"),
    DO("get", "a/2", "--consistency=s"),
    DO("get", "a/2", "--consistency=q"),
    DO("get", "a/2", "--hex"),
    DO("get", "a/2", "-w", "table"),
    DO("del", "b"),
    DO("del", "b"),
    DO("del", "in", "--prev-kv"),
    DO("del", "a/1", "a/3", "--prev-kv", "-w", "json"),
    DO("del", "a/", "--prefix"),
    DO("put", "c/1", "1"),
    DO("put", "c/2", "2"),
    DO("del", "c/2", "--from-key"),
    DO("del", ""),
    END,
};

static const struct parity_step txns[] = {
    DO("put", "t", "5"),
    DO_WITH("value(\"t\") = \"5\"\n\nput t 6\nget t\n\nput t 0\n\n", "txn"),
    DO_WITH("value(\"t\") = \"5\"\n\nput t 6\n\nget t\ndel t\n\n", "txn"),
    DO_WITH("mod(\"t\") > \"0\"\nver(\"t\") = \"1\"\n\nput t 7\n\nget none\n\n", "txn", "-w", "json"),
    DO_WITH("create(\"t\") = \"0\"\n\nput t 8 --prev-kv\nput u 1\n\nget t\n\n", "txn", "-w", "json"),
    DO_WITH("\nput t 1\nput t 2\n\n\n", "txn"),
    DO_WITH("value(\"t\") < \"9\"\n\nget \"\" --prefix\ndel u\n\n\n", "txn", "-w", "fields"),
    DO_WITH("nonsense\n\n\n\n", "txn"),
    END,
};

static const struct parity_step leases[] = {
    DO("lease", "grant", "300"),
    DO("lease", "grant", "200"),
    DO("lease", "grant", "10000000000"),
    DO("lease", "list"),
    DO("lease", "timetolive", "{x0}"),
    DO("put", "leased/1", "v", "--lease={x0}"),
    DO("get", "leased/1", "-w", "json"),
    DO("lease", "timetolive", "{x0}", "--keys"),
    DO_HOW(PARITY_NUMBERS, "lease", "timetolive", "{x0}", "--keys", "-w", "json"),
    DO_HOW(PARITY_NUMBERS, "lease", "timetolive", "{x0}", "-w", "fields"),
    DO("lease", "keep-alive", "--once", "{x0}"),
    DO_HOW(PARITY_NUMBERS, "lease", "keep-alive", "--once", "{x0}", "-w", "json"),
    DO("lease", "keep-alive", "--once", "1234"),
    DO("put", "leased/2", "v", "--lease={x0}"),
    DO("put", "leased/2", "w", "--ignore-lease"),
    DO("put", "leased/1", "w"),
    DO("lease", "timetolive", "{x0}", "--keys"),
    DO("lease", "revoke", "{x0}"),
    DO("lease", "revoke", "{x0}"),
    DO("lease", "timetolive", "{x0}"),
    DO("lease", "timetolive", "1234"),
    DO("get", "leased/", "--prefix"),
    DO("lease", "list"),
    DO("lock", "a-lock", "echo", "held"),
    END,
};

static const struct parity_step history[] = {
    DO("put", "h", "1"),
    DO("put", "h", "2"),
    DO("put", "h", "3"),
    DO("compaction", "1000000"),
    DO("compaction", "4"),
    DO("compaction", "4"),
    DO("put", "h", "4"),
    DO("put", "h", "5"),
    DO("compaction", "6", "--physical"),
    DO("get", "h", "--rev=3"),
    DO("watch", "h", "--rev=3"),
    DO("defrag"),
    DO_HOW(PARITY_SORTED, "defrag", "--cluster"),
    DO("put", "h", "6"),
    DO("endpoint", "hashkv", "-w", "json"),
    DO("endpoint", "hashkv", "--rev=8"),
    DO("endpoint", "hashkv", "--rev=1000000"),
    DO("endpoint", "hashkv", "--rev=2"),
    END,
};

static const struct parity_step endpoints[] = {
    DO("endpoint", "health"),
    DO_HOW(PARITY_SORTED, "endpoint", "health", "--cluster"),
    DO("endpoint", "health", "-w", "json"),
    DO_HOW(PARITY_NUMBERS, "endpoint", "status"),
    DO_HOW(PARITY_NUMBERS, "endpoint", "status", "-w", "json"),
    DO_HOW(PARITY_NUMBERS, "endpoint", "status", "-w", "table"),
    DO_HOW(PARITY_NUMBERS, "endpoint", "status", "-w", "fields"),
    DO_HOW(PARITY_NUMBERS | PARITY_SORTED, "endpoint", "status", "--cluster"),
    DO_HOW(PARITY_SORTED, "member", "list"),
    DO_HOW(PARITY_SORTED | PARITY_NUMBERS, "member", "list", "-w", "table"),
    DO("alarm", "list"),
    DO("alarm", "disarm"),
    DO("check", "perf", "--load=none"),
    DO("move-leader", "1234"),
    DO("move-leader", "{id0}"),
    DO("move-leader", "{id1}"),
    DO("move-leader", "{id2}"),
    DO_HOW(PARITY_LEADER, "move-leader", "{id0}"),
    DO("put", "after", "moving"),
    DO("snapshot", "save", "{dir}/snapshot.db"),
    END,
};

static const struct parity_step saved[] = {
    { .args = { "snapshot", "status", "{dir}/snapshot.db", "-w", "json" }, .how = PARITY_NUMBERS, .tool = "etcdutl" },
    { .args = { "hashkv", "{dir}/snapshot.db" }, .tool = "etcdutl" },
    { .args = { "snapshot", "restore", "{dir}/snapshot.db", "--data-dir", "{dir}/restored" }, .how = PARITY_NUMBERS, .tool = "etcdutl" },
    END,
};

static const struct parity_step members[] = {
    DO_HOW(PARITY_RETRY | PARITY_STATUS, "member", "add", "m3", "--learner", "--peer-urls=http://127.0.0.1:1"),
    DO("member", "add", "m4", "--learner", "--peer-urls=http://127.0.0.1:2"),
    DO("member", "add", "m3", "--peer-urls=nonsense"),
    DO("member", "add", "m3"),
    DO("member", "promote", "{id1}"),
    DO("member", "promote", "1234"),
    DO("member", "update", "1234", "--peer-urls=http://127.0.0.1:3"),
    DO("member", "remove", "1234"),
    DO_HOW(PARITY_SORTED | PARITY_NUMBERS, "member", "list"),
    END,
};

static const struct parity_step users[] = {
    DO("auth", "status"),
    DO("auth", "enable"),
    DO("user", "add", "root:pw"),
    DO("user", "add", "root:pw"),
    DO("user", "add", "alice:pw"),
    DO("user", "add", "bob", "--no-password"),
    DO_WITH("pw\n", "user", "add", "carol", "--interactive=false"),
    DO("user", "list"),
    DO("user", "list", "-w", "json"),
    DO("auth", "enable"),
    DO("user", "get", "root"),
    DO("role", "add", "root"),
    DO("role", "add", "root"),
    DO("role", "add", "reader"),
    DO("role", "add", "writer"),
    DO("role", "grant-permission", "reader", "read", "r/", "--prefix"),
    DO("role", "grant-permission", "reader", "read", "one"),
    DO("role", "grant-permission", "writer", "readwrite", "w/", "w0"),
    DO("role", "grant-permission", "writer", "write", "z", "--from-key"),
    DO("role", "grant-permission", "none", "write", "z"),
    DO("role", "get", "reader"),
    DO("role", "get", "writer", "-w", "json"),
    DO("role", "get", "none"),
    DO("role", "list"),
    DO("role", "list", "-w", "json"),
    DO("user", "grant-role", "root", "root"),
    DO("user", "grant-role", "alice", "reader"),
    DO("user", "grant-role", "alice", "writer"),
    DO("user", "grant-role", "alice", "none"),
    DO("user", "grant-role", "none", "reader"),
    DO("user", "get", "alice"),
    DO("user", "get", "alice", "--detail"),
    DO("user", "get", "alice", "-w", "json"),
    DO("user", "get", "none"),
    DO_WITH("new\n", "user", "passwd", "carol", "--interactive=false"),
    DO("auth", "enable"),
    DO("get", "a"),
    DO("user", "list"),
    DO("snapshot", "save", "{dir}/refused.db"),
    DO("get", "a", "--user=root:wrong"),
    DO("get", "a", "--user=none:pw"),
    DO("get", "a", "--user=bob:pw"),
    END,
};

static const struct parity_step as_alice[] = {
    DO("get", "r/", "--prefix"),
    DO("get", "r/", "s"),
    DO("get", "one"),
    DO("get", "w/1"),
    DO("put", "w/1", "x"),
    DO("put", "r/1", "x"),
    DO("put", "zz", "x"),
    DO("get", "zz"),
    DO("del", "w/", "--prefix"),
    DO("del", "zz", "--prev-kv"),
    DO_WITH("\nput w/1 1\nget r/1\n\n\n", "txn"),
    DO_WITH("\nput r/1 1\n\n\n", "txn"),
    DO("watch", "other", "--rev=1000000"),
    DO("lease", "grant", "100"),
    DO("user", "list"),
    DO("user", "get", "alice"),
    DO("user", "get", "root"),
    DO("role", "get", "reader"),
    DO("role", "get", "root"),
    DO("user", "add", "dave:pw"),
    DO("auth", "disable"),
    DO("auth", "status"),
    DO("compaction", "3"),
    DO("defrag"),
    DO("endpoint", "hashkv"),
    DO("alarm", "list"),
    DO("alarm", "disarm"),
    DO("move-leader", "{id1}"),
    DO("endpoint", "health"),
    DO("snapshot", "save", "{dir}/refused.db"),
    DO("member", "remove", "{id2}"),
    DO_HOW(PARITY_SORTED, "member", "list"),
    END,
};

static const struct parity_step as_root[] = {
    DO("get", "", "--prefix", "-w", "json"),
    DO("role", "revoke-permission", "writer", "w/", "w0"),
    DO("role", "revoke-permission", "writer", "w/", "w0"),
    DO("role", "revoke-permission", "reader", "r/", "--prefix"),
    DO("role", "get", "writer"),
    DO("user", "revoke-role", "alice", "writer"),
    DO("user", "revoke-role", "alice", "writer"),
    DO("role", "delete", "writer"),
    DO("role", "delete", "writer"),
    DO("role", "delete", "root"),
    DO("user", "revoke-role", "root", "root"),
    DO("user", "delete", "carol"),
    DO("user", "delete", "carol"),
    DO("user", "delete", "root"),
    DO("auth", "status"),
    DO("auth", "status", "-w", "json"),
    DO("endpoint", "health"),
    DO("snapshot", "save", "{dir}/of-root.db"),
    DO("auth", "disable"),
    END,
};

static const struct parity_step after[] = {
    DO("auth", "disable"),
    DO("auth", "status"),
    DO("get", "", "--prefix", "--count-only", "-w", "fields"),
    END,
};

static const struct parity_step watched[] = {
    DO("put", "watched/1", "1"),
    DO("put", "other", "1"),
    DO("put", "watched/1", "2"),
    DO("del", "watched/1"),
    DO_WITH("\nput watched/2 1\nput watched/3 1\ndel watched/1\n\n\n", "txn"),
    DO("del", "watched/", "--prefix"),
    DO("put", "watched/9", "the end"),
    END,
};

static const struct {
    struct parity_step step;
    const char *last; /* that it prints */
} watches[] = {
    { DO("watch", "watched/", "--prefix", "--rev=9"), "the end" },
    { DO("watch", "watched/", "watched/9z", "--rev=18", "--prev-kv"), "the end" },
    { DO_HOW(PARITY_PAST, "watch", "watched/", "--prefix", "--rev=25", "--prev-kv", "-w", "json"), "dGhlIGVuZA==" },
    { DO_HOW(PARITY_PAST, "watch", "", "--prefix", "--rev=32", "-w", "fields"), "the end" },
    { DO("watch", "watched/9", "--rev=39", "--", "echo", "seen"), "seen" },
};
/* clang-format on */

static void use_memory(void)
{
    if (access("/dev/shm", W_OK) == 0)
        cr_assert_eq(setenv("TMPDIR", "/dev/shm", 1), 0);
}

static void as_user(struct parity *p, const char *user)
{
    p->sides[0].user = p->sides[1].user = user;
}

static void play_keys(struct parity *p)
{
    parity_play(p, keys);
    for (size_t i = 0; i < sizeof watches / sizeof *watches; i++)
        parity_watch(p, &watches[i].step, watched, watches[i].last);
    parity_play(p, txns);
}

/* Of keys versions answer alike, and the long workload shows it. Leases come after all
 * hashes, which their ids are part of. */
static void play_all(const char *version, bool all)
{
    AT_END(parity_end) struct parity p = { 0 };

    flow_need(version);
    use_memory();
    parity_boot(&p, version, 3);
    parity_lead(&p);
    if (all || getenv("HOLDFAST_LONG") != NULL)
        play_keys(&p);
    parity_play(&p, history);
    parity_play(&p, endpoints);
    parity_play(&p, saved);
    parity_play(&p, leases);
    parity_play(&p, users);
    as_user(&p, "alice:pw");
    parity_play(&p, as_alice);
    as_user(&p, "root:pw");
    parity_play(&p, as_root);
    as_user(&p, NULL);
    parity_play(&p, after);
    parity_play(&p, members);
}

CASE(store, obeys_etcdctl_3_5, .timeout = FLOW_TIMEOUT_S)
{
    play_all("3.5", false);
}

CASE(store, obeys_etcdctl_3_6, .timeout = FLOW_TIMEOUT_S)
{
    play_all("3.6", true);
}

CASE(store, obeys_etcdctl_3_7, .timeout = FLOW_TIMEOUT_S)
{
    play_all("3.7", false);
}
