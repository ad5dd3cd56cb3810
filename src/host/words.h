/* Command lines and environment files, taken apart as systemd and shells do. Bounded:
 * a text that would become more than WORDS_MAX words, or a word of more than a mebibyte,
 * is RC_REFUSED or RC_CORRUPT. Text that is odd is no failure: what can be made of it is.
 */
#ifndef HOST_WORDS_H
#define HOST_WORDS_H

#include "util/str.h"

enum { WORDS_MAX = 4096 };

enum words_rule {
    WORDS_UNIT,  /* quotes of both kinds with C's escapes; ${X} inside a word, $X alone */
    WORDS_SHELL, /* the first simple command of a shell's text */
    WORDS_PLAIN, /* quotes and blanks only, no variables: Environment= */
};

/* Appends the words. Variables come from `env` ("NAME=value", the last wins; NULL: none);
 * an unknown one is empty. $(command) stays as it is. */
enum rc words_split(const char *text, enum words_rule rule, const struct str_list *env,
                    struct str_list *out, struct err *e);

/* Appends "NAME=value" for each assignment of a file as EnvironmentFile= takes it. */
enum rc words_environment(struct bytes text, struct str_list *out, struct err *e);

/* The value of NAME among "NAME=value" strings, the last wins; NULL: not there. */
const char *words_lookup(const struct str_list *env, const char *name, size_t n);

/* The command line of the etcd that `command` starts: itself, behind `env`, `nice` and
 * their kind, or inside of `sh -c`. False: it starts none, or only a proxy or gateway. */
enum rc words_etcd(const struct str_list *command, const struct str_list *env,
                   struct str_list *out, bool *found, struct err *e);

/* The last component of a path. */
const char *words_base(const char *path);

#endif
