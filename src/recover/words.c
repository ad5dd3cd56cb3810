#include "recover/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/doctor.h"
#include "util/mem.h"

enum { LIST_SIZE = 400, WORD_SIZE = 512 };

static void put(char *out, size_t n, const char *between, const char *text)
{
    size_t at = strlen(out);

    snprintf(out + at, n - at, "%s%s", at == 0 ? "" : between, text);
}

/* "m0 and m2" of those that are as `mask` says. */
static const char *names(const struct recover_verdict *v, unsigned mask,
                         char out[static LIST_SIZE])
{
    size_t left = 0;

    out[0] = '\0';
    for (size_t i = 0; i < v->seat_count; i++)
        left += v->seats[i].voter && (mask >> v->seats[i].presence & 1) != 0;
    for (size_t i = 0; i < v->seat_count; i++) {
        char name[80];

        if (!v->seats[i].voter || (mask >> v->seats[i].presence & 1) == 0)
            continue;
        put(out, LIST_SIZE, left == 1 ? " and " : ", ",
            recover_called(v->seats[i].id, v->seats[i].name, name));
        left--;
    }
    return out;
}

enum {
    RUNNING = 1 << RECOVER_SERVES | 1 << RECOVER_ANSWERS | 1 << RECOVER_IN_USE,
    STOPPED = 1 << RECOVER_STOPPED,
    GONE = 1 << RECOVER_MISSING | 1 << RECOVER_UNSOUND | 1 << RECOVER_DOUBTFUL,
};

static const char *word(const char *text, char out[static WORD_SIZE])
{
    care_shell_word(out, WORD_SIZE, text);
    return out;
}

static const char *one_url(const struct recover_verdict *v,
                           const struct recover_seat *seat)
{
    const struct mvcc_member *m =
        v->reference == NULL ? NULL : recover_member_of(v->reference, seat->id);

    if (seat->answer != NULL && seat->answer->endpoint[0] != '\0')
        return seat->answer->endpoint;
    return m != NULL && m->client_urls.count > 0 ? m->client_urls.items[0] : NULL;
}

/* ---- what to run next ---------------------------------------------------------------
 */

static enum rc ask_the_doctor(struct recover_verdict *v, unsigned mask, struct err *e)
{
    char urls[1200] = "", shell[WORD_SIZE];

    for (size_t i = 0; i < v->seat_count; i++) {
        const char *url = one_url(v, &v->seats[i]);

        if (url != NULL && (mask >> v->seats[i].presence & 1) != 0)
            put(urls, sizeof urls, ",", word(url, shell));
    }
    if (urls[0] == '\0')
        return str_format(&v->next, e, "holdfast doctor");
    return str_format(&v->next, e, "holdfast doctor --endpoints %s", urls);
}

/* A command about the copies that were given, but for those that did not help. */
static size_t list_copies(const struct recover_scene *s, const struct recover_verdict *v,
                          char *out, size_t n)
{
    char shell[WORD_SIZE];
    size_t directories = 0;

    for (size_t i = 0; i < s->copies->count; i++) {
        const struct recover_copy *c = &s->copies->items[i];
        const char *at = c->statement != NULL ? c->statement : c->path;

        if (!c->readable || (v->tied && c->cluster_id != v->cluster_id))
            continue;
        if (c->kind == RECOVER_SNAPSHOT)
            put(out, n, " ", "--backup");
        directories += c->kind == RECOVER_DIRECTORY;
        put(out, n, " ", word(at, shell));
        if (c->wal_dir != NULL && c->statement == NULL) {
            put(out, n, " ", "--wal-dir");
            put(out, n, " ", word(c->wal_dir, shell));
        }
    }
    return directories;
}

/* Without a database, and with a log that no state can be made of. */
static bool is_log_only(const struct recover_copy *c)
{
    return strcmp(c->verdict, "no-data") == 0 && c->index > 0;
}

