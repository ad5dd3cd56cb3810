#include "host/change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/control.h"
#include "host/edit.h"
#include "host/k3s.h"
#include "host/quote.h"
#include "host/settings.h"
#include "host/sources.h"
#include "host/unit.h"
#include "host/words.h"
#include "storage/temp.h"
#include "util/mem.h"
#include "util/os.h"

enum { FILE_MAX = 1 << 20 };
#define DROP_IN "90-holdfast.conf"

void host_edit_clear(struct host_edit *edit)
{
    mem_free(edit->path);
    mem_free(edit->text);
    *edit = (struct host_edit){ 0 };
}

static const char *root_of(const struct host_change *c)
{
    return c->root == NULL || strcmp(c->root, "/") == 0 ? "" : c->root;
}

static enum rc by_hand(const char *what, const struct host_change *c, struct err *e)
{
    AT_END(mem_end) char *flags = NULL;

    TRY(edit_flags(c, &flags, e));
    return err_set(e, RC_REFUSED, "%s" HINT "set by hand: %s", what, flags);
}

/* ---- proof --------------------------------------------------------------------------
 */

static bool same(const char *want, const char *got)
{
    return want == NULL || (got != NULL && strcmp(want, got) == 0);
}

/* Does the member as it is read from the new text say what was asked for, and start? */
static bool says(const struct host_member *m, const struct host_change *c)
{
    static const char *const never[] = { REMARK_FORCE, REMARK_STRAY, REMARK_BOTH };

    for (size_t i = 0; i < m->remarks.count * 3; i++)
        if (strncmp(m->remarks.items[i / 3], never[i % 3], strlen(never[i % 3])) == 0)
            return false;
    return same(c->initial_cluster, m->initial_cluster) &&
           same(c->initial_state, m->initial_state) &&
           same(c->initial_token, m->initial_token);
}

static bool config_says(struct bytes text, const char *path, const struct host_change *c)
{
    AT_END(settings_clear) struct settings s = { 0 };
    struct err ignored;

    return settings_from_config(&s, text, path, &ignored) == RC_OK &&
           same(c->initial_cluster, s.value[SETTING_INITIAL_CLUSTER]) &&
           same(c->initial_state, s.value[SETTING_INITIAL_STATE]) &&
           same(c->initial_token, s.value[SETTING_INITIAL_TOKEN]) &&
           s.value[SETTING_FORCE_NEW] == NULL;
}

static bool env_says(struct bytes text, const struct host_change *c)
{
    AT_END(str_list_clear) struct str_list env = { 0 };
    AT_END(settings_clear) struct settings s = { 0 };
    struct err ignored;

    return words_environment(text, &env, &ignored) == RC_OK &&
           settings_from_env(&s, &env, &ignored) == RC_OK &&
           same(c->initial_cluster, s.value[SETTING_INITIAL_CLUSTER]) &&
           same(c->initial_state, s.value[SETTING_INITIAL_STATE]) &&
           same(c->initial_token, s.value[SETTING_INITIAL_TOKEN]) &&
           s.value[SETTING_FORCE_NEW] == NULL;
}

static bool pod_says(struct bytes text, const struct host_change *c)
{
    AT_END(host_member_clear) struct host_member m = { 0 };
    struct err ignored;
    bool found = false;

    return pod_read(text, root_of(c), &m, &found, &ignored) == RC_OK && found &&
           says(&m, c);
}

static bool form_says(struct bytes text, enum edit_form form, const char *path,
                      const struct host_change *c)
{
    switch (form) {
    case EDIT_POD:
        return pod_says(text, c);
    case EDIT_ENV:
        return env_says(text, c);
    case EDIT_CONFIG:
        return config_says(text, path, c);
    }
    return false;
}

/* ---- one file
 * --------------------------------------------------------------------------- */

static enum rc edit_file(const char *path, enum edit_form form,
                         const struct host_change *c, struct host_edit *out,
                         struct err *e)
{
    AT_END(mem_end) uint8_t *before = NULL;
    AT_END(mem_end) char *after = NULL;
    char what[600];
    size_t n = 0;

