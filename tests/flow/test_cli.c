/* What scripts rely on: exit codes, JSON fields, pipes, modes; and that nothing of the
 * user's is overwritten or changed. */
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/sha256.h"
#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "util/os.h"

/* A cluster with a history, and of it x.db and x.db.zst.age, key beside them. */
struct scene {
    struct cluster c;
    const char *db, *sealed, *key, *at;
    char recipient[128];
};

static void scene_end(struct scene *s)
{
    cluster_stop(&s->c);
}
#define SCENE [[gnu::cleanup(scene_end)]] struct scene

static void scene_set(struct scene *s, const struct cluster_backend *b)
{
    static char texts[4][600];
    OWNED(wire_client) w = NULL;

    cluster_start(&s->c, b, NULL);
    flow_connect(&s->c, &w);
    history_make(w, 11);
    snprintf(s->recipient, sizeof s->recipient, "%s", flow_keygen(s->c.dir));
    snprintf(texts[0], sizeof texts[0], "%s/x.db", s->c.dir);
    snprintf(texts[1], sizeof texts[1], "%s/x.db.zst.age", s->c.dir);
    snprintf(texts[2], sizeof texts[2], "%s/key", s->c.dir);
    snprintf(texts[3], sizeof texts[3], "%s", cluster_endpoints(&s->c));
    s->db = texts[0];
    s->sealed = texts[1];
    s->key = texts[2];
    s->at = texts[3];
    TOOL(p, 0, "snapshot", "save", s->db, "--endpoints", s->at);
    TOOL(q, 0, "snapshot", "save", s->sealed, "--endpoints", s->at, "-r", s->recipient);
}

/* All that a file is, by content and inode; atime may move. */
struct imprint {
    struct stat st;
    uint8_t sha256[SHA256_SIZE];
};

static struct imprint imprint_of(const char *path)
{
    static uint8_t piece[1 << 16];
    OWNED(sha256) hash = NULL;
    OWNED_FD int fd = -1;
    struct imprint i = { 0 };
    struct err e = { 0 };
    ssize_t n;

    OK(os_open(AT_FDCWD, path, O_RDONLY, 0, &fd, &e), &e);
    cr_assert_eq(fstat(fd, &i.st), 0);
    OK(sha256_new(&hash, &e), &e);
    while ((n = os.read(fd, piece, sizeof piece)) > 0)
        OK(sha256_add(hash, piece, (size_t)n, &e), &e);
    OK(sha256_end(hash, i.sha256, &e), &e);
    return i;
}

static void unchanged(const char *path, const struct imprint *was, const char *what)
{
    struct imprint is = imprint_of(path);

    cr_assert(memcmp(is.sha256, was->sha256, SHA256_SIZE) == 0, "%s changed %s", what,
              path);
    cr_assert(is.st.st_mtim.tv_sec == was->st.st_mtim.tv_sec &&
                  is.st.st_mtim.tv_nsec == was->st.st_mtim.tv_nsec &&
                  is.st.st_ctim.tv_sec == was->st.st_ctim.tv_sec &&
                  is.st.st_ctim.tv_nsec == was->st.st_ctim.tv_nsec &&
                  is.st.st_ino == was->st.st_ino && is.st.st_mode == was->st.st_mode,
              "%s touched %s", what, path);
}

