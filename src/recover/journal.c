#include "recover/journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/os.h"

enum { JOURNAL_MAX = 1 << 20 };

void recover_journal_close(struct recover_journal *j)
{
    os_fd_end(&j->fd);
    mem_free(j->path);
    *j = (struct recover_journal){ .fd = -1 };
}

/* ---- writing ------------------------------------------------------------------------
 */

static enum rc append(struct recover_journal *j, const char *text, struct err *e)
{
    TRY(os_write_full(j->fd, text, strlen(text), j->path, e));
    return os_sync(j->fd, j->path, e);
}

static enum rc line(struct recover_journal *j, const char *event, const char *step,
                    struct err *e)
{
    OWNED(json) o = json_new_object();
    AT_END(mem_end) char *text = NULL;
    AT_END(mem_end) char *whole = NULL;
    char now[21];

    clock_utc(now);
    json_set_str(o, "time", now);
    json_set_str(o, "event", event);
    json_set_str(o, "step", step);
    json_set_bool(o, "was_running", j->was_running);
    json_set_i64(o, "revision", j->revision);
    json_set_i64(o, "compared_at", j->compared_at);
    json_set_u64(o, "hashkv", j->hashkv);
    json_set_i64(o, "compacted", j->compacted);
    TRY(json_render(o, false, &text, e));
    TRY(str_format(&whole, e, "%s\n", text));
    return append(j, whole, e);
}

enum rc recover_journal_begin(struct recover_journal *j, enum recover_step_kind step,
                              struct err *e)
{
    TRY(line(j, "begin", recover_step_name(step), e));
    j->begun[step] = true;
    return RC_OK;
}

enum rc recover_journal_done(struct recover_journal *j, enum recover_step_kind step,
                             struct err *e)
{
    TRY(line(j, "done", recover_step_name(step), e));
    j->begun[step] = j->done[step] = true;
    return RC_OK;
}

enum rc recover_journal_back(struct recover_journal *j, bool done, struct err *e)
{
    TRY(line(j, done ? "done" : "begin", "rollback", e));
    j->back_begun = true;
    j->back_done = done;
    return RC_OK;
}

/* ---- reading ------------------------------------------------------------------------
 */

static void take_step(struct recover_journal *j, const char *step, bool done)
{
    for (unsigned k = 0; k < RECOVER_STEP_KINDS; k++)
        if (strcmp(step, recover_step_name((enum recover_step_kind)k)) == 0) {
            j->begun[k] = true;
            j->done[k] = j->done[k] || done;
        }
    if (strcmp(step, "rollback") == 0) {
        j->back_begun = true;
        j->back_done = j->back_done || done;
    }
}

static void take_line(struct recover_journal *j, const struct json *o)
{
    const char *event = json_get_str(o, "event"), *step = json_get_str(o, "step");
    uint64_t hash;

    if (event == NULL || step == NULL)
        return;
    (void)json_get_bool(o, "was_running", &j->was_running);
    (void)json_get_i64(o, "revision", &j->revision);
    (void)json_get_i64(o, "compared_at", &j->compared_at);
    (void)json_get_i64(o, "compacted", &j->compacted);
    if (json_get_u64(o, "hashkv", &hash))
        j->hashkv = (uint32_t)hash;
    take_step(j, step, strcmp(event, "done") == 0);
}

/* Whose journal it should be. */
struct owner {
    const char *plan_id, *member;
};

static enum rc other_owner(const struct recover_journal *j, const struct owner *o,
                           struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "the journal '%s' is not of plan %s and member '%s'" HINT
                   "is this the right host, and the right --data-dir?",
                   j->path, o->plan_id, o->member);
}

/* *named: the line says whose it is, and it is so. */
static enum rc take_name(const struct recover_journal *j, const struct owner *o,
                         const struct json *line, bool *named, struct err *e)
{
    const char *id = json_get_str(line, "plan_id");
    const char *member = json_get_str(line, "member");

    if (id == NULL)
        return RC_OK;
    if (strcmp(id, o->plan_id) != 0 || member == NULL || strcmp(member, o->member) != 0)
        return other_owner(j, o, e);
    *named = true;
    return RC_OK;
}

/* A line that a crash cut off ends without a newline, and another one begins behind it.
 */
static enum rc take_all(struct recover_journal *j, const struct owner *owner,
                        const char *text, size_t n, struct err *e)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };
    bool named = false;

    TRY(str_split(&lines, text, '\n', e));
    for (size_t i = 0; i < lines.count; i++) {
        bool whole = i + 1 < lines.count || text[n - 1] == '\n';
        OWNED(json) o = NULL;
        struct err torn = { 0 };

        if (!whole || json_parse(bytes_str(lines.items[i]), j->path, &o, &torn) != RC_OK)
            continue;
        TRY(take_name(j, owner, o, &named, e));
        take_line(j, o);
    }
    return named || lines.count <= 1 ? RC_OK : other_owner(j, owner, e);
}

static enum rc begin_file(struct recover_journal *j, const struct owner *owner, bool torn,
                          struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    AT_END(mem_end) char *head = NULL;
    OWNED(json) o = json_new_object();

    json_set_str(o, "format", "holdfast-journal-1");
    json_set_str(o, "plan_id", owner->plan_id);
    json_set_str(o, "member", owner->member);
    TRY(json_render(o, false, &text, e));
    TRY(str_format(&head, e, "%s%s\n", torn ? "\n" : "", text));
    return append(j, head, e);
}

/* What is there already; *torn: it does not end with a line. */
static enum rc read_file(struct recover_journal *j, const struct owner *owner,
                         bool *has_head, bool *torn, struct err *e)
{
    AT_END(mem_end) uint8_t *bytes = NULL;
    AT_END(mem_end) char *text = NULL;
    size_t n = 0;

    TRY(os_read_file(j->path, JOURNAL_MAX, &bytes, &n, e));
    text = mem_str_n((const char *)bytes, n);
    if (text == NULL)
        return err_set(e, RC_NOMEM, "no memory for the journal");
    if (n > 0)
        TRY(take_all(j, owner, text, strlen(text), e));
    *torn = n > 0 && bytes[n - 1] != '\n';
    *has_head = n > 0;
    return RC_OK;
}

enum rc recover_journal_open(const char *path, const char *plan_id, const char *member,
                             struct recover_journal *out, struct err *e)
{
    AT_END(recover_journal_close) struct recover_journal j = { .fd = -1 };
    const struct owner owner = { plan_id, member };
    bool has_head = false, torn = false;
    OWNED_FD int dir = -1;
    const char *base;

    TRY(str_format(&j.path, e, "%s", path));
    TRY(os_open(AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0600, &j.fd,
                e));
    TRY(read_file(&j, &owner, &has_head, &torn, e));
    if (!has_head || torn)
        TRY(begin_file(&j, &owner, torn, e));
    TRY(os_open_parent(path, &dir, &base, e));
    TRY(os_sync_dir(dir, path, e));
    *out = j;
    j = (struct recover_journal){ .fd = -1 };
    return RC_OK;
}
