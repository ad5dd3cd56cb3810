/* From the shared connection options to a client of the cluster. */
#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include "cli/cli.h"
#include "crypto/secret.h"
#include "wire/wire.h"

/* What must live as long as the client: where its password comes from. */
struct cli_login {
    const struct cli_connection *connection;
    char *user;           /* without the password */
    const char *password; /* behind the colon of --user; NULL elsewhere */
    struct secret *asked; /* typed once, kept for a second login */
};
void cli_login_clear(struct cli_login *l);

/* RC_USAGE for options that cannot work. Nothing is connected to yet. */
enum rc cli_connect(struct cli *c, struct cli_login *login, struct wire_client **out,
                    struct err *e);

#endif