EACH_BACKEND(cli, nothing_is_overwritten)
{
    SCENE s = { 0 };
    const char *dir, *plan;
    struct imprint db, key, was;

    scene_set(&s, b);
    db = imprint_of(s.db);
    key = imprint_of(s.key);
    TOOL(save, 5, "snapshot", "save", s.db, "--endpoints", s.at);
    unchanged(s.db, &db, "save");
    TOOL(keygen, 5, "keygen", "-o", s.key);
    unchanged(s.key, &key, "keygen");
    plan = path_in(s.c.dir, "plan");
    TOOL(plan1, 0, "restore", s.db, "--write-plan", plan);
    was = imprint_of(plan);
    TOOL(plan2, 5, "restore", s.db, "--write-plan", plan);
    unchanged(plan, &was, "--write-plan");
    dir = path_in(s.c.dir, "full");
    cr_assert_eq(mkdir(dir, 0700), 0);
    TOOL(touch, 0, "keygen", "-o", path_in(dir, "mine"));
    TOOL(full, 5, "restore", s.db, "--data-dir", dir);
    cr_assert_str_eq(dir_listing(dir), "mine");
    dir = path_in(s.c.dir, "empty");
    cr_assert_eq(mkdir(dir, 0700), 0);
    TOOL(empty, 0, "restore", s.db, "--data-dir", dir);
    TOOL(again, 5, "restore", s.db, "--data-dir", dir);
    cr_assert_str_eq(dir_listing(s.c.dir),
                     "empty full key m0 m0.log plan x.db x.db.zst.age");
}

/* ---- exit codes ----------------------------------------------------------------------
 */

static const char *damaged_copy(const struct scene *s)
{
    const char *path = path_in(s->c.dir, "bad.db");
    char line[2048];

    snprintf(line, sizeof line,
             "cp '%s' '%s' && printf '\\377' | dd of='%s' bs=1 seek=9001 conv=notrunc "
             "status=none",
             s->db, path, path);
    PEER(p, "sh", "-c", line);
    return path;
}

EACH_BACKEND(cli, exit_codes_tell_what_to_do)
{
    SCENE s = { 0 };
    const char *out, *bad, *dir, *other;

    scene_set(&s, b);
    out = path_in(s.c.dir, "out.db");
    dir = path_in(s.c.dir, "r");
    bad = damaged_copy(&s);
    other = path_in(s.c.dir, "other");
    TOOL(made, 0, "keygen", "-o", other);
    const struct {
        int status;
        const char *args[10];
    } table[] = {
        { 2, { "snapshot", "save" } },
        { 2, { "snapshot", "save", out, "--no-such-option" } },
        { 2, { "snapshot", "save", path_in(s.c.dir, "o.db.age"), "--endpoints", s.at } },
        { 2, { "snapshot", "save", out, "-r", "age1nonsense", "--endpoints", s.at } },
        { 2, { "snapshot", "verify", s.db, "--level", "some" } },
        { 2, { "snapshot", "hashkv", s.db, "--rev", "-1" } },
        { 2, { "restore", s.db, "--data-dir", dir, "--bump-revision", "much" } },
        { 2,
          { "restore", s.db, "--data-dir", dir, "--name", "a", "--initial-cluster",
            "a=http://127.0.0.1:1,b=http://127.0.0.1:2" } },
        { 3, { "snapshot", "verify", bad } },
        { 3, { "snapshot", "verify", bad, "--level", "trailer" } },
        { 3, { "restore", bad, "--data-dir", dir } },
        { 4, { "snapshot", "save", out, "--endpoints", "127.0.0.1:1" } },
        { 10, { "snapshot", "status", out } },
        { 10, { "snapshot", "verify", out } },
        { 10, { "restore", out, "--data-dir", dir } },
        { 10, { "snapshot", "save", out, "--from", "follower", "--endpoints", s.at } },
        { 12, { "snapshot", "verify", s.sealed } },
        { 12, { "snapshot", "status", s.sealed, "-i", other } },
        { 12, { "restore", s.sealed, "--data-dir", dir, "-i", other } },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
        const char *argv[12] = { HOLDFAST_BIN };

        for (size_t k = 0; table[i].args[k] != NULL; k++)
            argv[k + 1] = table[i].args[k];
        flow_tool(&p, table[i].status, NULL, argv);
        cr_assert(strncmp(p.err, "holdfast: ", 10) == 0 && strstr(p.err, "  next: "),
                  "%s: %s", argv[1], p.err);
    }
    cr_assert_str_eq(dir_listing(s.c.dir),
                     "bad.db key m0 m0.log other x.db x.db.zst.age");
}

/* ---- JSON ----------------------------------------------------------------------------
 */

