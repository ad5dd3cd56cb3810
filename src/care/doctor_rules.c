#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "care/doctor_inside.h"

/* "m1, m2": the voters that do not answer. */
static void absent(const struct care_view *v, char *out, size_t n)
{
    out[0] = '\0';
    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];
        size_t used = strlen(out);
        char name[80];

        if (care_is_voter(m) && m->state != CARE_UP)
            snprintf(out + used, n - used, "%s%s", used > 0 ? ", " : "",
                     care_called(m, name));
    }
}

static bool barred_only(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].state != CARE_BARRED)
            return false;
    return v->count > 0;
}

static bool has_locked(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].state == CARE_LOCKED)
            return true;
    return false;
}

static void judge_reach(struct chart *c)
{
    const struct care_view *v = c->exam->view;

    if (has_locked(v))
        chart_add(c, CARE_CRITICAL, "unreachable", NULL,
                  "members run, and nobody can log in without a leader: quorum is lost, "
                  "or an election is on. When the others are gone for good, 'holdfast "
                  "assess DIR' on a host that is left says what to go on from");
    else if (barred_only(v))
        chart_add(c, CARE_CRITICAL, "unreachable", NULL, "no member lets us in: %.300s",
                  v->items[0].failure.why);
    else
        chart_add(c, CARE_CRITICAL, "unreachable", NULL,
                  "no member answers; is this the right place, and does any of them "
                  "run? When hosts are gone for good, 'holdfast assess DIR' on one that "
                  "is left says what to go on from");
}

static void judge_numbers(struct chart *c, const struct quorum *q)
{
    char names[240], trap[200];

    absent(c->exam->view, names, sizeof names);
    if (!q->has)
        chart_add(c, CARE_CRITICAL, "quorum-lost", NULL,
                  "quorum is lost: %zu of %zu voters work and %zu are needed; nothing is "
                  "written until %zu more of %s work again. When they are gone for good, "
                  "'holdfast assess' says what to go on from",
                  q->up, q->voters, q->needed, q->needed - q->up, names);
    else if (q->tolerates == 0 && q->tolerance > 0)
        chart_add(c, CARE_WARN, "quorum-edge", NULL,
                  "no more voter may fail: %zu of %zu work, and %zu are needed", q->up,
                  q->voters, q->needed);
    if (q->voters == 1)
        chart_add(c, CARE_NOTE, "single-member", NULL,
                  "one voter bears no failure: a backup is all there is when it is lost");
    if (quorum_trap(q->voters, trap, sizeof trap) != NULL)
        chart_add(c, CARE_NOTE, "even-voters", NULL, "%s", trap);
}

void judge_quorum(struct chart *c)
{
    const struct care_view *v = c->exam->view;
    const struct quorum *q = &c->out->quorum;

    if (v->cluster_id == 0) {
        judge_reach(c);
        return;
    }
    if (q->voters > 0)
        judge_numbers(c, q);
    if (v->leader == 0 && (q->has || q->voters == 0))
        chart_add(c, CARE_CRITICAL, "no-leader", NULL,
                  "there is no leader, although enough voters answer: an election is on, "
                  "or they do not reach each other on their peer ports");
    else if (v->reads_hang)
        chart_add(c, CARE_CRITICAL, "reads-hang", NULL,
                  "no member finishes a linearizable read, although enough voters "
                  "answer: an election is on, or they do not reach each other on their "
                  "peer ports");
}

/* What a state means, in a sentence that goes on after the name. */
static const char *meaning(enum care_state s)
{
    switch (s) {
    case CARE_FROZEN:
        return "is frozen: it says how it is, but finishes no linearizable read";
    case CARE_SILENT:
        return "is silent: it takes connections and answers nothing; stopped, or its "
               "disk hangs";
    case CARE_DOWN:
        return "is down";
    case CARE_LOCKED:
        return "runs, but lets nobody log in: that takes a leader, and it knows none";
    case CARE_BARRED:
        return "lets nobody in";
    case CARE_STRANGER:
        return "is not who it should be";
    case CARE_UP:
        break;
    }
    return "is up";
}

static void judge_lag(struct chart *c, const struct care_member *m)
{
    const struct care_view *v = c->exam->view;
    uint64_t lag = care_lag(v, m);
    char name[80];

    if (lag <= LAG_MAX_ENTRIES)
        return;
    chart_add(c, m->learner ? CARE_NOTE : CARE_WARN, "lagging", m,
              "%s lags: %" PRIu64 " entries behind the newest", care_called(m, name),
              lag);
}

