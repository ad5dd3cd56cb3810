#include "cli/commands.h"
#include "crypto/age_keys.h"
#include "crypto/minisign.h"
#include "storage/posix.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

struct keygen_args {
    const char *output;
    bool signing;
};

/* clang-format off */
static const struct opt keygen_opts[] = {
    OPT(STR, "output", keygen_args, output, .letter = 'o', .arg = "FILE",
        .help = "write the key file here, mode 0600, instead of to stdout"),
    OPT(FLAG, "signing", keygen_args, signing,
        .help = "a key that signs backups, as minisign makes it, and beside it FILE.pub "
                "with the public half"),
    OPT_DONE,
};
/* clang-format on */

static enum rc put_secret(struct cli *c, const char *output, const char *text,
                          struct err *e)
{
    if (output != NULL)
        return posix_put_text(output, text, e);
    printer_put(c->out, text);
    return RC_OK;
}

static enum rc make_age(struct cli *c, const char *output, struct err *e)
{
    char recipient[AGE_RECIPIENT_SIZE];
    char file[AGE_KEYGEN_SIZE];
    enum rc rc;

    TRY(age_keygen(file, recipient, e));
    rc = put_secret(c, output, file, e);
    mem_wipe(file, sizeof file);
    if (rc == RC_OK)
        log_info("public key: %s", recipient);
    return rc;
}

/* The second line of a public key file: what `minisign -P` takes. */
static void say_public(const char *text)
{
    const char *line = strchr(text, '\n');

    if (line != NULL)
        log_info("public key: %.*s", (int)strcspn(line + 1, "\n"), line + 1);
}

/* The public half first: without its secret it does no harm. */
static enum rc put_pair(struct cli *c, const struct minisign_secret *s,
                        const char *output, struct err *e)
{
    AT_END(mem_end) char *beside = NULL;
    char public[MINISIGN_PUBLIC_SIZE], secret[MINISIGN_SECRET_SIZE];
    struct minisign_public k = minisign_public_of(s);
    enum rc rc;

    minisign_public_text(&k, public);
    if (output != NULL) {
        TRY(posix_put_check(output, e));
        TRY(str_format(&beside, e, "%s.pub", output));
        TRY(posix_put_text(beside, public, e));
    }
    rc = minisign_secret_text(s, secret, e);
    if (rc == RC_OK)
        rc = put_secret(c, output, secret, e);
    mem_wipe(secret, sizeof secret);
    if (rc == RC_OK)
        say_public(public);
    return rc;
}

static enum rc make_signing(struct cli *c, const char *output, struct err *e)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };

    TRY(minisign_generate(&s, e));
    return put_pair(c, &s, output, e);
}

static enum rc keygen(struct cli *c, const void *args, struct err *e)
{
    const struct keygen_args *a = args;

    return (a->signing ? make_signing : make_age)(c, a->output, e);
}

const struct command cmd_keygen = {
    .name = "keygen",
    .summary = "make a key pair: to encrypt for, or to sign with",
    .description =
        "Makes an age key pair and writes the text that age-keygen writes. Keep the file "
        "away from the hosts that take backups: they need only the public key. Without "
        "it no encrypted snapshot can be opened, so keep a second copy.\n\n"
        "With --signing, makes an Ed25519 key pair in minisign's files. The secret half "
        "signs the records of a repository and stays on the host that takes backups; "
        "FILE.pub goes to the hosts that check and restore them, by another way than "
        "the repository.",
    .examples =
        "# a key file, and its public key on stderr\n"
        "holdfast keygen -o backup.key\n"
        "# a key that signs backups, and signing.key.pub for those who check them\n"
        "holdfast keygen --signing -o signing.key\n",
    .opts = keygen_opts,
    .args_size = sizeof(struct keygen_args),
    .run = keygen,
};
