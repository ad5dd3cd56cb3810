/* What the doctor's files share. */
#ifndef CARE_DOCTOR_INSIDE_H
#define CARE_DOCTOR_INSIDE_H

#include "care/doctor.h"

/* Bounds, from etcd's own advice where it gives any. */
enum {
    LAG_MAX_ENTRIES = 1000,
    QUOTA_WARN_PERCENT = 80,
    QUOTA_CRITICAL_PERCENT = 95,
    FULL_SOON_DAYS = 14,
    FRAGMENTED_PERCENT = 45, /* OpenShift's rule: and at least 100 MB to gain */
    FRAGMENTED_BYTES = 100000000,
    CERT_WARN_DAYS = 30,
    CERT_CRITICAL_DAYS = 7,
    SKEW_MAX_MS = 1000,
    LEADER_CHANGES_MIN = 4,
    FSYNC_P99_MAX_MS = 16, /* bounds of buckets next above etcd's 10 and 25 ms */
    COMMIT_P99_MAX_MS = 32,
    LATENCY_SAMPLES_MIN = 100,
    DAY_S = 86400,
};

struct chart {
    const struct care_exam *exam;
    struct care_diagnosis *out;
};

/* `m` NULL: about the cluster. What does not fit any more is dropped. */
void chart_add(struct chart *c, enum care_severity severity, const char *code,
               const struct care_member *m, const char *fmt, ...) PRINTF_LIKE(5, 6);
const struct care_finding *chart_has(const struct care_diagnosis *d, const char *code);

/* The rules, each over the whole cluster. */
void judge_quorum(struct chart *c);
void judge_members(struct chart *c);
void judge_data(struct chart *c);
void judge_space(struct chart *c);
void judge_time(struct chart *c);
void judge_disk(struct chart *c);
void judge_habits(struct chart *c);

/* The one thing to do. */
void choose_next(const struct care_exam *x, struct care_diagnosis *d);

#endif
