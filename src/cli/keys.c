#include "cli/keys.h"

/* The passphrase from a file or the terminal; *out stays NULL when none is wanted. */
static enum rc read_passphrase(bool ask, const char *file, bool twice,
                               struct secret **out, struct err *e)
{
    if (file != NULL)
        return secret_from_file(file, out, e);
    if (ask)
        return secret_from_prompt("passphrase: ", twice, out, e);
    return RC_OK;
}

enum rc cli_recipients(const struct seal_args *args, struct age_recipients **out,
                       struct err *e)
{
    OWNED(age_recipients) to = NULL;
    OWNED(secret) passphrase = NULL;

    TRY(read_passphrase(args->passphrase, args->passphrase_file, true, &passphrase, e));
    if (passphrase == NULL && args->recipients.count == 0 &&
        args->recipients_files.count == 0)
        return RC_OK;
    TRY(age_recipients_new(&to, e));
    for (size_t i = 0; i < args->recipients.count; i++)
        TRY(age_recipients_add(to, args->recipients.items[i], e));
    for (size_t i = 0; i < args->recipients_files.count; i++)
        TRY(age_recipients_add_file(to, args->recipients_files.items[i], e));
    if (passphrase != NULL)
        TRY(age_recipients_set_passphrase(to, passphrase, e));
    *out = GIVE(to);
    return RC_OK;
}

enum rc cli_identities(const struct open_args *args, struct age_identities **out,
                       struct err *e)
{
    OWNED(age_identities) ids = NULL;
    OWNED(secret) passphrase = NULL;

    TRY(read_passphrase(args->passphrase, args->passphrase_file, false, &passphrase, e));
    if (passphrase == NULL && args->identities.count == 0)
        return RC_OK;
    TRY(age_identities_new(&ids, e));
    for (size_t i = 0; i < args->identities.count; i++)
        TRY(age_identities_add_file(ids, args->identities.items[i], e));
    if (passphrase != NULL)
        TRY(age_identities_add_passphrase(ids, passphrase, e));
    *out = GIVE(ids);
    return RC_OK;
}