    TRY(os_read_regular(path, FILE_MAX, &before, &n, e));
    snprintf(what, sizeof what, "'%s' is written in a way that is not edited here", path);
    if (edit_text((struct bytes){ before, n }, form, c, &after, e) != RC_OK)
        return e->code == RC_REFUSED ? by_hand(what, c, e) : e->code;
    if (!form_says(bytes_str(after), form, path, c))
        return by_hand(what, c, e);
    TRY(str_format(&out->path, e, "%s", path));
    out->is_same = bytes_is((struct bytes){ before, n }, after);
    out->text = GIVE(after);
    return RC_OK;
}

/* ---- units
 * -------------------------------------------------------------------------------- */

/* The last file that sets one of the settings, else the last that is there. */
static enum rc pick_env_file(const struct host_member *m, const char **out, struct err *e)
{
    static const char *const names[] = { "ETCD_INITIAL_CLUSTER=",
                                         "ETCD_INITIAL_CLUSTER_STATE=",
                                         "ETCD_INITIAL_CLUSTER_TOKEN=" };
    bool sets = false;

    *out = NULL;
    for (size_t i = 0; i < m->env_files.count; i++) {
        AT_END(str_list_clear) struct str_list env = { 0 };
        AT_END(mem_end) uint8_t *text = NULL;
        struct err why = { 0 };
        bool here = false;
        size_t n = 0;

        if (os_read_regular(m->env_files.items[i], FILE_MAX, &text, &n, &why) != RC_OK)
            continue;
        TRY(words_environment((struct bytes){ text, n }, &env, e));
        for (size_t k = 0; k < env.count * 3; k++)
            here = here ||
                   strncmp(env.items[k / 3], names[k % 3], strlen(names[k % 3])) == 0;
        if (here || !sets)
            *out = m->env_files.items[i];
        sets = sets || here;
    }
    return RC_OK;
}

static bool has_flags(const struct str_list *words)
{
    size_t taken = 1;

    for (size_t i = 1; i < words->count; i += taken) {
        struct setting_flag f = setting_of_argument(words, i);

        taken = f.arguments;
        if (f.setting == SETTING_INITIAL_CLUSTER || f.setting == SETTING_INITIAL_STATE ||
            f.setting == SETTING_INITIAL_TOKEN || f.setting == SETTING_FORCE_NEW)
            return true;
    }
    return false;
}

/* Flags and variables for one setting would keep etcd from starting. */
static enum rc print_drop_in(const struct str_list *words, char **out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = FILE_MAX };
    static const char head[] =
        "# Made by holdfast: this member starts into another cluster.\n[Service]\n"
        "UnsetEnvironment=ETCD_INITIAL_CLUSTER ETCD_INITIAL_CLUSTER_STATE "
        "ETCD_INITIAL_CLUSTER_TOKEN ETCD_FORCE_NEW_CLUSTER\nExecStart=\nExecStart=";

    TRY(buf_add(&b, head, strlen(head), e));
    for (size_t i = 0; i < words->count; i++) {
        if (i > 0)
            TRY(buf_add(&b, " \\\n  ", 5, e));
        TRY(i == 0 ? buf_add(&b, words->items[0], strlen(words->items[0]), e)
                   : quote_double(&b, words->items[i], true, e));
    }
    TRY(buf_add(&b, "\n", 2, e));
    *out = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}

static bool drop_in_says(const struct host_member *m, const char *path, const char *text,
                         const struct host_change *c)
{
    AT_END(host_member_clear) struct host_member again = { 0 };
    AT_END(unit_clear) struct unit u = { .name = m->unit };
    struct err ignored;
    bool found = false;

    return unit_load(&u, root_of(c), path, &ignored) == RC_OK &&
           unit_add(&u, bytes_str(text), &ignored) == RC_OK &&
           unit_read(&u, root_of(c), &again, &found, &ignored) == RC_OK && found &&
           says(&again, c);
}

