#include "wal/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/wal/lab.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/os.h"
#include "wal/raft_ids.h"
#include "wal/snapfile.h"

static const char *const urls[] = { "http://127.0.0.1:31001", "http://127.0.0.1:31003",
                                    "http://127.0.0.1:31005" };

/* The three members of the golden restores, in the order of the command line. */
static struct wal_seed golden_seed(struct wal_member members[static 3])
{
    static const char *const names[] = { "m1", "m2", "m3" };
    struct wal_seed seed = {
        .members = members, .member_count = 3, .term = 1, .index = 3
    };
    struct err e = { 0 };
    uint64_t ids[3];

    for (size_t i = 0; i < 3; i++) {
        OK(wal_member_id(&urls[i], 1, "tok-golden", &ids[i], &e), &e);
        members[i] = (struct wal_member){
            .id = ids[i], .name = names[i], .peer_urls = &urls[i], .peer_url_count = 1
        };
    }
    seed.node_id = ids[0];
    OK(wal_cluster_id(ids, 3, &seed.cluster_id, &e), &e);
    return seed;
}

CASE(wal_write, the_log_is_byte_for_byte_that_of_etcdutl)
{
    static const char *const real[] = { "etcd-3.5", "etcd-3.6" };
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);

    for (size_t i = 0; i < 2; i++) {
        struct buf file = { 0 }, log = { 0 };
        struct err e = { 0 };
        char path[256];

        snprintf(path, sizeof path, "%s/restored/" FIRST_SEGMENT ".zst", real[i]);
        golden_file(path, &file);
        OK(wal_seed_log(&seed, &log, &e), &e);
        cr_assert(log.n == 536 && memcmp(log.p, file.p, log.n) == 0, "%s", real[i]);
        buf_clear(&file);
        buf_clear(&log);
    }
}

/* The store without what a restore of etcd adds: events and counters. */
static char *essence(struct bytes store)
{
    OWNED(json) j = NULL;
    struct err e = { 0 };
    char *text = NULL;

    OK(json_parse(store, "store", &j, &e), &e);
    OK(json_render(json_get(j, "Root"), false, &text, &e), &e);
    return text;
}

CASE(wal_write, the_snapshot_file_says_what_that_of_etcdutl_says)
{
    static const char name[] =
        "etcd-3.4/restored/0000000000000001-0000000000000003.snap.zst";
    struct wal_snapshot theirs, ours;
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    struct buf file = { 0 }, b = { 0 };
    struct err e = { 0 };

    golden_file(name, &file);
    OK(snapfile_parse((struct bytes){ file.p, file.n }, &theirs, &e), &e);
    OK(wal_seed_snap(&seed, &b, &e), &e);
    OK(snapfile_parse((struct bytes){ b.p, b.n }, &ours, &e), &e);
    cr_assert(ours.index == theirs.index && ours.term == theirs.term);
    cr_assert_eq(ours.conf.voter_count, 3);
    cr_assert_eq(memcmp(ours.conf.voters, theirs.conf.voters, 24), 0);
    AT_END(mem_end) char *a = essence(ours.store);
    AT_END(mem_end) char *c = essence(theirs.store);

    cr_assert_str_eq(a, c);
    wal_snapshot_clear(&theirs);
    wal_snapshot_clear(&ours);
    buf_clear(&file);
    buf_clear(&b);
}

static const char *written(const struct wal_seed *seed)
{
    const char *path = tmpdir_new();
    OWNED_FD int dir = open(path, O_RDONLY | O_DIRECTORY);
    struct err e = { 0 };

    OK(wal_seed_write(dir, seed, &e), &e);
    OK(wal_seed_write_snap(dir, seed, &e), &e);
    return path;
}

