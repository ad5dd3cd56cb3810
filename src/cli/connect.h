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
enum rc cli_login_init(struct cli_login *l, const struct cli_connection *from,
                       struct err *e);
void cli_login_clear(struct cli_login *l);

/* A wire_password_fn: `arg` is the struct cli_login. */
enum rc cli_password(void *arg, char **out, struct err *e);

/* All but the endpoints; the password comes from cli_password. */
struct wire_options cli_wire_options(const struct cli_connection *from,
                                     struct cli_login *l);

/* RC_USAGE for options that cannot work. Nothing is connected to yet. */
enum rc cli_connect(struct cli *c, struct cli_login *login, struct wire_client **out,
                    struct err *e);

#endif
