#include "cli/labs.h"

#include <unistd.h>

#include "lab/reach.h"
#include "util/mem.h"

enum rc cli_lab_dir(struct cli *c, const char *given, char **out, struct err *e)
{
    const char *xdg = c->env == NULL ? NULL : c->env("XDG_RUNTIME_DIR");

    if (given != NULL)
        return str_format(out, e, "%s", given);
    if (xdg != NULL && xdg[0] == '/')
        return str_format(out, e, "%s/holdfast-lab", xdg);
    return str_format(out, e, "/tmp/holdfast-lab-%u", (unsigned)geteuid());
}

enum rc cli_lab_open(struct cli *c, const char *given, bool to_change, struct lab **out,
                     struct err *e)
{
    AT_END(mem_end) char *dir = NULL;

    TRY(cli_lab_dir(c, given, &dir, e));
    return lab_open(dir, to_change, out, e);
}

enum rc cli_lab_exports(struct cli *c, const struct lab *l, struct err *e)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };
    AT_END(mem_end) char *endpoints = NULL;
    OWNED(result) r = result_new();
    struct json *list = json_new_array();

    result_str(r, "Directory", "dir", l->dir);
    result_u64(r, "Members", "members", l->count);
    result_json(r, "exports", list);
    TRY(lab_endpoints(l, NULL, &endpoints, e));
    result_str(r, "Endpoints", "endpoints", endpoints);
    TRY(lab_exports(l, &lines, e));
    for (size_t i = 0; i < lines.count; i++) {
        result_line(r, "%s", lines.items[i]);
        json_add_str(list, lines.items[i]);
    }
    return cli_show(c, r, e);
}
