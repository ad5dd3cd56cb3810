/* Options and operands are data: one array per command, from which parsing, help, the
 * manual and shell completion all come.
 *
 *     static const struct opt save_opts[] = {
 *         OPT(SIZE, "rate", save_args, rate, .arg = "B/S", .help = "read at most ..."),
 *         OPT_DONE,
 *     };
 *
 * OPT(KIND, ...) does not compile when the field's type is not what KIND stores.
 *
 * Precedence: the command line, then HOLDFAST_<NAME>, then ETCDCTL_<NAME>, then the
 * fallback. Where a flag is given, the environment is not even looked at. Empty
 * variables count as unset; an empty value on the command line is refused, since it is
 * nearly always a script's unset variable. */
#ifndef CLI_OPT_H
#define CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

enum opt_kind {
    OPT_END,
    OPT_FLAG,      /* --name, --name=false */
    OPT_STR,       /* borrowed from the command line or the environment */
    OPT_LIST,      /* may be repeated, one item each */
    OPT_CSV,       /* may be repeated, each a comma separated list */
    OPT_U64,       /* a whole number */
    OPT_SIZE,      /* 512MiB, in bytes */
    OPT_DURATION,  /* 1h30m, in milliseconds */
    OPT_CHOICE,    /* one of `choices`; stores its index, so a field may be an enum */
    OPT_U64_AUTO,  /* a whole number or "auto" */
    OPT_SIZE_AUTO, /* a size or "auto" */
};

/* A number that the user may leave to the program. */
struct opt_auto {
    bool automatic; /* "auto" was said, or is the fallback */
    uint64_t value;
};

enum opt_env {
    OPT_ENV_NONE,
    OPT_ENV_OWN,     /* HOLDFAST_<NAME> */
    OPT_ENV_ETCDCTL, /* and then ETCDCTL_<NAME> */
};

struct opt {
    enum opt_kind kind;
    char letter;          /* short name: -w */
    bool required;        /* without a value from any source: RC_USAGE */
    bool secret;          /* never echoed; giving it as a flag earns a warning */
    enum opt_env env;     /* the names are derived, see opt_env_name */
    const char *name;     /* without dashes */
    const char *arg;      /* what stands for the value in help: "FILE" */
    const char *help;     /* lower case, no full stop */
    const char *fallback; /* parsed like a given value; without one the field stays 0 */
    const char *rival;    /* another option that makes no sense together with this one:
                             the stronger source wins, the same source is an error */
    const char *const *choices; /* NULL-terminated */
    size_t at;
};

/* Positional arguments, in order; a list ends with name NULL. `many` takes the rest. */
struct operand {
    const char *name; /* "FILE" */
    const char *help;
    bool required, many;
    size_t at; /* const char *, or struct str_list when many */
};

/* Offset of a field, and a compile error when it has another type. */
#define OPT_AT(args, field, type)   \
    (offsetof(struct args, field) + \
     0 * sizeof(char[_Generic(((struct args *)0)->field, type : 1)]))

#define OPT_TYPE_FLAG bool
#define OPT_TYPE_STR const char *
#define OPT_TYPE_LIST struct str_list
#define OPT_TYPE_CSV struct str_list
#define OPT_TYPE_U64 uint64_t
#define OPT_TYPE_SIZE uint64_t
#define OPT_TYPE_DURATION uint64_t
#define OPT_TYPE_CHOICE unsigned
#define OPT_TYPE_U64_AUTO struct opt_auto
#define OPT_TYPE_SIZE_AUTO struct opt_auto

#define OPT(KIND, opt_name, args, field, ...)                   \
    {                                                           \
        .kind = OPT_##KIND, .name = opt_name,                   \
        .at = OPT_AT(args, field, OPT_TYPE_##KIND), __VA_ARGS__ \
    }
#define OPT_DONE         \
    {                    \
        .kind = OPT_END, \
    }
#define OPERAND(operand_name, args, field, ...)                                    \
    {                                                                              \
        .name = operand_name, .at = OPT_AT(args, field, const char *), __VA_ARGS__ \
    }
#define OPERANDS(operand_name, args, field, ...)                                        \
    {                                                                                   \
        .name = operand_name, .at = OPT_AT(args, field, struct str_list), .many = true, \
        __VA_ARGS__                                                                     \
    }
#define OPERAND_DONE  \
    {                 \
        .name = NULL, \
    }

enum { OPT_SETS_MAX = 8, OPTS_MAX = 64 };

/* An array of options and the structure it fills. */
struct opt_set {
    const struct opt *opts; /* NULL is empty */
    void *base;
};

struct opt_job {
    struct opt_set sets[OPT_SETS_MAX]; /* ends with opts NULL */
    const struct operand *operands;    /* NULL: none are taken */
    void *operand_base;
    const char *(*env)(const char *name); /* NULL: no environment */
    const char *command;                  /* in hints: 'holdfast help COMMAND' */
};

/* Parse `words` (NULL-terminated, without the command's name) into the structures of
 * the job, which must be zeroed. Options and operands come in any order; "--" ends the
 * options. Sets *help and stops at --help or -h.
 * RC_USAGE with a hint. Call opt_clear afterwards, also on failure. */
enum rc opt_parse(const struct opt_job *job, const char *const *words, bool *help,
                  struct err *e);

/* Frees lists. */
void opt_clear(const struct opt_job *job);

/* The option that `word` ("--name", "--name=value", "-n...") selects in an array of
 * `opts`; NULL when there is none. */
const struct opt *opt_named(const struct opt *opts, const char *word);

/* Does the option take its value from the next word, when `word` selected it? */
bool opt_takes_next(const struct opt *o, const char *word);

/* "HOLDFAST_DIAL_TIMEOUT" into out. `prefix` is "HOLDFAST" or "ETCDCTL". */
void opt_env_name(char *out, size_t n, const char *prefix, const struct opt *o);

/* What stands for the value in help: "FILE", "simple|table"; "" for a flag. */
void opt_placeholder(char *out, size_t n, const struct opt *o);

/* Convert `text` into the option's field. `where` names the source in the message.
 * RC_USAGE. */
enum rc opt_store(const struct opt *o, void *field, const char *text, const char *where,
                  struct err *e);

#endif
