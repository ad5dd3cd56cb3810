/* What the flow tests share: one test for each etcd, the tool under test, a client.
 *
 * Keys are loaded and read through our own wire client: a process of etcdctl for each
 * would take most of the run's time. What is judged is judged by etcd's own answers. */
#ifndef TESTS_FLOW_FLOW_H
#define TESTS_FLOW_FLOW_H

#include "tests/lib/case.h"
#include "tests/lib/cluster.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/json.h"
#include "wire/wire.h"

enum { FLOW_TIMEOUT_S = 240 };

/* A test that runs on every backend, each as a case of its own:
 *     EACH_ETCD(roundtrip, keeps_the_keys) { ... use b ... }                        */
#define EACH_ETCD(suite, name)                                   \
    static void suite##_##name(const struct cluster_backend *b); \
    FLOW_ON(suite, name, 3_4, "3.4")                             \
    FLOW_ON(suite, name, 3_5, "3.5")                             \
    FLOW_ON(suite, name, 3_6, "3.6")                             \
    FLOW_ON(suite, name, 3_7, "3.7")                             \
    static void suite##_##name(const struct cluster_backend *b)

/* The same, and on the embedded store as well: for tests that need nothing that only a
 * real etcd has. */
#define EACH_BACKEND(suite, name)    \
    EACH_ETCD(suite, name);          \
    FLOW_ON(suite, name, lab, "lab") \
    static void suite##_##name(const struct cluster_backend *b)

#define FLOW_ON(suite, name, suffix, version)               \
    CASE(suite, name##_##suffix, .timeout = FLOW_TIMEOUT_S) \
    {                                                       \
        flow_need(version);                                 \
        suite##_##name(cluster_backend(version));           \
    }

/* Skips the test when that version is not there, or fails it: see cluster_available. */
void flow_need(const char *version);

/* Runs the tool, which must end with `status`:
 *     TOOL(p, 0, "snapshot", "verify", file);                                       */
#define TOOL(p, status, ...)                          \
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 }; \
    flow_tool(&p, status, NULL, (const char *const[]){ HOLDFAST_BIN, __VA_ARGS__, NULL })
void flow_tool(struct proc *p, int status, const struct proc_options *o,
               const char *const argv[]);

/* The same for any other program, which must succeed. */
#define PEER(p, ...)                                  \
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 }; \
    flow_tool(&p, 0, NULL, (const char *const[]){ __VA_ARGS__, NULL })

/* Standard output as a JSON object, and its members; a missing one fails the test. */
void flow_json(const struct proc *p, struct json **out);
int64_t flow_number(const struct json *o, const char *key);
const char *flow_text(const struct json *o, const char *key);

/* A client of all started members, or of member i alone; logs in as c->user. */
void flow_connect(const struct cluster *c, struct wire_client **out);
void flow_connect_to(const struct cluster *c, unsigned i, struct wire_client **out);

/* HashKV of member i (of the client's endpoints) at `revision`, 0: the newest. */
struct flow_hash {
    uint32_t hash;
    int64_t revision, compact;
};
struct flow_hash flow_hashkv(struct wire_client *c, size_t i, int64_t revision);

/* An age key pair in `dir`: dir/key, and the recipient as the text. */
const char *flow_keygen(const char *dir);

/* Reserves ports and names for `members` members that will be restored. */
void flow_plan(struct cluster *c, const struct cluster_backend *b, unsigned members);

#endif