CASE(wal_write, the_files_have_etcds_names_sizes_and_modes)
{
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    const char *dir;
    struct stat st;
    mode_t mask = umask(0);

    dir = written(&seed);
    umask(mask);
    cr_assert_str_eq(dir_listing(dir), "0000000000000000-0000000000000000.wal "
                                       "0000000000000001-0000000000000003.snap");
    cr_assert_eq(stat(path_in(dir, FIRST_SEGMENT), &st), 0);
    cr_assert(st.st_size == 64000000 && (st.st_mode & 0777) == 0600);
    cr_assert_eq(stat(path_in(dir, "0000000000000001-0000000000000003.snap"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

CASE(wal_write, the_reader_agrees_with_learners_and_a_later_index)
{
    static const char *const client[] = { "http://127.0.0.1:31000" };
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    OWNED(snapfile) s = NULL;
    struct wal_change change;
    struct wal_entry entry;
    struct reading r;
    const char *dir;

    members[2].is_learner = true;
    members[0].client_urls = client;
    members[0].client_url_count = 1;
    seed.index = 1000;
    seed.term = 4;
    dir = written(&seed);
    reading_of(&r, dir);
    OK(r.rc, &r.e);
    cr_assert_eq(r.s->verdict, WAL_CLEAN, "%s", r.s->damage.reason);
    cr_assert(r.s->last_index == 1000 && r.s->last_term == 4 && r.s->entry_count == 3);
    cr_assert_eq(r.s->state.vote, members[1].id,
                 "the lowest voter; the lowest is a learner");
    OK(wal_entry_at(r.w, 1, &entry, &r.e), &r.e);
    OK(wal_change_parse(entry.data, &change, &r.e), &r.e);
    cr_assert(change.type == WAL_CHANGE_ADD_LEARNER && change.node_id == members[2].id);
    cr_assert(
        bytes_is(change.context,
                 "{\"id\":4929592047848112471,\"peerURLs\":[\"http://127.0.0.1:31005\"],"
                 "\"isLearner\":true,\"name\":\"m3\"}"));
    OK(snapfile_newest(dir, r.s, &r.f, &s, &r.e), &r.e);
    cr_assert(s->snapshot.conf.learner_count == 1 && s->snapshot.conf.voter_count == 2);
    AT_END(mem_end) char *store = essence(s->snapshot.store);

    cr_assert(strstr(store, "\\\"isLearner\\\":true") != NULL, "%s", store);
    cr_assert(strstr(store, "{\\\"name\\\":\\\"m1\\\",\\\"clientURLs\\\":[") != NULL,
              "%s", store);
    reading_clear(&r);
}

CASE(wal_write, members_with_one_id_are_refused)
{
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    struct buf b = { 0 };
    struct err e = { 0 };

    members[2].id = members[0].id;
    cr_assert_eq(wal_seed_log(&seed, &b, &e), RC_USAGE);
    cr_assert(strstr(e.why, "get the same id f2ad5d56c01f8709") != NULL, "%s", e.why);
    cr_assert_str_eq(e.hint, "give them different peer URLs");
    buf_clear(&b);
}

CASE(wal_write, what_is_no_cluster_is_refused)
{
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members), bad[4];
    struct wal_member learners[3];
    struct buf b = { 0 };

    bad[0] = bad[1] = bad[2] = bad[3] = seed;
    bad[0].node_id = 1;
    bad[1].index = 2;
    bad[2].term = 0;
    memcpy(learners, members, sizeof learners);
    for (size_t i = 0; i < 3; i++)
        learners[i].is_learner = true;
    bad[3].members = learners;
    for (size_t i = 0; i < 4; i++) {
        struct err e = { 0 };

        cr_assert_eq(wal_seed_log(&bad[i], &b, &e), RC_INTERNAL, "seed %zu", i);
        cr_assert_eq(wal_seed_snap(&bad[i], &b, &e), RC_INTERNAL, "seed %zu", i);
    }
    buf_clear(&b);
}

CASE(wal_write, an_existing_file_is_never_overwritten)
{
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    const char *path = tmpdir_new();
    OWNED_FD int dir = open(path, O_RDONLY | O_DIRECTORY);
    struct err e = { 0 };

    put_file(path, FIRST_SEGMENT, "mine", 4);
    put_file(path, "0000000000000001-0000000000000003.snap", "mine", 4);
    cr_assert_eq(wal_seed_write(dir, &seed, &e), RC_REFUSED);
    cr_assert_eq(wal_seed_write_snap(dir, &seed, &e), RC_REFUSED);
}

static enum rc try_write(const char *path, const struct wal_seed *seed, struct err *e)
{
    OWNED_FD int dir = open(path, O_RDONLY | O_DIRECTORY);

    unlinkat(dir, FIRST_SEGMENT, 0);
    unlinkat(dir, "0000000000000001-0000000000000003.snap", 0);
    TRY(wal_seed_write(dir, seed, e));
    return wal_seed_write_snap(dir, seed, e);
}

CASE(wal_write, failing_calls_are_errors, .timeout = 60)
{
    static const struct {
        enum fault_point point;
        int error;
        unsigned runs; /* 0: not counted */
    } sweeps[] = {
        { FAULT_ALLOC, 0, 0 },
        { FAULT_OPEN, 28, 3 },
        { FAULT_WRITE, 28, 3 },
        { FAULT_FSYNC, 5, 5 },
    };
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    const char *path = tmpdir_new();

    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        unsigned runs = 0;

        FAULT_SWEEP(sweeps[i].point, nth, sweeps[i].error) {
            struct err e = { 0 };
            enum rc rc = try_write(path, &seed, &e);

            runs = nth;
            cr_assert(rc == RC_OK || rc == RC_NOMEM || rc == RC_STORAGE, "%zu: call %u",
                      i, nth);
        }
        cr_assert(runs > 2 && (sweeps[i].runs == 0 || runs == sweeps[i].runs), "%zu: %u",
                  i, runs);
    }
}

CASE(wal_write, a_short_write_is_completed)
{
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    struct reading r;

    fault_arm(FAULT_WRITE, 1, 0);
    const char *dir = written(&seed);

    cr_assert(fault_disarm());
    reading_of(&r, dir);
    cr_assert(r.rc == RC_OK && r.s->verdict == WAL_CLEAN && r.s->last_index == 3);
    reading_clear(&r);
}

static int no_fallocate(int fd, int mode, off_t at, off_t n)
{
    (void)fd;
    (void)mode;
    (void)at;
    (void)n;
    errno = EOPNOTSUPP;
    return -1;
}

CASE(wal_write, a_file_system_without_fallocate_gets_a_sparse_file)
{
    struct wal_member members[3];
    struct wal_seed seed = golden_seed(members);
    struct stat st;

    os.fallocate = no_fallocate;
    cr_assert_eq(stat(path_in(written(&seed), FIRST_SEGMENT), &st), 0);
    cr_assert_eq(st.st_size, 64000000);
}
