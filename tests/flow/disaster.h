/* Disasters, and the way back by `holdfast recover`: what its flow tests share. Hosts are
 * members of a cluster on loopback, each with a data directory of its own; a person (the
 * test) starts etcd when the tool says so. */
#ifndef TESTS_FLOW_DISASTER_H
#define TESTS_FLOW_DISASTER_H

#include "tests/flow/flow.h"
#include "tests/flow/waiting.h"

#define DISASTER_NOBODY "127.0.0.1:1"

/* A row of the table of disasters as two tests: on etcd 3.5 and 3.6, with HOLDFAST_LONG
 * on all, skipped without the version that is named; and, NAME_on_the_store, on ours.
 *     DISASTER_ROW(d03_one_of_two_is_lost, "3.5") { ... use b ... }                    */
#define DISASTER_ROW(name, usual)                                                       \
    DISASTER_CASE(name, name, 4 * FLOW_TIMEOUT_S, disaster_each(usual, name##_on))      \
    DISASTER_CASE(name, name##_on_the_store, FLOW_TIMEOUT_S, disaster_store(name##_on)) \
    static void name##_on(const struct cluster_backend *b)
/* On our own store alone: for what cannot be done to a real etcd on loopback. */
#define DISASTER_STORE_ROW(name)                                         \
    DISASTER_CASE(name, name, FLOW_TIMEOUT_S, disaster_store(name##_on)) \
    static void name##_on(const struct cluster_backend *b)
#define DISASTER_CASE(row, name, seconds, run)             \
    static void row##_on(const struct cluster_backend *b); \
    CASE(disaster, name, .timeout = (seconds))             \
    {                                                      \
        run;                                               \
    }
void disaster_each(const char *usual, void (*row)(const struct cluster_backend *));
void disaster_store(void (*row)(const struct cluster_backend *));

/* Killed, and its disk is gone. */
void disaster_lose(struct cluster *c, unsigned i);
void disaster_lose_all_but(struct cluster *c, unsigned i);
void disaster_kill_all(struct cluster *c); /* the disks stay */
/* Killed, its data directory out of the way: where that is. The others have a quorum. */
const char *disaster_put_away(struct cluster *c, unsigned i);

/* ---- a client that remembers what it was told ---------------------------------------
 */

/* Puts "ledger/0", "ledger/1", ... one after the other, on a thread of its own, and keeps
 * the revision of each that was acknowledged; ends by itself when a call fails. */
struct ledger;
struct ledger *ledger_start(const struct cluster *c);
/* The same without a thread: through member i, so many more each time. */
struct ledger *ledger_open(const struct cluster *c, unsigned i);
void ledger_add(struct ledger *l, unsigned puts);
/* Of another cluster from now on, which has what the first one had. */
void ledger_move(struct ledger *l, const struct cluster *c, unsigned i);
/* Waits for the thread; how many were acknowledged. */
unsigned ledger_join(struct ledger *l);
/* All that were acknowledged at revisions up to `revision` are there; for join'ed ones.
 * Returns how many those are. */
unsigned ledger_check(const struct ledger *l, struct wire_client *w, int64_t revision);
void ledger_free(struct ledger *l);
#define LEDGER [[gnu::cleanup(ledger_end)]] struct ledger *
static inline void ledger_end(struct ledger **l)
{
    ledger_free(*l);
}

/* ---- what is left -------------------------------------------------------------------
 */

/* `assess` of these paths and with these words, which must end with `status`; what it
 * says, for json_free. Nobody is asked, unless --endpoints is among the words. */
#define DISASTER_ASSESS(status, out, ...) \
    disaster_assess(status, out, (const char *const[]){ __VA_ARGS__, NULL })
void disaster_assess(int status, struct json **out, const char *const words[]);
/* "has" "startable" "lost" ... */
const char *disaster_quorum(const struct json *assessment);

/* ---- the plan -----------------------------------------------------------------------
 */

/* `recover --plan FILE` with these further words; the plan as it says, when `status` is
 * 0, for json_free. The text of a failure: `err`, in a static buffer; NULL. */
void disaster_plan(const struct cluster *c, int status, const char *file,
                   struct json **out, const char **err, const char *const words[]);
#define DISASTER_PLAN(c, file, out, ...)                    \
    disaster_plan(c, 0, path_in((c)->dir, file), out, NULL, \
                  (const char *const[]){ __VA_ARGS__, NULL })
/* It must be refused with this exit status, and say these words. */
#define DISASTER_REFUSED(c, status, says, ...) \
    disaster_refused(c, status, says, (const char *const[]){ __VA_ARGS__, NULL })
void disaster_refused(const struct cluster *c, int status, const char *says,
                      const char *const words[]);

const char *disaster_source(const struct json *plan); /* the path of the chosen copy */
/* It owns up to a loss in these words, or to none. */
void disaster_says_lost(const struct json *plan, const char *words);
void disaster_lost_nothing(const struct json *plan);

/* ---- on the hosts -------------------------------------------------------------------
 */

/* One `recover --apply FILE` on the host of member i, with these further words (NULL:
 * none), which must end with `status`; what it printed as JSON, for json_free; NULL. */
void disaster_step(const struct cluster *c, unsigned i, int status, const char *file,
                   struct json **out, const char *const words[]);
/* The same until etcd has to be started, then starts it, and once more;
 * "waits-for-others", "serves" or "complete". */
const char *disaster_apply(struct cluster *c, unsigned i, const char *file);
/* All hosts in the order of the plan; the last must say "complete". */
void disaster_apply_all(struct cluster *c, const char *file, const struct json *plan);
/* `recover --rollback FILE` on the host of member i. */
void disaster_back(const struct cluster *c, unsigned i, int status, const char *file,
                   const char *says);

/* Index of the member of that name. */
unsigned disaster_host(const struct cluster *c, const char *name);
/* The data directory of member i as it was moved aside by this plan. */
const char *disaster_aside(const struct cluster *c, unsigned i, const struct json *plan);

/* ---- afterwards ---------------------------------------------------------------------
 */

/* What must hold after every recovery: all members are of the new cluster, none of the
 * old; HashKV is the same on all; the revision is not lower than announced; a write is
 * accepted. */
void disaster_over(struct cluster *c, const struct json *plan);
/* The same of any cluster; `cluster` 0: whichever it is, but one. */
void disaster_whole(struct cluster *c, uint64_t cluster, int64_t revision);
/* The cluster that member i says it is of. */
uint64_t disaster_cluster(const struct cluster *c, unsigned i);
/* Waits until member i finishes a linearizable read, also when somebody else runs it. */
void disaster_await(struct cluster *c, unsigned i);
int64_t disaster_point(const struct json *plan);     /* the announced recovery point */
int64_t disaster_announced(const struct json *plan); /* and the revision to begin with */

/* disaster_apply_all and disaster_over; `kept` of the acknowledged writes must be left,
 * and they are all up to the announced point. */
void disaster_carry_out(struct cluster *c, const char *file, const struct json *plan,
                        const struct ledger *l, unsigned kept);

/* An old directory of member i, started in its place while the others run: it does not
 * come to belong to them, and accepts no write. Of three and more the others go on. */
void disaster_old_stays_out(struct cluster *c, unsigned i, const char *old_dir);

/* ---- a quorum that is there ---------------------------------------------------------
 */

/* A snapshot of member i's. */
void disaster_save(const struct cluster *c, unsigned i, const char *file);
/* A change is waiting for member i, which comes with an empty disk. */
void disaster_comes_anew(struct cluster *c, unsigned i, struct waiting *w);
/* `member replace`, by one of the same name and address; asked of member 0. */
void disaster_replace(struct cluster *c, unsigned i);

#endif
