#include "cli/resume.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "care/journal.h"
#include "util/clock.h"
#include "util/str.h"

static const char as_learner[] = " learner";

struct search {
    const char *words;
    struct resume *out;
    bool over;
};

static void take(void *arg, const struct care_past *past)
{
    struct search *s = arg;
    size_t n = strlen(s->words);
    char *rest;

    if (s->over || strncmp(past->detail, s->words, n) != 0)
        return;
    s->over = past->fulfilled;
    if (past->fulfilled)
        return;
    s->out->found = true;
    s->out->begun = past->begun;
    s->out->id = strtoull(past->detail + n, &rest, 16);
    s->out->learner = strcmp(rest, as_learner) == 0;
}

enum rc resume_recall(struct care_store *s, uint64_t cluster, const char *kind,
                      const char *words, struct resume *out, struct err *e)
{
    struct search search = { .words = words, .out = out };

    *out = (struct resume){ .found = false };
    if (s == NULL)
        return RC_OK;
    return care_journal_past(s, cluster, kind, clock_unix_ms() / 1000, take, &search, e);
}

enum rc resume_detail(const char *words, uint64_t id, bool learner, char **out,
                      struct err *e)
{
    return str_format(out, e, "%s%" PRIx64 "%s", words, id, learner ? as_learner : "");
}

bool resume_has_backup(const struct resume *r, const char *file)
{
    struct stat st;

    return r->found && stat(file, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_mtim.tv_sec >= r->begun;
}