static enum rc edit_drop_in(const struct host_member *m, const struct str_list *words,
                            const struct host_change *c, struct host_edit *out,
                            struct err *e)
{
    AT_END(str_list_clear) struct str_list changed = { 0 };
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) char *text = NULL;
    AT_END(mem_end) uint8_t *before = NULL;
    struct err why = { 0 };
    size_t n = 0;
    enum rc rc;

    TRY(str_format(&path, e, "%s/etc/systemd/system/%s.d/" DROP_IN, root_of(c), m->unit));
    TRY(edit_command(words, c, &changed, e));
    TRY(print_drop_in(&changed, &text, e));
    if (!drop_in_says(m, path, text, c))
        return by_hand("the unit's command cannot be restated", c, e);
    rc = os_read_regular(path, FILE_MAX, &before, &n, &why);
    if (rc != RC_OK && rc != RC_NOTFOUND) {
        *e = why;
        return rc;
    }
    out->is_new = rc == RC_NOTFOUND;
    out->is_same = rc == RC_OK && bytes_is((struct bytes){ before, n }, text);
    out->path = GIVE(path);
    out->text = GIVE(text);
    return RC_OK;
}

static enum rc edit_unit(const struct host_member *m, const struct host_change *c,
                         struct host_edit *out, struct err *e)
{
    AT_END(unit_clear) struct unit u = { .name = m->unit };
    AT_END(str_list_clear) struct str_list words = { 0 };
    AT_END(host_member_clear) struct host_member now = { 0 };
    const char *file = NULL;

    TRY(unit_load(&u, root_of(c), NULL, e));
    TRY(unit_words(&u, root_of(c), &now, &words, e));
    if (words.count == 0 || strcmp(words_base(words.items[0]), "etcd") != 0)
        return by_hand("the unit starts etcd by way of another program", c, e);
    if (!has_flags(&words))
        TRY(pick_env_file(&now, &file, e));
    if (file != NULL)
        return edit_file(file, EDIT_ENV, c, out, e);
    return edit_drop_in(m, &words, c, out, e);
}

/* ---- which one
 * ------------------------------------------------------------------------------ */

static enum rc edit_pod(const struct host_member *m, const struct host_change *c,
                        struct host_edit *out, struct err *e)
{
    AT_END(mem_end) char *parked = NULL;

    if (m->parked)
        TRY(host_parked_path(m->file, &parked, e));
    return edit_file(parked == NULL ? m->file : parked, EDIT_POD, c, out, e);
}

static enum rc make_edit(const struct host_member *m, const struct host_change *c,
                         struct host_edit *out, struct err *e)
{
    if (m->layout == HOST_K3S || m->layout == HOST_RKE2)
        return err_set(e, RC_REFUSED,
                       "%s writes the settings of its etcd itself" HINT
                       "reset it by its own: %s server --cluster-reset",
                       host_layout_name(m->layout), host_layout_name(m->layout));
    if (m->config_file != NULL)
        return edit_file(m->config_file, EDIT_CONFIG, c, out, e);
    if (m->layout == HOST_STATIC_POD)
        return edit_pod(m, c, out, e);
    if (m->layout == HOST_SYSTEMD && m->unit != NULL)
        return edit_unit(m, c, out, e);
    return by_hand("no file says how this etcd is started", c, e);
}

enum rc host_change_text(const struct host_member *m, const struct host_change *c,
                         struct host_edit *out, struct err *e)
{
    AT_END(host_edit_clear) struct host_edit edit = { 0 };

    if (make_edit(m, c, &edit, e) != RC_OK)
        return err_wrap(e, "changing how etcd '%s' starts", m->name);
    *out = edit;
    edit = (struct host_edit){ 0 };
    return RC_OK;
}

/* ---- putting it in place
 * ----------------------------------------------------------------- */

enum rc host_original_path(const char *path, char **out, struct err *e)
{
    const char *base = words_base(path);

    return str_format(out, e, "%.*s.%s.holdfast-original", (int)(base - path), path,
                      base);
}

