/* What ails a cluster, and the one thing to do next. Pure: facts in, findings out, so
 * that every rule is a row of a table in tests/unit/care/test_doctor.c. */
#ifndef CARE_DOCTOR_H
#define CARE_DOCTOR_H

#include "care/certs.h"
#include "care/journal.h"
#include "care/samples.h"
#include "care/vote.h"

/* What the samples tell of one member of the view. */
struct care_trend {
    struct care_forecast forecast;
    struct care_habit habit;
};

/* The backups of the cluster, as whoever looked at its repository tells. */
struct care_backups {
    const char *failure; /* why it could not be looked at, or its log not be believed;
                          * NULL: all is known */
    int64_t newest;      /* when the newest proved one was made, Unix time; 0: none */
    uint64_t sequence;   /* of it */
    int64_t age_max;     /* seconds; an older one is a finding */
    const char *options; /* that name the repository in a command; quoted */
};

struct care_exam {
    const struct care_view *view;
    const struct care_vote *vote; /* NULL: it could not be taken */
    const char *vote_failure;     /* then why; NULL when nobody was asked */
    const struct care_certs *certs;
    const struct care_trend *trends;          /* one a member of the view; may be NULL */
    const struct care_unfinished *unfinished; /* NULL: nothing broke off */
    const struct care_backups *backups;       /* NULL: no repository was named */
    const char *endpoints; /* as the user gave them, for commands to paste; quoted */
    int64_t now;           /* Unix time in seconds */
};

enum care_severity {
    CARE_NOTE,     /* worth knowing */
    CARE_WARN,     /* act soon */
    CARE_CRITICAL, /* act now */
};
const char *care_severity_name(enum care_severity s); /* "note" "warning" "critical" */

/* Codes are for scripts:
 *     unreachable quorum-lost no-leader reads-hang member-down quorum-edge
 *     single-member even-voters lagging diverged hash-unknown alarm-nospace alarm-corrupt
 * alarm-of-the-gone quota-near quota-forecast fragmented cert-expired cert-expiring
 * clock-skew leader-changes slow-disk version-mixed version-unsafe no-compaction
 * compaction unfinished learner defragmenting no-backup backup-old backup backups-unknown
 */
struct care_finding {
    const char *code;
    enum care_severity severity;
    uint64_t member; /* whom it is about; 0: the cluster */
    char message[400];
};

enum care_health { CARE_HEALTHY, CARE_DEGRADED, CARE_NO_QUORUM, CARE_UNREACHABLE };
const char *care_health_name(enum care_health h);

enum { CARE_FINDINGS_MAX = 200 };

struct care_diagnosis {
    enum care_health health;
    struct quorum quorum;
    struct care_finding *items; /* the most severe first */
    size_t count;
    char next[600]; /* a command, ready to paste */
};
void care_diagnosis_clear(struct care_diagnosis *d);

/* RC_NOMEM only. */
enum rc care_diagnose(const struct care_exam *x, struct care_diagnosis *out,
                      struct err *e);

/* RC_OK, RC_DEGRADED, or RC_NET when no member could be reached. */
enum rc care_diagnosis_result(const struct care_diagnosis *d, struct err *e);

/* `text` as one word of a shell, whatever is in it: what members advertise must not
 * become a command when it is pasted. */
void care_shell_word(char *out, size_t n, const char *text);

#endif