static void from_log(const struct recover_copy *c, char *out, size_t n)
{
    char shell[WORD_SIZE];

    snprintf(out, n, "holdfast snapshot log");
    put(out, n, " ", word(c->path, shell));
    if (c->wal_dir != NULL) {
        put(out, n, " ", "--wal-dir");
        put(out, n, " ", word(c->wal_dir, shell));
    }
}

/* The same question again, for when more is known. */
static enum rc assess_again(const struct recover_scene *s, struct recover_verdict *v,
                            struct err *e)
{
    char text[3000] = "holdfast assess";

    if (list_copies(s, v, text, sizeof text) == 0)
        put(text, sizeof text, " ", "DIR...");
    return str_format(&v->next, e, "%s", text);
}

/* On the host where the best copy lies: there a statement's directory is itself. */
static enum rc plan_it(const struct recover_scene *s, struct recover_verdict *v,
                       struct err *e)
{
    char text[3000] = "holdfast recover --plan plan.json", shell[WORD_SIZE];

    if (v->best->statement == NULL)
        list_copies(s, v, text, sizeof text);
    else
        put(text, sizeof text, " ", word(v->best->path, shell));
    return str_format(&v->next, e, "%s", text);
}

/* A state can be made of it, if not without loss. */
static bool can_be_applied(const struct recover_copy *c)
{
    return c->kind == RECOVER_DIRECTORY && c->tail_known;
}

/* Of a directory whose log is not whole, what there is. */
static void from_directory(const struct recover_copy *c, char *out, size_t n)
{
    char shell[WORD_SIZE];

    snprintf(out, n, "holdfast snapshot from-data-dir");
    put(out, n, " ", word(c->path, shell));
    if (c->wal_dir != NULL) {
        put(out, n, " ", "--wal-dir");
        put(out, n, " ", word(c->wal_dir, shell));
    }
    if (!c->ok)
        put(out, n, " ", "--allow-damaged-wal");
    put(out, n, " ", "-o recovered.db");
}

/* One whose database is sound comes before one that must be salvaged. */
static const struct recover_copy *newest_damaged(const struct recover_verdict *v)
{
    const struct recover_copy *found = NULL;

    for (size_t i = 0; i < v->ranked_count; i++) {
        const struct recover_copy *c = v->ranked[i].copy;

        if (v->ranked[i].standing == RECOVER_DAMAGED &&
            (found == NULL || (can_be_applied(c) && !can_be_applied(found))))
            found = c;
    }
    return found;
}

static enum rc next_when_lost(const struct recover_scene *s, struct recover_verdict *v,
                              struct err *e)
{
    const struct recover_copy *c = v->best != NULL ? v->best : newest_damaged(v);
    char text[2 * WORD_SIZE + 120], path[WORD_SIZE];

    if (c == NULL || c->in_use)
        return assess_again(s, v, e);
    if (v->best != NULL)
        return plan_it(s, v, e);
    word(c->path, path);
    if (can_be_applied(c))
        from_directory(c, text, sizeof text);
    else
        snprintf(text, sizeof text, "holdfast snapshot salvage %s -o saved.db", path);
    return str_format(&v->next, e, "%s", text);
}

/* ---- why ----------------------------------------------------------------------------
 */

static enum rc why_unknown(struct recover_verdict *v, struct err *e)
{
    char list[LIST_SIZE];

    if (v->tied)
        return str_format(&v->why, e,
                          "the directories are of %zu clusters, and nothing tells which "
                          "one is meant: assess those of one cluster at a time",
                          v->clusters);
    if (v->seat_count == 0)
        return str_format(&v->why, e,
                          "no member answers, and no copy tells who belongs to the "
                          "cluster");
    if (names(v, 1 << RECOVER_DOUBTFUL, list)[0] != '\0')
        return str_format(&v->why, e,
                          "%s may be alive, though no answer was had: silent, or TLS or "
                          "permissions keep us out (--cacert, --cert, --key, --user let "
                          "us in); until that is known, build no new cluster",
                          list);
    return str_format(
        &v->why, e,
        "%zu of %zu voters run, %zu are needed; whether starting the others "
        "brings quorum back, their data directories must tell",
        v->now.up, v->now.voters, v->now.needed);
}

