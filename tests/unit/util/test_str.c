#include "util/str.h"

#include <errno.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

CASE(util_str, append_goes_behind_what_is_there)
{
    AT_END(buf_clear) struct buf b = { 0 };
    AT_END(mem_end) char *text = NULL;
    struct err e = { 0 };

    OK(str_append(&b, &e, "%s=%d", "a", 1), &e);
    OK(str_append(&b, &e, "%s", ""), &e);
    OK(str_append(&b, &e, ",%08000d", 2), &e);
    OK(str_take(&b, &text, &e), &e);
    cr_assert_eq(strlen(text), strlen("a=1,") + 8000);
    cr_assert_eq(strncmp(text, "a=1,000", 7), 0);
    cr_assert_eq(text[8003], '2');
}

CASE(util_str, append_keeps_to_the_cap_of_the_buffer)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 16 };
    struct err e = { 0 };

    OK(str_append(&b, &e, "%s", "0123456789"), &e);
    cr_assert_neq(str_append(&b, &e, "%s", "0123456789"), RC_OK);
    cr_assert_eq(b.n, 10);
}

static enum rc make_both(struct buf *b, struct str_list *l, struct err *e)
{
    TRY(str_append(b, e, "%d", 1));
    TRY(str_list_format(l, e, "%d", 2));
    return str_list_format(l, e, "%s %s", "3", "4");
}

CASE(util_str, no_memory_is_told_and_nothing_is_left_half)
{
    FAULT_SWEEP(FAULT_ALLOC, nth, ENOMEM) {
        AT_END(str_list_clear) struct str_list l = { 0 };
        AT_END(buf_clear) struct buf b = { 0 };
        struct err e = { 0 };
        enum rc rc = make_both(&b, &l, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%u", nth);
        cr_assert_eq(rc == RC_OK, l.count == 2);
        if (rc == RC_OK)
            cr_assert_str_eq(l.items[1], "3 4");
    }
}
