#include "cli/connect.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"

void cli_login_clear(struct cli_login *l)
{
    if (l->user != NULL)
        mem_wipe(l->user, strlen(l->user));
    mem_free(l->user);
    secret_free(l->asked);
}

static enum rc ask(struct cli_login *l, struct err *e)
{
    char prompt[160];

    if (l->asked != NULL)
        return RC_OK;
    snprintf(prompt, sizeof prompt, "password of etcd user '%s': ", l->user);
    return secret_from_prompt(prompt, false, &l->asked, e);
}

/* Each source in turn: --user NAME:PASSWORD, --password, --password-file, the terminal.
 * A file is read at each login, so that a rotated password is found. */
enum rc cli_password(void *arg, char **out, struct err *e)
{
    struct cli_login *l = arg;
    OWNED(secret) from_file = NULL;
    const char *text = l->password;

    if (text == NULL)
        text = l->connection->password;
    if (text == NULL && l->connection->password_file != NULL) {
        TRY(secret_from_file(l->connection->password_file, &from_file, e));
        text = from_file->text;
    }
    if (text == NULL) {
        TRY(ask(l, e));
        text = l->asked->text;
    }
    *out = mem_str(text);
    return *out == NULL ? err_set(e, RC_NOMEM, "no memory for a password") : RC_OK;
}

enum rc cli_login_init(struct cli_login *l, const struct cli_connection *from,
                       struct err *e)
{
    char *colon;

    l->connection = from;
    if (from->user == NULL)
        return RC_OK;
    l->user = mem_str(from->user);
    if (l->user == NULL)
        return err_set(e, RC_NOMEM, "no memory for a user name");
    colon = strchr(l->user, ':');
    if (colon != NULL) {
        *colon = '\0';
        l->password = colon + 1;
    }
    return RC_OK;
}

static enum rc join(const struct str_list *l, char **out, struct err *e)
{
    struct buf b = { 0 };
    enum rc rc = RC_OK;

    for (size_t i = 0; i < l->count && rc == RC_OK; i++) {
        if (i > 0)
            rc = buf_add(&b, ",", 1, e);
        if (rc == RC_OK)
            rc = buf_add(&b, l->items[i], strlen(l->items[i]), e);
    }
    if (rc == RC_OK)
        rc = buf_add(&b, "", 1, e);
    *out = (char *)b.p;
    return rc;
}

struct wire_options cli_wire_options(const struct cli_connection *from,
                                     struct cli_login *l)
{
    return (struct wire_options){
        .cacert = from->cacert,
        .cert = from->cert,
        .key = from->key,
        .insecure_skip_tls_verify = from->insecure_skip_tls_verify,
        .user = l->user,
        .password = cli_password,
        .password_arg = l,
        .dial_timeout_ms = from->dial_timeout_ms,
        .command_timeout_ms = from->command_timeout_ms,
        .stall_timeout_ms = from->stall_timeout_ms,
    };
}

enum rc cli_connect(struct cli *c, struct cli_login *login, struct wire_client **out,
                    struct err *e)
{
    AT_END(mem_end) char *endpoints = NULL;
    struct wire_options o;

    TRY(cli_login_init(login, &c->connection, e));
    TRY(join(&c->connection.endpoints, &endpoints, e));
    o = cli_wire_options(&c->connection, login);
    o.endpoints = endpoints;
    return wire_client_new(&o, out, e);
}