static enum rc why_startable(struct recover_verdict *v, struct err *e)
{
    char list[LIST_SIZE];

    return str_format(&v->why, e,
                      "quorum is not lost: %zu of %zu voters are needed, %zu run, and "
                      "%s can be started, with the data directory as it is; start etcd "
                      "there as it was started before, and build no new cluster: "
                      "nothing that was acknowledged is missing then",
                      v->now.needed, v->now.voters, v->now.up, names(v, STOPPED, list));
}

static void describe(const struct recover_copy *c, char *out, size_t n)
{
    char name[80], path[200];

    str_printable(path, sizeof path, bytes_str(c->path));
    if (c->kind == RECOVER_SNAPSHOT)
        snprintf(out, n, "the snapshot %s", path);
    else if (c->member_id == 0)
        snprintf(out, n, "%s", path);
    else
        snprintf(
            out, n, "%s of %s%s%s", path, recover_called(c->member_id, c->name, name),
            c->statement == NULL ? "" : " on host ", c->statement == NULL ? "" : c->host);
}

/* The newest sound copy of the other kind, for the comparison everybody asks for. */
static const struct recover_copy *other_kind(const struct recover_verdict *v)
{
    for (size_t i = 0; v->best != NULL && i < v->ranked_count; i++)
        if (v->ranked[i].standing == RECOVER_CANDIDATE &&
            v->ranked[i].copy->kind != v->best->kind)
            return v->ranked[i].copy;
    return NULL;
}

static void backup_or_survivor(const struct recover_verdict *v, char *out, size_t n)
{
    const struct recover_copy *other = other_kind(v);
    int64_t more;

    out[0] = '\0';
    if (other == NULL)
        return;
    more = recover_revision(v->best) - recover_revision(other);
    if (more <= 0)
        snprintf(out, n, "; the newest %s has the same revision",
                 v->best->kind == RECOVER_SNAPSHOT ? "member's copy" : "snapshot");
    else if (v->best->kind == RECOVER_SNAPSHOT)
        snprintf(out, n,
                 "; it is newer than every member's copy, by %" PRId64
                 " revisions that were acknowledged and are nowhere else",
                 more);
    else
        snprintf(out, n, "; the newest snapshot ends %" PRId64 " revisions before it",
                 more);
}

static void why_this_one(const struct recover_verdict *v, char *out, size_t n)
{
    const struct recover_copy *c = v->best;
    char what[400], than[200], term[48] = "";
    int64_t revision = recover_revision(c);

    describe(c, what, sizeof what);
    backup_or_survivor(v, than, sizeof than);
    if (c->term_known)
        snprintf(term, sizeof term, " of term %" PRIu64, c->term);
    if (c->in_use)
        snprintf(out, n,
                 "the newest copy is %s, whose last entry is %" PRIu64
                 "%s; but an etcd has it open: stop it, and assess again",
                 what, c->index, term);
    else
        snprintf(out, n,
                 "the newest copy is %s: its last entry is %" PRIu64
                 "%s, revision %" PRId64 "%s",
                 what, c->index, term, revision, than);
}

/* "m1 and m2 would have to come back", or some of them. */
static void who_must_return(const struct recover_verdict *v, char *out, size_t n)
{
    size_t have = v->now.up + v->startable, gone = v->now.voters - have;
    size_t more = v->now.needed > have ? v->now.needed - have : 1;
    char list[LIST_SIZE];

    names(v, GONE, list);
    if (more >= gone)
        snprintf(out, n, "%s would have to come back", list);
    else
        snprintf(out, n, "%zu of %s would have to come back", more, list);
}