void judge_members(struct chart *c)
{
    const struct care_view *v = c->exam->view;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];
        char name[80];

        if (care_never_started(m))
            chart_add(c, CARE_WARN, "never-started", m,
                      "%s was added and never started: start it, or take it out",
                      care_called(m, name));
        else if (m->state != CARE_UP)
            chart_add(c, CARE_WARN, "member-down", m, "%s %s (%.250s)",
                      care_called(m, name), meaning(m->state), m->failure.why);
        else
            judge_lag(c, m);
        if (m->learner)
            chart_add(c, CARE_NOTE, "learner", m,
                      "%s is a learner: it follows, and has no vote",
                      care_called(m, name));
    }
}

static void judge_vote(struct chart *c)
{
    const struct care_vote *vote = c->exam->vote;
    struct err e = { 0 };

    if (vote == NULL) {
        if (c->exam->vote_failure != NULL)
            chart_add(c, CARE_NOTE, "hash-unknown", NULL,
                      "whether the voters hold the same data is not known: %.250s",
                      c->exam->vote_failure);
        return;
    }
    if (care_vote_result(vote, &e) == RC_OK)
        return;
    if (vote->verdict == CARE_VOTE_UNKNOWN) {
        chart_add(c, CARE_NOTE, "hash-unknown", NULL, "%.390s", e.why);
        return;
    }
    chart_add(c, CARE_CRITICAL, "diverged", NULL, "%.390s", e.why);
    for (size_t i = 0; i < vote->count; i++)
        if (vote->items[i].word == CARE_BALLOT_ODD)
            c->out->items[c->out->count - 1].member = vote->items[i].id;
}

static void judge_alarms(struct chart *c)
{
    const struct care_view *v = c->exam->view;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];
        char name[80];

        if ((m->alarms & 1U << WIRE_ALARM_NOSPACE) != 0)
            chart_add(c, CARE_CRITICAL, "alarm-nospace", m,
                      "the alarm NOSPACE is raised for %s: the cluster takes no writes",
                      care_called(m, name));
        if ((m->alarms & 1U << WIRE_ALARM_CORRUPT) != 0)
            chart_add(c, CARE_CRITICAL, "alarm-corrupt", m,
                      "the alarm CORRUPT is raised for %s: etcd found its data to differ",
                      care_called(m, name));
    }
    if (v->foreign_alarms != 0)
        chart_add(c, CARE_WARN, "alarm-of-the-gone", NULL,
                  "an alarm is raised for a member that is no longer in the cluster");
}

/* Releases that lose or corrupt data. */
static void judge_version(struct chart *c, const struct care_member *m)
{
    unsigned major, minor, patch;
    char name[80];

    if (sscanf(m->status.version, "%u.%u.%u", &major, &minor, &patch) != 3 ||
        major != 3 || minor != 5 || patch > 5)
        return;
    chart_add(c, CARE_WARN, "version-unsafe", m,
              "%s runs etcd %s, %s; go to the newest 3.5", care_called(m, name),
              m->status.version,
              patch <= 2 ? "which loses consistency when it is killed"
                         : "which corrupts data when it is killed during a defrag");
}

static void judge_versions(struct chart *c)
{
    const struct care_view *v = c->exam->view;
    const char *first = NULL;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        if (!m->answered)
            continue;
        judge_version(c, m);
        if (first == NULL)
            first = m->status.version;
        else if (strcmp(first, m->status.version) != 0 &&
                 chart_has(c->out, "version-mixed") == NULL)
            chart_add(c, CARE_NOTE, "version-mixed", NULL,
                      "the members run different versions, %s and %s", first,
                      m->status.version);
    }
}

void judge_data(struct chart *c)
{
    judge_alarms(c);
    judge_vote(c);
    judge_versions(c);
}

static void judge_quota(struct chart *c, const struct care_member *m)
{
    uint64_t percent;
    char name[80], size[32], quota[32];

    if (m->quota_from == CARE_UNKNOWN || m->quota == 0)
        return;
    percent = (uint64_t)((double)m->status.db_size / (double)m->quota * 100);
    if (percent < QUOTA_WARN_PERCENT)
        return;
    str_size(size, sizeof size, m->status.db_size);
    str_size(quota, sizeof quota, m->quota);
    chart_add(c, percent >= QUOTA_CRITICAL_PERCENT ? CARE_CRITICAL : CARE_WARN,
              "quota-near", m,
              "the database of %s fills %" PRIu64 " %% of its quota: %s of %s",
              care_called(m, name), percent, size, quota);
}

