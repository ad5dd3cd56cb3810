#include "repo/lease.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/sha256.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/stop.h"
#include "wire/lease.h"

static enum rc take(void *arg, const char *name, const char *owner, struct err *e)
{
    struct repo_lease *l = arg;
    uint64_t asked = clock_ms();
    struct wire_lease granted = { 0 };
    enum rc rc = wire_lease_grant(l->client, l->id, REPO_LEASE_S, &granted, e);

    (void)owner;
    if (rc != RC_OK && wire_last(l->client)->detail == WIRE_EXISTS)
        return err_set(e, RC_LOCKED,
                       "another job works on '%s': it holds lease %" PRIx64 HINT
                       "wait for its end, or, when it is gone, a minute",
                       name, l->id);
    if (rc != RC_OK)
        return err_wrap(e, "taking the lock, a lease in etcd");
    l->renewed_ms = asked;
    return RC_OK;
}

static enum rc lost(struct err *e)
{
    return err_set(e, RC_LOCKED, "the lock was lost: its lease in etcd ended");
}

static enum rc check(void *arg, struct err *e)
{
    struct repo_lease *l = arg;
    uint64_t now = clock_ms();
    int64_t ttl = 0;
    enum rc rc;

    if (now - l->renewed_ms >= (uint64_t)REPO_LEASE_S * 1000)
        return lost(e);
    rc = wire_lease_keep_alive(l->client, l->id, &ttl, e);
    if (rc == RC_NOTFOUND)
        return lost(e);
    if (rc == RC_OK)
        l->renewed_ms = now;
    return rc;
}

/* One that is lost may be somebody else's by now. A job that is told to stop gives it
 * back, too: the next one would have to wait for a minute. */
static void release(void *arg)
{
    struct repo_lease *l = arg;
    struct err e = { 0 };
    enum rc rc;

    if (clock_ms() - l->renewed_ms >= (uint64_t)REPO_LEASE_S * 1000)
        return;
    stop_hold(true);
    rc = wire_lease_revoke(l->client, l->id, &e);
    stop_hold(false);
    if (rc != RC_OK)
        log_info("the lock ends by itself within a minute: %s", e.why);
}

enum rc repo_lease_init(struct repo_lease *l, struct wire_client *client,
                        const char *repo, const char *cluster, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) h = NULL;

    TRY(sha256_new(&h, e));
    TRY(sha256_add(h, repo, strlen(repo), e));
    TRY(sha256_add(h, "/", 1, e));
    TRY(sha256_add(h, cluster, strlen(cluster), e));
    TRY(sha256_end(h, digest, e));
    *l = (struct repo_lease){
        .client = client,
        .id = (int64_t)(le64(digest) >> 1 | 1), /* positive, and not 0 */
        .lock = { .take = take, .check = check, .release = release, .arg = l },
    };
    return RC_OK;
}