static enum rc why_lost(struct recover_verdict *v, struct err *e)
{
    char gone[LIST_SIZE + 60], choice[1200];

    if (v->best != NULL)
        why_this_one(v, choice, sizeof choice);
    else if (newest_damaged(v) != NULL)
        snprintf(choice, sizeof choice,
                 "no copy is sound; what the newest of the damaged ones still holds can "
                 "be taken out of it, with a list of what is missing");
    else
        snprintf(choice, sizeof choice, "and there is no copy to build a new one on");
    who_must_return(v, gone, sizeof gone);
    return str_format(
        &v->why, e,
        "quorum is lost: %zu of %zu voters must run, and %zu do or could be "
        "started; %s; %s",
        v->now.needed, v->now.voters, v->now.up + v->startable, gone, choice);
}

static enum rc why(const struct recover_scene *s, struct recover_verdict *v,
                   struct err *e)
{
    switch (v->state) {
    case RECOVER_HAS:
        TRY(str_format(&v->why, e,
                       "the cluster has quorum: %zu of %zu voters run, %zu are needed; a "
                       "member that is gone is replaced, and nothing is restored",
                       v->now.up, v->now.voters, v->now.needed));
        return ask_the_doctor(v, RUNNING, e);
    case RECOVER_RUNS:
        TRY(str_format(
            &v->why, e,
            "a majority runs (%zu of %zu voters), but no linearizable read was "
            "seen to finish: they may have no leader, or cannot be reached "
            "from here",
            v->now.up, v->now.voters));
        return ask_the_doctor(v, RUNNING, e);
    case RECOVER_STARTABLE:
        TRY(why_startable(v, e));
        return ask_the_doctor(v, RUNNING | STOPPED, e);
    case RECOVER_UNKNOWN:
        TRY(why_unknown(v, e));
        return assess_again(s, v, e);
    case RECOVER_LOST:
        break;
    }
    TRY(why_lost(v, e));
    return next_when_lost(s, v, e);
}

/* ---- what else is worth knowing -----------------------------------------------------
 */

static enum rc note_on_tail(struct recover_verdict *v, struct err *e)
{
    const struct recover_copy *c = v->best;

    if (v->state != RECOVER_LOST || c == NULL || c->kind != RECOVER_DIRECTORY ||
        c->index <= c->commit)
        return RC_OK;
    return str_list_format(
        &v->notes, e,
        "%" PRIu64 " entries at the end of the newest log lie behind what it knows "
        "to be committed (%" PRIu64 "): that mark lags behind what clients were "
        "told, so they are kept; they may also hold writes whose clients were "
        "never answered",
        c->index - c->commit, c->commit);
}

/* One that runs may be ahead of all that was given. */
static enum rc note_on_running(struct recover_verdict *v, struct err *e)
{
    for (size_t i = 0; i < v->seat_count; i++) {
        const struct recover_seat *seat = &v->seats[i];
        char name[80];

        if (v->state != RECOVER_LOST || seat->answer == NULL || !seat->answer->answered ||
            seat->copy != NULL)
            continue;
        recover_called(seat->id, seat->name, name);
        TRY(str_list_format(
            &v->notes, e,
            "%s still runs, at entry %" PRIu64
            "%s: its data directory was not given, and may be the newest; on its "
            "host run `holdfast assess DIR --export FILE`",
            name, seat->answer->status.raft_index,
            v->best != NULL && seat->answer->status.raft_index > v->best->index
                ? ", beyond the newest copy"
                : ""));
    }
    return RC_OK;
}

static enum rc note_on_missing(struct recover_verdict *v, struct err *e)
{
    char list[LIST_SIZE];

    if (v->state != RECOVER_LOST || names(v, 1 << RECOVER_MISSING, list)[0] == '\0')
        return RC_OK;
    return str_list_format(
        &v->notes, e,
        "%s: nobody answers, and no directory was given; if a disk of theirs can "
        "be found, assess it too before anything else",
        list);
}

