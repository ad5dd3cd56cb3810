#include "cli/confirm.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto/secret.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

static enum rc open_terminal(int *tty, struct err *e)
{
    struct err why;

    if (os_open(AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY, 0, tty, &why) == RC_OK)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "there is no terminal to ask for confirmation" HINT
                   "--yes does it without asking; look first, with --dry-run where the "
                   "command has it");
}

enum rc cli_confirm_word(struct cli *c, const char *word, const char *is,
                         const char *what, struct err *e)
{
    AT_END(mem_end) char *question = NULL;
    OWNED(secret) typed = NULL;
    OWNED_FD int tty = -1;
    char shown[160];

    if (c->yes)
        return RC_OK;
    TRY(open_terminal(&tty, e));
    str_printable(shown, sizeof shown, bytes_str(is));
    TRY(str_format(&question, e, "Type %s, %s, to %s: ", word, shown, what));
    TRY(os_write_full(tty, question, strlen(question), "/dev/tty", e));
    TRY(secret_from_fd(tty, "/dev/tty", &typed, e));
    if (strcasecmp(typed->text, is) != 0)
        return err_set(e, RC_REFUSED, "that is not %s; nothing was done", word);
    return RC_OK;
}

enum rc cli_confirm(struct cli *c, uint64_t cluster, const char *what, struct err *e)
{
    char id[24];

    snprintf(id, sizeof id, "%" PRIx64, cluster);
    return cli_confirm_word(c, "the cluster's id", id, what, e);
}
