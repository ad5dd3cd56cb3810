#include "tests/unit/repo/den.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "repo/init.h"
#include "repo/upload.h"
#include "util/mem.h"

enum rc den_open(const struct den *d, struct care_store *state,
                 const struct minisign_trust *trust, struct repo **out, struct err *e)
{
    const struct repo_options o = {
        .store = { .url = d->place, .allow_same_filesystem = true },
        .cluster = "prod",
        .state = state,
        .trust = trust,
        .tool = "test 1",
    };

    return repo_open(&o, out, e);
}

static void add_recipient(struct age_recipients *to)
{
    char file[AGE_KEYGEN_SIZE], recipient[AGE_RECIPIENT_SIZE];
    struct err e = { 0 };

    OK(age_keygen(file, recipient, &e), &e);
    OK(age_recipients_add(to, recipient, &e), &e);
}

void den_make(struct den *d)
{
    AT_END(repo_made_clear) struct repo_made made = { 0 };
    OWNED(age_recipients) to = NULL;
    struct err e = { 0 };

    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    d->place = tmpdir_new();
    d->home = tmpdir_new();
    OK(care_store_open(d->home, &d->state, &e), &e);
    OK(age_recipients_new(&to, &e), &e);
    add_recipient(to);
    add_recipient(to);

    const struct repo_init_options o = {
        .store = { .url = d->place, .allow_same_filesystem = true },
        .recipients = to,
        .state = d->state,
    };

    OK(repo_init(&o, &made, &e), &e);
    OK(den_open(d, d->state, NULL, &d->repo, &e), &e);
}

void den_end(struct den *d)
{
    repo_free(d->repo);
    care_store_free(d->state);
}

static void fill(struct manifest *m, const char *key, const char *content,
                 int64_t revision, bool proved)
{
    struct err e = { 0 };
    OWNED(sha256) h = NULL;

    m->etcd_cluster_id = 0xc1;
    m->member_id = 0x11;
    strcpy(m->etcd_version, "3.6.0");
    m->revision = revision;
    m->compact_revision = -1;
    m->hashkv_known = true;
    m->hashkv = 7;
    m->db_size = 20512;
    m->object_size = strlen(content);
    m->object_key = mem_str(key);
    m->proved = proved;
    m->proved_why = mem_str("a test says so");
    OK(sha256_new(&h, &e), &e);
    OK(sha256_add(h, content, strlen(content), &e), &e);
    OK(sha256_end(h, m->object_sha256, &e), &e);
}

static uint64_t append(struct repo_job *j, const char *object, const char *content,
                       int64_t revision, bool proved)
{
    struct record_link at;
    OWNED(record) x = NULL;
    struct err e = { 0 };

    OK(record_new(RECORD_BACKUP, &x, &e), &e);
    OK(manifest_new(&x->backup, &e), &e);
    fill(x->backup, object, content, revision, proved);
    OK(repo_job_append(j, x, &at, &e), &e);
    return at.sequence;
}

uint64_t den_append(struct repo_job *j, const char *content, int64_t revision)
{
    return append(j, "prod/backups/00112233445566ff/snapshot.db.zst", content, revision,
                  true);
}

static uint64_t back_up(struct den *d, const struct repo_job_options *o,
                        const char *content, int64_t revision, bool proved)
{
    AT_END(repo_job_end) struct repo_job j = { 0 };
    struct repo_upload u = { 0 };
    struct err e = { 0 };
    uint64_t sequence;

    OK(repo_job_begin(&j, d->repo, o, &e), &e);
    OK(repo_upload_begin(d->repo, "snapshot.db.zst", &u, &e), &e);
    OK(store_put_bytes(d->repo->store, u.object, NULL, bytes_str(content), &e), &e);
    sequence = append(&j, u.object, content, revision, proved);
    OK(repo_upload_end(d->repo, &u, &e), &e);
    return sequence;
}

uint64_t den_back_up(struct den *d, const char *content, int64_t revision, bool proved)
{
    return back_up(d, &(struct repo_job_options){ 0 }, content, revision, proved);
}

uint64_t den_back_up_as(struct den *d, const char *signing_key, const char *content,
                        int64_t revision)
{
    return back_up(d, &(struct repo_job_options){ .signing_key = signing_key }, content,
                   revision, true);
}

const char *den_key_name(const struct den *d)
{
    static char name[64];

    snprintf(name, sizeof name, "repo-%s.key", d->repo->identity.id);
    return name;
}

struct chain *den_log(struct den *d)
{
    struct chain *log = NULL;
    struct err e = { 0 };

    OK(repo_log(d->repo, &log, &e), &e);
    return log;
}

bool den_has(const struct den *d, const char *key)
{
    struct store_info info;
    struct err e = { 0 };

    return store_stat(d->repo->store, key, &info, &e) == RC_OK;
}

void den_put(struct den *d, const char *key, const char *content)
{
    const struct store_put again = { .replace = true };
    struct err e = { 0 };

    OK(store_put_bytes(d->repo->store, key, &again, bytes_str(content), &e), &e);
}
