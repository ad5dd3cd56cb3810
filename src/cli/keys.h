/* Who may open a stored snapshot: the options for recipients, identities and
 * passphrases that several commands share, and the key objects they stand for. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "cli/opt.h"
#include "crypto/age.h"

/* For writing. Embed it, and list SEAL_OPTS in the command's options. */
struct seal_args {
    struct str_list recipients, recipients_files;
    const char *passphrase_file;
    bool passphrase;
};

/* Without a passphrase: for what is encrypted where nobody can type one. */
#define SEAL_KEYS_OPTS(args, field)                                                 \
    OPT(LIST, "recipient", args, field.recipients, .letter = 'r', .arg = "AGE1...", \
        .env = OPT_ENV_OWN, .help = "encrypt for this age recipient"),              \
        OPT(LIST, "recipients-file", args, field.recipients_files, .letter = 'R',   \
            .arg = "FILE", .env = OPT_ENV_OWN,                                      \
            .help = "encrypt for the recipients in this file, one a line")

#define SEAL_OPTS(args, field)                                                  \
    SEAL_KEYS_OPTS(args, field),                                                \
        OPT(FLAG, "passphrase", args, field.passphrase,                         \
            .help = "encrypt by a passphrase, asked for on the terminal"),      \
        OPT(STR, "passphrase-file", args, field.passphrase_file, .arg = "FILE", \
            .env = OPT_ENV_OWN, .help = "the passphrase is the first line of this file")

/* *out stays NULL when no recipient and no passphrase was named. */
enum rc cli_recipients(const struct seal_args *args, struct age_recipients **out,
                       struct err *e);

/* For reading. */
struct open_args {
    struct str_list identities;
    const char *passphrase_file;
    bool passphrase;
};

#define OPEN_OPTS(args, field)                                                  \
    OPT(LIST, "identity", args, field.identities, .letter = 'i', .arg = "FILE", \
        .env = OPT_ENV_OWN,                                                     \
        .help = "file with the secret key of an encrypted snapshot"),           \
        OPT(FLAG, "passphrase", args, field.passphrase,                         \
            .help = "open it by a passphrase, asked for on the terminal"),      \
        OPT(STR, "passphrase-file", args, field.passphrase_file, .arg = "FILE", \
            .env = OPT_ENV_OWN, .help = "the passphrase is the first line of this file")

/* *out stays NULL when nothing was named. */
enum rc cli_identities(const struct open_args *args, struct age_identities **out,
                       struct err *e);

#endif
