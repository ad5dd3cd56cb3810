/* One command, with real names, for the gravest finding that a command helps with. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/doctor_inside.h"

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr(".:/_-,[]@%+=", *text) == NULL)
            return false;
    return true;
}

void care_shell_word(char *out, size_t n, const char *text)
{
    char safe[512];
    size_t used = 0;

    str_printable(safe, sizeof safe, bytes_str(text));
    if (text[0] != '\0' && text[0] != '-' && is_plain(safe)) {
        snprintf(out, n, "%s", safe);
        return;
    }
    if (n < 16) {
        snprintf(out, n, "''");
        return;
    }
    out[used++] = '\'';
    for (const char *p = safe; *p != '\0' && used + 6 < n; p++)
        used += (size_t)snprintf(out + used, n - used, *p == '\'' ? "'\\''" : "%c", *p);
    snprintf(out + used, n - used, "'");
}

/* "10.0.0.1" out of "https://10.0.0.1:2379"; "" when there is none. */
static void host_of(const struct care_member *m, char out[static 300])
{
    const char *at = strstr(m->endpoint, "://"), *end;
    char host[256] = "";

    out[0] = '\0';
    if (at == NULL)
        return;
    at += 3;
    end = *at == '[' ? strchr(at, ']') : strrchr(at, ':');
    if (*at == '[')
        at++;
    snprintf(host, sizeof host, "%.*s", end == NULL ? 255 : (int)(end - at), at);
    care_shell_word(out, 300, host);
}

static const struct care_member *trouble(const struct care_view *v, bool voters)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i].state != CARE_UP && (!voters || care_is_voter(&v->items[i])))
            return &v->items[i];
    return NULL;
}

/* How etcd runs there is not known: as a unit of systemd, or in a static pod. */
static bool look_at_host(const struct care_member *m, struct care_diagnosis *d)
{
    char host[300];

    if (m == NULL || (m->state != CARE_DOWN && m->state != CARE_SILENT &&
                      m->state != CARE_FROZEN && m->state != CARE_LOCKED))
        return false;
    host_of(m, host);
    if (host[0] == '\0')
        return false;
    snprintf(d->next, sizeof d->next,
             "ssh %s 'systemctl status etcd || crictl ps -a --name etcd'", host);
    return true;
}

/* One that was added and never came. To take it out needs a quorum. */
static bool next_for_unstarted(const struct care_exam *x, struct care_diagnosis *d)
{
    for (size_t i = 0; d->quorum.has && i < x->view->count; i++) {
        if (!care_never_started(&x->view->items[i]))
            continue;
        snprintf(d->next, sizeof d->next,
                 "holdfast member remove %" PRIx64 " --endpoints %s",
                 x->view->items[i].id, x->endpoints);
        return true;
    }
    return false;
}

/* An endpoint whose data the majority vouches for. */
static const char *agreeing(const struct care_vote *vote)
{
    for (size_t i = 0; vote != NULL && i < vote->count; i++)
        if (vote->items[i].word == CARE_BALLOT_AGREES)
            return vote->items[i].endpoint;
    return NULL;
}

static bool next_for_data(const struct care_exam *x, struct care_diagnosis *d)
{
    const char *from = agreeing(x->vote);
    char word[300];

    if (chart_has(d, "diverged") != NULL && from != NULL) {
        care_shell_word(word, sizeof word, from);
        snprintf(d->next, sizeof d->next,
                 "holdfast snapshot save before-repair.db --endpoints %s", word);
        return true;
    }
    if (chart_has(d, "diverged") == NULL && chart_has(d, "alarm-corrupt") == NULL)
        return false;
    snprintf(d->next, sizeof d->next, "holdfast hash --endpoints %s", x->endpoints);
    return true;
}

/* After compaction and defragmentation only the alarm is left. */
static bool has_room(const struct care_view *v)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct care_member *m = &v->items[i];

        if (!m->answered || m->quota == 0 || m->status.db_size >= m->quota / 10 * 9)
            return false;
    }
    return true;
}

static bool next_for_space(const struct care_exam *x, struct care_diagnosis *d)
{
    bool full = chart_has(d, "alarm-nospace") != NULL;

    if (full && has_room(x->view))
        snprintf(d->next, sizeof d->next,
                 "holdfast alarm disarm --type NOSPACE --endpoints %s", x->endpoints);
    else if (full)
        snprintf(d->next, sizeof d->next, "holdfast space fix --endpoints %s",
                 x->endpoints);
    else if (chart_has(d, "fragmented") != NULL)
        snprintf(d->next, sizeof d->next, "holdfast defrag --cluster --endpoints %s",
                 x->endpoints);
    else if (chart_has(d, "quota-near") != NULL || chart_has(d, "no-compaction") != NULL)
        snprintf(d->next, sizeof d->next,
                 "holdfast compact --keep-revisions 10000 --endpoints %s", x->endpoints);
    else
        return false;
    return true;
}

static bool next_for_certs(const struct care_exam *x, struct care_diagnosis *d)
{
    const struct care_cert *soonest = NULL;
    char word[320];

    if (chart_has(d, "cert-expired") == NULL && chart_has(d, "cert-expiring") == NULL)
        return false;
    for (size_t i = 0; i < x->certs->count; i++)
        if (soonest == NULL || x->certs->items[i].not_after < soonest->not_after)
            soonest = &x->certs->items[i];
    if (soonest == NULL)
        return false;
    if (soonest->server) {
        const char *at = strstr(soonest->at, "://");

        care_shell_word(word, sizeof word, at == NULL ? soonest->at : at + 3);
        snprintf(d->next, sizeof d->next,
                 "openssl s_client -connect %s </dev/null 2>/dev/null | openssl x509 "
                 "-noout -subject -dates",
                 word);
    } else {
        care_shell_word(word, sizeof word, soonest->at);
        snprintf(d->next, sizeof d->next, "openssl x509 -noout -subject -dates -in %s",
                 word);
    }
    return true;
}

void choose_next(const struct care_exam *x, struct care_diagnosis *d)
{
    const struct care_view *v = x->view;

    if (chart_has(d, "cert-expired") != NULL && next_for_certs(x, d))
        return;
    if (d->health == CARE_UNREACHABLE) {
        snprintf(d->next, sizeof d->next,
                 "holdfast status --dial-timeout 10s --endpoints %s", x->endpoints);
        return;
    }
    if (!d->quorum.has && look_at_host(trouble(v, true), d))
        return;
    if (next_for_data(x, d))
        return;
    if (chart_has(d, "alarm-nospace") != NULL && next_for_space(x, d))
        return;
    if (look_at_host(trouble(v, true), d) || look_at_host(trouble(v, false), d))
        return;
    if (next_for_unstarted(x, d))
        return;
    if (next_for_certs(x, d) || next_for_space(x, d))
        return;
    if (chart_has(d, "no-backup") != NULL || chart_has(d, "backup-old") != NULL) {
        snprintf(d->next, sizeof d->next, "holdfast backup %s --endpoints %s",
                 x->backups->options, x->endpoints);
        return;
    }
    if (d->health == CARE_HEALTHY)
        snprintf(d->next, sizeof d->next,
                 "holdfast snapshot save etcd.db.zst --endpoints %s", x->endpoints);
    else
        snprintf(d->next, sizeof d->next, "holdfast status --watch --endpoints %s",
                 x->endpoints);
}
