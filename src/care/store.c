#include "care/store.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

/* Ids are 64 bits without sign, and stored as SQLite's integers with one. */
static const char *const steps[] = {
    "CREATE TABLE sample ("
    " cluster INTEGER NOT NULL, member INTEGER NOT NULL, time INTEGER NOT NULL,"
    " revision INTEGER NOT NULL, compacted INTEGER,"
    " size INTEGER NOT NULL, in_use INTEGER NOT NULL,"
    " PRIMARY KEY (cluster, member, time)) WITHOUT ROWID;"
    "CREATE INDEX sample_time ON sample (cluster, time);"
    "CREATE TABLE operation ("
    " id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, kind TEXT NOT NULL,"
    " detail TEXT NOT NULL, begun INTEGER NOT NULL, pid INTEGER NOT NULL,"
    " ended INTEGER, code INTEGER, outcome TEXT);"
    "CREATE TABLE step ("
    " id INTEGER PRIMARY KEY,"
    " operation INTEGER NOT NULL REFERENCES operation (id) ON DELETE CASCADE,"
    " what TEXT NOT NULL, begun INTEGER NOT NULL,"
    " ended INTEGER, code INTEGER, outcome TEXT);"
    "CREATE INDEX step_operation ON step (operation);",
};
static const struct sql_schema schema = { 0x484c4446, steps,
                                          sizeof steps / sizeof *steps };

void care_store_free(struct care_store *s)
{
    if (s == NULL)
        return;
    sql_free(s->db);
    mem_free(s->dir);
    mem_free(s);
}

/* What exists is no failure; whether it is a directory is seen when it is opened. */
static enum rc make_one(const char *path, struct err *e)
{
    enum rc rc = os_mkdir(AT_FDCWD, path, e);

    return rc == RC_REFUSED ? RC_OK : rc;
}

static enum rc make_all(const char *dir, struct err *e)
{
    AT_END(mem_end) char *path = mem_str(dir);

    if (path == NULL)
        return err_set(e, RC_NOMEM, "no memory for a path");
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (access(path, F_OK) != 0)
            TRY(make_one(path, e));
        *at = '/';
    }
    return make_one(path, e);
}

static enum rc check_private(const char *dir, struct err *e)
{
    OWNED_FD int fd = -1;
    struct stat st;

    TRY(os_open(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY, 0, &fd, e));
    if (os.fstat(fd, &st) != 0)
        return err_sys(e, RC_STORAGE, "examining '%s'", dir);
    if ((st.st_mode & 0022) == 0 && (st.st_uid == geteuid() || geteuid() == 0))
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "the state directory '%s' belongs to somebody else, or others may "
                   "write to it" HINT "give one of your own with --state-dir, mode 0700",
                   dir);
}

enum rc care_store_open(const char *dir, struct care_store **out, struct err *e)
{
    OWNED(care_store) s = NULL;
    AT_END(mem_end) char *path = NULL;

    if (dir == NULL || dir[0] == '\0')
        return err_set(e, RC_USAGE, "the state directory has no name");
    TRY(make_all(dir, e));
    TRY(check_private(dir, e));
    TRY(str_format(&path, e, "%s/state.sqlite", dir));
    TRY(mem_new(&s, sizeof *s, "a state directory", e));
    s->dir = mem_str(dir);
    if (s->dir == NULL)
        return err_set(e, RC_NOMEM, "no memory for a path");
    TRY(sql_open_history(path, &schema, &s->db, e));
    *out = GIVE(s);
    return RC_OK;
}
