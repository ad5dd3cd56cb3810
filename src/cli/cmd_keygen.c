#include "cli/commands.h"
#include "crypto/age_keys.h"
#include "storage/posix.h"
#include "util/log.h"
#include "util/mem.h"

struct keygen_args {
    const char *output;
};

/* clang-format off */
static const struct opt keygen_opts[] = {
    OPT(STR, "output", keygen_args, output, .letter = 'o', .arg = "FILE",
        .help = "write the key file here, mode 0600, instead of to stdout"),
    OPT_DONE,
};
/* clang-format on */

static enum rc keygen(struct cli *c, const void *args, struct err *e)
{
    const struct keygen_args *a = args;
    char recipient[AGE_RECIPIENT_SIZE];
    char file[AGE_KEYGEN_SIZE];
    enum rc rc;

    TRY(age_keygen(file, recipient, e));
    if (a->output != NULL) {
        rc = posix_put_text(a->output, file, e);
    } else {
        printer_put(c->out, file);
        rc = RC_OK;
    }
    mem_wipe(file, sizeof file);
    if (rc == RC_OK)
        log_info("public key: %s", recipient);
    return rc;
}

const struct command cmd_keygen = {
    .name = "keygen",
    .summary = "make a key pair for encrypted snapshots",
    .description =
        "Makes an age key pair and writes the text that age-keygen writes. Keep the file "
        "away from the hosts that take backups: they need only the public key. Without "
        "it no encrypted snapshot can be opened, so keep a second copy.",
    .examples = "# a key file, and its public key on stderr\n"
                "holdfast keygen -o backup.key\n",
    .opts = keygen_opts,
    .args_size = sizeof(struct keygen_args),
    .run = keygen,
};