static void has_fields(const struct proc *p, const char *const *fields)
{
    OWNED(json) o = NULL;

    flow_json(p, &o);
    for (; *fields != NULL; fields++)
        cr_assert_not_null(json_get(o, *fields), "no '%s' in %s", *fields, p->out);
}
#define HAS_FIELDS(p, ...) has_fields(p, (const char *const[]){ __VA_ARGS__, NULL })

EACH_BACKEND(cli, json_has_its_fields)
{
    SCENE s = { 0 };

    scene_set(&s, b);
    TOOL(save, 0, "snapshot", "save", path_in(s.c.dir, "y.db.zst"), "--endpoints", s.at,
         "--json");
    HAS_FIELDS(&save, "file", "revision", "size", "stored_size", "sha256", "hashkv",
               "member", "member_hex", "endpoint", "took_seconds", "proved");
    TOOL(status, 0, "snapshot", "status", s.db, "-w", "json");
    HAS_FIELDS(&status, "hash", "revision", "totalKey", "totalSize", "version",
               "live_keys", "records");
    TOOL(verify, 0, "snapshot", "verify", s.sealed, "-i", s.key, "--json");
    HAS_FIELDS(&verify, "ok", "level", "revision", "compact_revision", "hashkv",
               "live_keys", "sha256", "storage_version", "findings");
    TOOL(hashkv, 0, "snapshot", "hashkv", s.sealed, "-i", s.key, "--json");
    HAS_FIELDS(&hashkv, "hash", "hashRevision", "compactRevision");
    TOOL(restore, 0, "restore", s.sealed, "-i", s.key, "--data-dir",
         path_in(s.c.dir, "r"), "--json");
    HAS_FIELDS(&restore, "data_dir", "cluster_id", "cluster_id_hex", "member",
               "member_hex", "token", "revision", "bumped_by", "hashkv");
    TOOL(plan, 0, "restore", s.db, "--write-plan", path_in(s.c.dir, "plan"), "--json");
    HAS_FIELDS(&plan, "plan", "cluster_id", "revision", "bumped_by");
    TOOL(cat, 0, "version", "--json");
    HAS_FIELDS(&cat, "version");
    PEER(written, "cat", path_in(s.c.dir, "plan"));
    HAS_FIELDS(&written, "plan_id", "cluster_id", "steps", "members");
}

/* All commands agree about the same snapshot, in whatever wrapping. */
EACH_BACKEND(cli, commands_agree_with_each_other)
{
    SCENE s = { 0 };
    const char *again;

    scene_set(&s, b);
    again = path_in(s.c.dir, "again.db");
    TOOL(save, 0, "snapshot", "save", again, "--endpoints", s.at, "--json");
    TOOL(verify, 0, "snapshot", "verify", again, "--json");
    TOOL(sealed, 0, "snapshot", "verify", s.sealed, "-i", s.key, "--json");
    TOOL(hashkv, 0, "snapshot", "hashkv", s.sealed, "-i", s.key, "--json");
    OWNED(json) j1 = NULL;
    OWNED(json) j2 = NULL;
    OWNED(json) j3 = NULL;
    OWNED(json) j4 = NULL;

    flow_json(&save, &j1);
    flow_json(&verify, &j2);
    flow_json(&sealed, &j3);
    flow_json(&hashkv, &j4);
    cr_assert_eq(flow_number(j1, "hashkv"), flow_number(j2, "hashkv"), "%s", b->name);
    cr_assert_eq(flow_number(j1, "hashkv"), flow_number(j3, "hashkv"), "%s", b->name);
    cr_assert_eq(flow_number(j1, "hashkv"), flow_number(j4, "hash"), "%s", b->name);
    cr_assert_eq(flow_number(j1, "revision"), flow_number(j3, "revision"), "%s", b->name);
    cr_assert_eq(flow_number(j1, "live_keys"), flow_number(j3, "live_keys"));
    cr_assert_str_eq(flow_text(j1, "sha256"), flow_text(j2, "sha256"));
}