static void judge_forecast(struct chart *c, const struct care_member *m,
                           const struct care_forecast *f)
{
    int64_t days = (f->full_at - c->exam->now) / DAY_S;
    char name[80], rate[32];

    if (!f->known || f->full_at == 0)
        return;
    str_size(rate, sizeof rate, (uint64_t)f->bytes_per_day);
    if (days <= 0)
        chart_add(c, CARE_CRITICAL, "quota-forecast", m,
                  "the database of %s grows by %s a day, and reaches its quota today",
                  care_called(m, name), rate);
    else if (days <= 365)
        chart_add(c, days <= FULL_SOON_DAYS ? CARE_WARN : CARE_NOTE, "quota-forecast", m,
                  "the database of %s grows by %s a day, and reaches its quota in "
                  "%" PRId64 " day%s",
                  care_called(m, name), rate, days, days == 1 ? "" : "s");
}

static void judge_fragments(struct chart *c, const struct care_member *m)
{
    const struct wire_status *s = &m->status;
    unsigned percent = care_free_percent(m);
    char name[80], gain[32];

    if (percent < FRAGMENTED_PERCENT || s->db_size - s->db_size_in_use < FRAGMENTED_BYTES)
        return;
    str_size(gain, sizeof gain, s->db_size - s->db_size_in_use);
    chart_add(c, CARE_WARN, "fragmented", m,
              "%u %% of the database of %s are free pages: a defragmentation gives %s "
              "back",
              percent, care_called(m, name), gain);
}

void judge_space(struct chart *c)
{
    const struct care_view *v = c->exam->view;

    for (size_t i = 0; i < v->count; i++) {
        if (!v->items[i].answered)
            continue;
        judge_quota(c, &v->items[i]);
        if (c->exam->trends != NULL)
            judge_forecast(c, &v->items[i], &c->exam->trends[i].forecast);
        judge_fragments(c, &v->items[i]);
    }
}

static void judge_cert(struct chart *c, const struct care_cert *cert)
{
    int64_t now = c->exam->now, days = (cert->not_after - now) / DAY_S;

    if (cert->not_before > now)
        chart_add(c, CARE_CRITICAL, "cert-expired", NULL,
                  "%s is not valid yet; look at the clocks", cert->what);
    else if (cert->not_after < now)
        chart_add(c, CARE_CRITICAL, "cert-expired", NULL,
                  "%s expired %" PRId64 " day%s ago", cert->what, -days,
                  days == -1 ? "" : "s");
    else if (days <= CERT_WARN_DAYS)
        chart_add(c, days <= CERT_CRITICAL_DAYS ? CARE_CRITICAL : CARE_WARN,
                  "cert-expiring", NULL, "%s expires in %" PRId64 " day%s", cert->what,
                  days, days == 1 ? "" : "s");
}

/* How far apart two clocks are for certain. */
static int64_t apart(const struct care_member *a, const struct care_member *b)
{
    int64_t ahead = a->clock_low_ms - b->clock_high_ms;
    int64_t behind = b->clock_low_ms - a->clock_high_ms;

    return ahead > behind ? ahead : behind;
}

static void judge_clocks(struct chart *c)
{
    const struct care_view *v = c->exam->view;
    const struct care_member *one = NULL, *other = NULL;
    int64_t worst = SKEW_MAX_MS;
    char a[80], b[80];

    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; k < i; k++) {
            int64_t skew = apart(&v->items[i], &v->items[k]);

            if (!v->items[i].clock_known || !v->items[k].clock_known || skew <= worst)
                continue;
            worst = skew;
            one = &v->items[k];
            other = &v->items[i];
        }
    if (one == NULL || other == NULL)
        return;
    chart_add(c, CARE_WARN, "clock-skew", NULL,
              "the clocks of %s and %s are at least %" PRId64 ".%" PRId64
              " s apart: leases and certificates suffer",
              care_called(one, a), care_called(other, b), worst / 1000, worst / 100 % 10);
}

void judge_time(struct chart *c)
{
    for (size_t i = 0; c->exam->certs != NULL && i < c->exam->certs->count; i++)
        judge_cert(c, &c->exam->certs->items[i]);
    judge_clocks(c);
}