/* A second name of the original; the first one made stays. */
static enum rc keep_original(int dir, const char *base, const char *path, struct err *e)
{
    AT_END(mem_end) char *whole = NULL;

    TRY(host_original_path(path, &whole, e));
    if (os.linkat(dir, base, dir, words_base(whole), 0) < 0 && errno != EEXIST)
        return err_sys(e, RC_STORAGE, "cannot keep '%s' as '%s'", path, whole);
    return os_sync_dir(dir, path, e);
}

static enum rc write_new(int dir, const char *base, const struct host_edit *edit,
                         const struct stat *like, struct err *e)
{
    AT_END(temp_close) struct temp t = { .dir = -1, .fd = -1 };

    TRY(temp_open(&t, dir, base, true, e));
    TRY(os_write_full(t.fd, edit->text, strlen(edit->text), edit->path, e));
    if (os.fchmod(t.fd, like->st_mode & 07777) < 0 ||
        fchown(t.fd, like->st_uid, like->st_gid) < 0)
        return err_sys(e, RC_AUTH, "cannot give '%s' its owner and mode", edit->path);
    TRY(os_sync(t.fd, edit->path, e));
    TRY(temp_replace(&t, e));
    return os_sync_dir(dir, edit->path, e);
}

static enum rc stat_at(int dir, const char *base, const char *path, struct stat *out,
                       struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(dir, base, O_PATH | O_NOFOLLOW, 0, &fd, e));
    if (os.fstat(fd, out) < 0)
        return err_sys(e, RC_STORAGE, "cannot stat '%s'", path);
    if (!S_ISREG(out->st_mode))
        return err_set(e, RC_REFUSED, "'%s' is no regular file", path);
    return RC_OK;
}

/* The folder of a unit's drop-ins. */
static enum rc make_folder(const char *path, struct err *e)
{
    AT_END(mem_end) char *folder = NULL;
    OWNED_FD int dir = -1;
    struct err why = { 0 };
    const char *base;
    enum rc rc;

    TRY(str_format(&folder, e, "%.*s", (int)(words_base(path) - path - 1), path));
    rc = os_mkdir(AT_FDCWD, folder, &why);
    if (rc == RC_REFUSED)
        return RC_OK;
    if (rc != RC_OK) {
        *e = why;
        return rc;
    }
    TRY(os_open(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0, &dir, e));
    if (os.fchmod(dir, 0755) < 0)
        return err_sys(e, RC_STORAGE, "cannot open '%s' to readers", folder);
    os_fd_end(&dir);
    TRY(os_open_parent(folder, &dir, &base, e));
    return os_sync_dir(dir, folder, e);
}

enum rc host_change_apply(const struct host_edit *edit, struct err *e)
{
    struct stat like = { .st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid() };
    OWNED_FD int dir = -1;
    const char *base;

    if (edit->is_same)
        return RC_OK;
    if (edit->is_new)
        TRY(make_folder(edit->path, e));
    TRY(os_open_parent(edit->path, &dir, &base, e));
    if (!edit->is_new) {
        TRY(stat_at(dir, base, edit->path, &like, e));
        TRY(keep_original(dir, base, edit->path, e));
    }
    return write_new(dir, base, edit, &like, e);
}

enum rc host_change_undo(const struct host_edit *edit, struct err *e)
{
    AT_END(mem_end) char *original = NULL;
    OWNED_FD int dir = -1;
    struct err ignored;
    const char *base;
    int failed;

    TRY(host_original_path(edit->path, &original, e));
    if (edit->is_new && os_open_parent(edit->path, &dir, &base, &ignored) != RC_OK)
        return RC_OK;
    if (!edit->is_new)
        TRY(os_open_parent(edit->path, &dir, &base, e));
    failed = edit->is_new ? os.unlinkat(dir, base, 0)
                          : os.renameat2(dir, words_base(original), dir, base, 0);
    if (failed < 0 && errno != ENOENT)
        return err_sys(e, RC_STORAGE, "cannot put back '%s'", edit->path);
    return os_sync_dir(dir, edit->path, e);
}
