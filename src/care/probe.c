#include "care/probe.h"

#include "util/clock.h"
#include "util/mem.h"
#include "wire/kv.h"

enum {
    PAUSE_MS = 10,
    TRIES_AT_THE_END = 3, /* each as long as the client's patience */
};

static bool answers(struct care_probe *p, struct wire_client *c)
{
    AT_END(wire_kvs_clear) struct wire_kvs kvs = { 0 };
    struct wire_range q = { .key = bytes_str("health"), .limit = 1, .keys_only = true };
    struct err ignored = { 0 };

    q.serializable = p->alone;
    return wire_range_get(c, &q, &kvs, &ignored) == RC_OK ||
           wire_last(c)->detail == WIRE_PERMISSION;
}

static enum rc run(void *arg, struct err *e)
{
    struct care_probe *p = arg;
    OWNED(wire_client) c = NULL;
    uint64_t asked = clock_ms();
    unsigned late = 0;

    TRY(p->access->connect(p->access->arg, p->endpoint, &c, e));
    while (late < TRIES_AT_THE_END) {
        bool over = atomic_load(&p->over), answered = answers(p, c);
        uint64_t now = clock_ms();

        if (now - asked > p->longest_ms)
            p->longest_ms = now - asked;
        p->answers += answered;
        if (over && answered)
            return RC_OK;
        late += over;
        clock_sleep_ms(PAUSE_MS);
        if (answered)
            asked = clock_ms();
    }
    return RC_OK;
}

enum rc care_probe_start(struct care_probe *p, const struct care_access *a,
                         const char *endpoint, bool alone, struct err *e)
{
    *p = (struct care_probe){ .access = a, .alone = alone };
    p->endpoint = mem_str(endpoint);
    if (p->endpoint == NULL)
        return err_set(e, RC_NOMEM, "no memory for a probe");
    return task_start(&p->task, run, p, e);
}

enum rc care_probe_end(struct care_probe *p, struct err *e)
{
    struct err why = { 0 };
    enum rc rc;

    atomic_store(&p->over, true);
    rc = task_join(&p->task, &why);
    mem_free(p->endpoint);
    p->endpoint = NULL;
    if (rc == RC_NOMEM)
        return err_set(e, RC_NOMEM, "%s", why.why);
    return RC_OK; /* without a connection there is nothing to tell */
}