static void judge_latency(struct chart *c, const struct care_member *m, const char *what,
                          const struct care_latency *l, double max_ms)
{
    char name[80];

    if (l->count < LATENCY_SAMPLES_MIN || l->p99_ms <= max_ms)
        return;
    if (isinf(l->p99_ms))
        chart_add(c, CARE_WARN, "slow-disk", m,
                  "the disk of %s is slow: one %s in a hundred takes more than 8 s",
                  care_called(m, name), what);
    else
        chart_add(c, CARE_WARN, "slow-disk", m,
                  "the disk of %s is slow: one %s in a hundred takes more than %.0f ms",
                  care_called(m, name), what, l->p99_ms / 2);
}

static void judge_elections(struct chart *c, const struct care_member *m)
{
    double changes = m->metrics.leader_changes;
    double hours = ((double)c->exam->now - m->metrics.started) / 3600;
    char name[80];

    if (m->metrics.started <= 0 || changes < LEADER_CHANGES_MIN ||
        changes < (hours < 1 ? 1 : hours) || chart_has(c->out, "leader-changes") != NULL)
        return;
    chart_add(c, CARE_WARN, "leader-changes", m,
              "%s has seen %.0f changes of leader in %.1f hours: look at the disks and "
              "the network between the members",
              care_called(m, name), changes, hours < 0 ? 0 : hours);
}

void judge_disk(struct chart *c)
{
    const struct care_view *v = c->exam->view;

    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];
        char name[80];

        if (!m->answered || !m->metrics_known)
            continue;
        judge_latency(c, m, "fsync of its log", &m->metrics.wal_fsync, FSYNC_P99_MAX_MS);
        judge_latency(c, m, "commit of its database", &m->metrics.backend_commit,
                      COMMIT_P99_MAX_MS);
        judge_elections(c, m);
        if (m->metrics.defrags > 0)
            chart_add(c, CARE_NOTE, "defragmenting", m,
                      "%s is defragmenting its database just now", care_called(m, name));
    }
}

static void judge_compaction(struct chart *c, const struct care_habit *h)
{
    if (h->kind == CARE_COMPACTION_NONE)
        chart_add(c, CARE_WARN, "no-compaction", NULL,
                  "nothing compacts the history: %" PRId64
                  " revisions are kept; set --auto-compaction-retention on the members",
                  h->kept);
    else if (h->kind == CARE_COMPACTION_PERIODIC && h->every_s > 0)
        chart_add(c, CARE_NOTE, "compaction", NULL,
                  "history is compacted about every %" PRId64 " minutes; %" PRId64
                  " revisions are kept",
                  (h->every_s + 59) / 60, h->kept);
}

static void judge_backups(struct chart *c)
{
    const struct care_backups *b = c->exam->backups;
    int64_t hours;

    if (b == NULL)
        return;
    if (b->failure != NULL) {
        chart_add(c, CARE_WARN, "backups-unknown", NULL,
                  "whether there is a good backup is not known: %.200s", b->failure);
        return;
    }
    if (b->newest == 0) {
        chart_add(c, CARE_WARN, "no-backup", NULL,
                  "the repository has no proved backup of this cluster");
        return;
    }
    hours = (c->exam->now - b->newest) / 3600;
    if (c->exam->now - b->newest > b->age_max)
        chart_add(c, CARE_WARN, "backup-old", NULL,
                  "the newest proved backup, %" PRIu64 ", is %" PRId64
                  " hours old: all that was written since has no other copy",
                  b->sequence, hours);
    else
        chart_add(c, CARE_NOTE, "backup", NULL,
                  "the newest proved backup, %" PRIu64 ", is %" PRId64 " hours old",
                  b->sequence, hours);
}

void judge_habits(struct chart *c)
{
    const struct care_view *v = c->exam->view;
    const struct care_unfinished *u = c->exam->unfinished;
    bool told = false;

    for (size_t i = 0; i < v->count && c->exam->trends != NULL && !told; i++) {
        size_t before = c->out->count;

        judge_compaction(c, &c->exam->trends[i].habit);
        told = c->out->count > before;
    }
    if (u != NULL)
        chart_add(c, CARE_WARN, "unfinished", NULL,
                  "'holdfast %s' broke off (%.100s); its last step %s: %.120s", u->kind,
                  u->detail, u->step_ended ? "was done" : "was not confirmed",
                  u->last_step[0] == '\0' ? "none" : u->last_step);
    judge_backups(c);
}