/* ---- pipes ---------------------------------------------------------------------------
 */

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void shell(const char *fmt, ...)
{
    char line[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    PEER(p, "bash", "-o", "pipefail", "-c", line);
}

EACH_BACKEND(cli, dash_is_a_pipe)
{
    SCENE s = { 0 };
    const char *h = HOLDFAST_BIN, *dir;

    scene_set(&s, b);
    dir = s.c.dir;
    shell("%s snapshot save - --endpoints %s | %s snapshot verify -", h, s.at, h);
    shell("%s snapshot save - --endpoints %s | zstd -q | age -r %s | "
          "%s snapshot verify - -i %s --level full",
          h, s.at, s.recipient, h, s.key);
    shell("%s snapshot save - --endpoints %s > %s/piped.db", h, s.at, dir);
    shell("%s snapshot status - < %s", h, s.db);
    shell("%s snapshot hashkv - -i %s < %s", h, s.key, s.sealed);
    shell("%s restore - -i %s --data-dir %s/r < %s", h, s.key, dir, s.sealed);
    TOOL(v, 0, "snapshot", "verify", path_in(dir, "piped.db"));
    cr_assert_str_eq(dir_listing(dir), "key m0 m0.log piped.db r x.db x.db.zst.age");
}

/* ---- modes ---------------------------------------------------------------------------
 */

static int check_mode(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    mode_t want = kind == FTW_D ? 0700 : 0600;

    (void)at;
    cr_assert_eq(st->st_mode & 07777, want, "%s has mode %o", path, st->st_mode & 07777);
    return 0;
}

static void private_under(const struct scene *s, mode_t mask, const char *prefix)
{
    char names[4][640];
    mode_t old;

    snprintf(names[0], sizeof names[0], "%s/%s.db", s->c.dir, prefix);
    snprintf(names[1], sizeof names[1], "%s/%s.key", s->c.dir, prefix);
    snprintf(names[2], sizeof names[2], "%s/%s.plan", s->c.dir, prefix);
    snprintf(names[3], sizeof names[3], "%s/%s.dir", s->c.dir, prefix);
    old = umask(mask);
    TOOL(save, 0, "snapshot", "save", names[0], "--endpoints", s->at);
    TOOL(keygen, 0, "keygen", "-o", names[1]);
    TOOL(plan, 0, "restore", s->db, "--write-plan", names[2]);
    TOOL(restore, 0, "restore", s->db, "--data-dir", names[3]);
    umask(old);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(nftw(names[i], check_mode, 8, FTW_PHYS), 0, "%s", names[i]);
}

EACH_BACKEND(cli, what_is_written_is_for_its_owner_alone)
{
    SCENE s = { 0 };

    scene_set(&s, b);
    private_under(&s, 0, "open");
    private_under(&s, 0777, "shut");
}

/* ---- inputs --------------------------------------------------------------------------
 */

static void read_every_way(const struct scene *s, const char *file, const char *dir)
{
    static const char *const levels[] = { "trailer", "pages", "full" };

    for (size_t i = 0; i < 3; i++) {
        TOOL(p, 0, "snapshot", "verify", file, "-i", s->key, "--level", levels[i]);
    }
    TOOL(status, 0, "snapshot", "status", file, "-i", s->key);
    TOOL(hashkv, 0, "snapshot", "hashkv", file, "-i", s->key);
    TOOL(restore, 0, "restore", file, "-i", s->key, "--data-dir", dir);
}

EACH_BACKEND(cli, inputs_are_never_changed)
{
    SCENE s = { 0 };
    struct imprint db, sealed, key;

    scene_set(&s, b);
    db = imprint_of(s.db);
    sealed = imprint_of(s.sealed);
    key = imprint_of(s.key);
    read_every_way(&s, s.db, path_in(s.c.dir, "r1"));
    read_every_way(&s, s.sealed, path_in(s.c.dir, "r2"));
    unchanged(s.db, &db, b->name);
    unchanged(s.sealed, &sealed, b->name);
    unchanged(s.key, &key, b->name);
    cr_assert_str_eq(dir_listing(s.c.dir), "key m0 m0.log r1 r2 x.db x.db.zst.age");
}
