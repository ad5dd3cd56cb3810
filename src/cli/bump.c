#include "cli/bump.h"

#include <string.h>

#include "util/str.h"

enum rc cli_bump(const char *text, enum restore_bump_kind *kind, int64_t *by,
                 struct err *e)
{
    uint64_t n;

    if (text == NULL)
        return RC_OK;
    if (strcmp(text, "auto") == 0) {
        *kind = RESTORE_BUMP_AUTO;
        return RC_OK;
    }
    if (!str_to_u64(text, &n) || n > INT64_MAX)
        return err_set(e, RC_USAGE, "--bump-revision '%s' is neither a number nor auto",
                       text);
    *kind = RESTORE_BUMP_BY;
    *by = (int64_t)n;
    return RC_OK;
}

enum rc cli_target(const char *text, unsigned *minor, struct err *e)
{
    static const char *const known[] = { "3.4", "3.5", "3.6", "3.7" };

    if (text == NULL)
        return RC_OK;
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(text, known[i]) == 0) {
            *minor = 4 + i;
            return RC_OK;
        }
    return err_set(e, RC_USAGE, "--target-version '%s' is not one of 3.4 to 3.7", text);
}
