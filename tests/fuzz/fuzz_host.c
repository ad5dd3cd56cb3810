/* Manifests, units, environment and configuration files as somebody else could have
 * written them, and what editing makes of them. The first byte says which. */
#include <stdlib.h>

#include "host/edit.h"
#include "host/settings.h"
#include "host/sources.h"
#include "host/unit.h"
#include "host/words.h"
#include "util/mem.h"

/* No file of this machine is named by an input. */
static const char nowhere[] = "/nonexistent/holdfast-fuzz";

static void pod(struct bytes text)
{
    AT_END(host_member_clear) struct host_member m = { 0 };
    struct err e = { 0 };
    bool found = false;

    if (pod_read(text, nowhere, &m, &found, &e) == RC_OK && found &&
        (m.data_dir == NULL || m.name == NULL || m.initial_cluster == NULL))
        abort();
}

static void unit(struct bytes text)
{
    AT_END(host_member_clear) struct host_member m = { 0 };
    AT_END(unit_clear) struct unit u = { .name = "etcd@a.service" };
    struct err e = { 0 };
    bool found = false;

    if (unit_add(&u, text, &e) == RC_OK && unit_add(&u, text, &e) == RC_OK &&
        unit_read(&u, nowhere, &m, &found, &e) == RC_OK && found && m.data_dir == NULL)
        abort();
}

static void environment(struct bytes text)
{
    AT_END(str_list_clear) struct str_list env = { 0 };
    AT_END(settings_clear) struct settings s = { 0 };
    struct err e = { 0 };

    if (words_environment(text, &env, &e) != RC_OK)
        return;
    for (size_t i = 0; i < env.count; i++)
        if (strchr(env.items[i], '=') == NULL)
            abort();
    if (settings_from_env(&s, &env, &e) == RC_NOMEM)
        abort();
}

static void config(struct bytes text)
{
    AT_END(settings_clear) struct settings s = { 0 };
    struct err e = { 0 };

    if (settings_from_config(&s, text, "fuzz", &e) == RC_INTERNAL)
        abort();
}

static void words(struct bytes text, enum words_rule rule)
{
    AT_END(mem_end) char *line = mem_str_n((const char *)text.p, text.n);
    AT_END(str_list_clear) struct str_list env = { 0 };
    AT_END(str_list_clear) struct str_list out = { 0 };
    AT_END(str_list_clear) struct str_list etcd = { 0 };
    struct err e = { 0 };
    bool found = false;

    if (str_list_add(&env, "A=a b c", &e) != RC_OK)
        abort();
    if (words_split(line, rule, &env, &out, &e) == RC_OK &&
        words_etcd(&out, &env, &etcd, &found, &e) == RC_OK && found != (etcd.count > 0))
        abort();
    mask_secrets(&out);
}

/* Editing what was edited changes nothing. */
static void edit(struct bytes text, enum edit_form form)
{
    static const struct host_change c = { .initial_cluster = "a=http://h:1",
                                          .initial_state = "existing",
                                          .initial_token = "t" };
    AT_END(mem_end) char *once = NULL;
    AT_END(mem_end) char *twice = NULL;
    struct err e = { 0 };

    if (memchr(text.p, '\0', text.n) != NULL ||
        edit_text(text, form, &c, &once, &e) != RC_OK)
        return;
    if (edit_text(bytes_str(once), form, &c, &twice, &e) != RC_OK ||
        strcmp(once, twice) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct bytes text = { p + 1, n - 1 };

    if (n == 0)
        return 0;
    switch (p[0] % 10) {
    case 0:
        pod(text);
        break;
    case 1:
        unit(text);
        break;
    case 2:
        environment(text);
        break;
    case 3:
        config(text);
        break;
    case 4:
    case 5:
    case 6:
        words(text, (enum words_rule)(p[0] % 10 - 4));
        break;
    default:
        edit(text, (enum edit_form)(p[0] % 10 - 7));
        break;
    }
    return 0;
}
