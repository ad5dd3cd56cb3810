/* The other side says what is in its directories, and it may say anything. */
#include "storage/walk.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"

struct place {
    unsigned lists, files, left;
    size_t longest;
};

static enum rc add(struct walk_entries *out, const char *name, bool directory,
                   struct err *e)
{
    char copy[600];

    snprintf(copy, sizeof copy, "%s", name);
    return walk_add(out, &(struct walk_entry){ copy, directory, 1, 0 }, e);
}

/* Every directory has itself in it, for ever. */
static enum rc endless(void *arg, const char *prefix, struct walk_entries *out,
                       struct err *e)
{
    struct place *p = arg;

    (void)prefix;
    p->lists++;
    TRY(add(out, "deeper", true, e));
    return add(out, "file", false, e);
}

static enum rc count_file(void *arg, const struct store_info *info, struct err *e)
{
    struct place *p = arg;
    size_t n = strlen(info->key);

    (void)e;
    p->files++;
    p->longest = n > p->longest ? n : p->longest;
    return RC_OK;
}

static enum rc count_leave(void *arg, const char *prefix, struct err *e)
{
    (void)prefix;
    (void)e;
    ((struct place *)arg)->left++;
    return RC_OK;
}

CASE(walk, directories_without_end_end_where_keys_do)
{
    struct place p = { 0 };
    const struct walk w = { endless, count_file, count_leave, &p, &p };
    struct err e = { 0 };

    OK(walk_below(&w, "", &e), &e);
    cr_assert_leq(p.longest, 512);
    cr_assert_gt(p.longest, 500);
    cr_assert_eq(p.lists, 512 / 7 + 1);
    cr_assert_eq(p.left, p.lists);
    cr_assert_eq(p.files, p.lists - 1, "in the last one no file has room");
}

static enum rc odd_names(void *arg, const char *prefix, struct walk_entries *out,
                         struct err *e)
{
    static const char *const names[] = { ".",     "..",  "",        "a/b", "../x",
                                         ".part", "a b", "\x1b[2J", "good" };
    char long_name[300];

    (void)arg;
    if (prefix[0] != '\0')
        return err_set(e, RC_NOTFOUND, "it went meanwhile");
    memset(long_name, 'x', sizeof long_name);
    long_name[201] = '\0';
    TRY(add(out, long_name, false, e));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        TRY(add(out, names[i], false, e));
    return add(out, "gone", true, e);
}

CASE(walk, names_that_are_no_keys_and_directories_that_went_are_passed_over)
{
    struct place p = { 0 };
    const struct walk w = { odd_names, count_file, count_leave, &p, &p };
    struct err e = { 0 };

    OK(walk_below(&w, "", &e), &e);
    cr_assert_eq(p.files, 1);
    cr_assert_eq(p.longest, 4);
    cr_assert_eq(p.left, 1);
}

static enum rc flood(void *arg, const char *prefix, struct walk_entries *out,
                     struct err *e)
{
    (void)arg;
    (void)prefix;
    for (;;)
        TRY(add(out, "x", false, e));
}

CASE(walk, a_list_without_end_is_no_list)
{
    struct place p = { 0 };
    const struct walk w = { flood, count_file, NULL, &p, &p };
    struct err e = { 0 };

    cr_assert_eq(walk_below(&w, "", &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "a directory has more than 1048576 entries");
    cr_assert_eq(p.files, 0);
}
