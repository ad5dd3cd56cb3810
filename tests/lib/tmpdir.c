#include "tests/lib/tmpdir.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "util/os.h"

enum { DIRS_MAX = 64 };

static char made[DIRS_MAX][PATH_MAX];
static int made_count;
static pid_t made_by;

static void remove_all(void)
{
    struct err e = { 0 };

    if (getpid() != made_by)
        return;
    for (int i = 0; i < made_count; i++)
        if (os_remove_tree(AT_FDCWD, made[i], &e) != RC_OK)
            fprintf(stderr, "left behind: %s: %s\n", made[i], e.why);
    made_count = 0;
}

const char *tmpdir_new(void)
{
    const char *base = getenv("TMPDIR");

    if (made_by != getpid()) {
        made_by = getpid();
        made_count = 0;
        atexit(remove_all);
    }
    cr_assert(made_count < DIRS_MAX);
    snprintf(made[made_count], PATH_MAX, "%s/holdfast-test-XXXXXX",
             base == NULL ? "/tmp" : base);
    cr_assert_not_null(mkdtemp(made[made_count]));
    return made[made_count++];
}

const char *path_in(const char *dir, const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned turn;
    char *to = paths[turn++ % 8];

    snprintf(to, PATH_MAX, "%s/%s", dir, name);
    return to;
}

static int visible(const struct dirent *d)
{
    return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

const char *dir_listing(const char *dir)
{
    static char text[8192];
    struct dirent **entries;
    int n = scandir(dir, &entries, visible, alphasort);

    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : " ",
                 entries[i]->d_name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return text;
}
