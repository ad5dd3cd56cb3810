#include "care/metrics.h"

#include <math.h>
#include <string.h>

#include "tests/lib/case.h"

static struct care_metrics read_text(const char *text)
{
    struct care_metrics m;

    care_metrics_read(bytes_str(text), &m);
    return m;
}

CASE(care_metrics, what_etcd_tells_is_found)
{
    struct care_metrics m = read_text(
        "# HELP etcd_server_quota_backend_bytes Current backend storage quota size.\n"
        "# TYPE etcd_server_quota_backend_bytes gauge\n"
        "etcd_server_quota_backend_bytes 2.147483648e+09\n"
        "etcd_server_leader_changes_seen_total 3\n"
        "process_start_time_seconds 1.70000000001e+09\n"
        "etcd_disk_defrag_inflight 1\n");

    cr_assert_eq(m.quota, 2147483648.0);
    cr_assert_eq(m.leader_changes, 3);
    cr_assert_eq(m.started, 1700000000.01);
    cr_assert_eq(m.defrags, 1);
    cr_assert_eq(m.wal_fsync.count, 0);
}

CASE(care_metrics, what_is_not_told_is_negative)
{
    struct care_metrics m = read_text("");

    cr_assert(m.quota < 0 && m.leader_changes < 0 && m.started < 0 && m.defrags < 0);
}

CASE(care_metrics, p99_is_the_bound_of_its_bucket)
{
    struct care_metrics m =
        read_text("etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 900\n"
                  "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"} 980\n"
                  "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.064\"} 990\n"
                  "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"} 1000\n"
                  "etcd_disk_backend_commit_duration_seconds_bucket{le=\"0.001\"} 1\n"
                  "etcd_disk_backend_commit_duration_seconds_bucket{le=\"+Inf\"} 2\n");

    cr_assert_eq(m.wal_fsync.count, 1000);
    cr_assert_float_eq(m.wal_fsync.p99_ms, 64, 1e-9);
    cr_assert(isinf(m.backend_commit.p99_ms), "beyond the last bound");
}

CASE(care_metrics, nonsense_is_passed_over)
{
    struct care_metrics m =
        read_text("etcd_server_quota_backend_bytes NaN\n"
                  "etcd_server_leader_changes_seen_total -5\n"
                  "etcd_server_leader_changes_seen_total_more 5\n"
                  "process_start_time_seconds\n"
                  "etcd_disk_defrag_inflight x\n"
                  "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"x\"} 1\n"
                  "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.1\"} -1\n"
                  "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"NaN\"} 1\n");

    cr_assert(m.quota < 0 && m.leader_changes < 0 && m.started < 0 && m.defrags < 0);
    cr_assert_eq(m.wal_fsync.count, 0);
}

/* A page that is cut anywhere, or whose lines are longer than any of etcd's. */
CASE(care_metrics, a_page_may_end_anywhere)
{
    static const char text[] =
        "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 900\n"
        "process_start_time_seconds 17";
    char line[4096];

    for (size_t n = 0; n < sizeof text; n++) {
        struct care_metrics m;

        care_metrics_read((struct bytes){ (const uint8_t *)text, n }, &m);
        cr_assert(m.started < 0 || n > 60);
    }
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    cr_assert(read_text(line).quota < 0);
}