/* The first error, where there is one, says more than the first note. */
static const char *worst_of(const struct recover_copy *c)
{
    for (size_t i = 0; i < c->note_count; i++)
        if (c->notes[i].severity == FINDING_ERROR)
            return c->notes[i].message;
    return "no reason was told";
}

/* It may reach further than the best of the sound ones. */
static enum rc note_on_damaged(struct recover_verdict *v, const struct recover_copy *c,
                               const char *what, struct err *e)
{
    char command[2 * WORD_SIZE + 120];

    TRY(str_list_format(&v->notes, e, "%s is damaged: %s", what, worst_of(c)));
    if (is_log_only(c)) {
        from_log(c, command, sizeof command);
        return str_list_format(&v->notes, e,
                               "no cluster can be built on that log, but what was "
                               "written lately is in it: `%s` lists it",
                               command);
    }
    if (v->best == NULL || !can_be_applied(c) || recover_compare(c, v->best) >= 0)
        return RC_OK;
    from_directory(c, command, sizeof command);
    return str_list_format(
        &v->notes, e,
        "as far as it can be read it goes %" PRId64
        " revisions beyond the newest sound copy: `%s` takes them, and lists what "
        "cannot be known",
        recover_revision(c) - recover_revision(v->best), command);
}

static enum rc note_on_copy(struct recover_verdict *v, const struct recover_ranked *r,
                            struct err *e)
{
    char what[400];

    describe(r->copy, what, sizeof what);
    switch (r->standing) {
    case RECOVER_CANDIDATE:
        return r->copy->kind == RECOVER_DIRECTORY && !r->copy->startable &&
                       !r->copy->in_use
                   ? str_list_format(
                         &v->notes, e,
                         "%s can be built on, but etcd would not start on it as it is",
                         what)
                   : RC_OK;
    case RECOVER_DAMAGED:
        return note_on_damaged(v, r->copy, what, e);
    case RECOVER_TWIN:
        return str_list_format(
            &v->notes, e,
            "%s is a second copy, and no newer one, of a member: never start etcd "
            "on it, the member may have promised more since",
            what);
    case RECOVER_REMOVED:
        return str_list_format(
            &v->notes, e,
            "%s is set apart: the cluster as the newest copy knows it does not "
            "have this member",
            what);
    case RECOVER_FOREIGN:
        if (r->copy->kind == RECOVER_SNAPSHOT)
            return str_list_format(
                &v->notes, e, "%s is set apart: none of its members is of this cluster",
                what);
        return str_list_format(&v->notes, e,
                               "%s is set apart: it is of another cluster, %" PRIx64,
                               what, r->copy->cluster_id);
    case RECOVER_UNREADABLE:
        break;
    }
    return str_list_format(&v->notes, e, "%s could not be read: %s", what,
                           worst_of(r->copy));
}

static enum rc note_on_strangers(const struct recover_scene *s, struct recover_verdict *v,
                                 struct err *e)
{
    if (s->view == NULL || s->view->cluster_id == 0 ||
        s->view->cluster_id == v->cluster_id)
        return RC_OK;
    return str_list_format(
        &v->notes, e,
        "the endpoints answer for another cluster, %" PRIx64
        ": what they say was set aside; if it is this one's successor, it was "
        "recovered already",
        s->view->cluster_id);
}

enum rc recover_words(const struct recover_scene *s, struct recover_verdict *v,
                      struct err *e)
{
    TRY(why(s, v, e));
    TRY(note_on_running(v, e));
    TRY(note_on_missing(v, e));
    TRY(note_on_tail(v, e));
    for (size_t i = 0; i < v->ranked_count; i++)
        TRY(note_on_copy(v, &v->ranked[i], e));
    return note_on_strangers(s, v, e);
}
