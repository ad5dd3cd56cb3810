#include "cli/state.h"

#include "care/samples.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

static const char *given(struct cli *c, const char *name)
{
    const char *value = c->env == NULL ? NULL : c->env(name);

    return value != NULL && value[0] == '/' ? value : NULL;
}

static enum rc usual_place(struct cli *c, char **out, struct err *e)
{
    const char *xdg = given(c, "XDG_STATE_HOME"), *home = given(c, "HOME");

    if (xdg != NULL)
        return str_format(out, e, "%s/holdfast", xdg);
    if (home != NULL)
        return str_format(out, e, "%s/.local/state/holdfast", home);
    return err_set(e, RC_USAGE,
                   "there is no place for the state directory: neither XDG_STATE_HOME "
                   "nor HOME is set" HINT "name one with --state-dir");
}

enum rc cli_state_path(struct cli *c, char **out, struct err *e)
{
    return c->state_dir != NULL ? str_format(out, e, "%s", c->state_dir)
                                : usual_place(c, out, e);
}

enum rc cli_state_open(struct cli *c, struct care_store **out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;

    TRY(cli_state_path(c, &path, e));
    return care_store_open(path, out, e);
}

void cli_state_try(struct cli *c, struct care_store **out)
{
    struct err e = { 0 };

    *out = NULL;
    if (cli_state_open(c, out, &e) != RC_OK)
        log_warn("nothing is remembered of this run: %s", e.why);
}

void cli_state_sample(struct care_store *s, const struct care_view *v)
{
    struct err e = { 0 };

    if (s != NULL && v->cluster_id != 0 &&
        care_samples_add(s, v, clock_unix_ms() / 1000, &e) != RC_OK)
        log_warn("no sample was kept: %s", e.why);
}
