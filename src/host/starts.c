/* Which etcd does a command line start? */
#include <string.h>

#include "host/words.h"

const char *words_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static bool is_one_of(const char *word, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words_base(word), names[i]) == 0)
            return true;
    return false;
}
#define IS_ONE_OF(word, names) is_one_of(word, names, sizeof names / sizeof names[0])

static const char *const shells[] = { "sh", "bash", "dash", "ash", "busybox" };
static const char *const wrappers[] = { "env",     "nice",  "ionice",  "chrt",
                                        "taskset", "nohup", "setpriv", "numactl",
                                        "exec",    "sudo",  "stdbuf" };

static bool is_etcd(const char *word)
{
    return strcmp(words_base(word), "etcd") == 0;
}

static enum rc copy_from(const struct str_list *words, size_t at, struct str_list *out,
                         struct err *e)
{
    for (size_t i = at; i < words->count; i++)
        TRY(str_list_add(out, words->items[i], e));
    return RC_OK;
}

/* The first word that is etcd; before it only a wrapper with its flags, or assignments.
 */
static size_t find_etcd(const struct str_list *words)
{
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->items[i];

        if (word == NULL || is_etcd(word))
            return i;
        if (i == 0 && !IS_ONE_OF(word, wrappers) && strchr(word, '=') == NULL)
            break;
    }
    return words->count;
}

static bool serves(const struct str_list *words, size_t at)
{
    static const char *const others[] = { "gateway", "grpc-proxy" };

    return at < words->count &&
           (at + 1 == words->count || !IS_ONE_OF(words->items[at + 1], others));
}

/* The text behind the -c of a shell; NULL: it is none. */
static const char *script_of(const struct str_list *command)
{
    if (command->count < 3 || !IS_ONE_OF(command->items[0], shells))
        return NULL;
    for (size_t i = 1; i + 1 < command->count && command->items[i][0] == '-'; i++)
        if (str_ends(command->items[i], "c"))
            return command->items[i + 1];
    return NULL;
}

/* Each simple command of a script in turn, until one is etcd. */
static enum rc from_script(const char *script, const struct str_list *env,
                           struct str_list *out, bool *found, struct err *e)
{
    for (const char *p = script; p != NULL && *p != '\0' && !*found;) {
        AT_END(str_list_clear) struct str_list words = { 0 };
        size_t at;

        TRY(words_split(p, WORDS_SHELL, env, &words, e));
        at = find_etcd(&words);
        if (serves(&words, at)) {
            *found = true;
            return copy_from(&words, at, out, e);
        }
        p = strpbrk(p, ";|&\n");
        p = p == NULL ? NULL : p + strspn(p, ";|& \t\r\n");
    }
    return RC_OK;
}

enum rc words_etcd(const struct str_list *command, const struct str_list *env,
                   struct str_list *out, bool *found, struct err *e)
{
    const char *script = script_of(command);
    size_t at;

    *found = false;
    if (script != NULL)
        return from_script(script, env, out, found, e);
    at = find_etcd(command);
    *found = serves(command, at);
    return *found ? copy_from(command, at, out, e) : RC_OK;
}
