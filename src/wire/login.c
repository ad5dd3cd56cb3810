#include <string.h>

#include "util/mem.h"
#include "wire/call.h"

/* A password ends by being wiped. */
static void wipe_text(void *held)
{
    char *s = *(char **)held;

    if (s != NULL)
        mem_wipe(s, strlen(s));
    mem_free(s);
}

static bool is_header_safe(const char *token)
{
    return *token != '\0' && strpbrk(token, "\r\n") == NULL;
}

static enum rc keep_token(struct wire_client *c, const Etcdrpc__AuthenticateResponse *r,
                          struct err *e)
{
    char *token;

    if (!is_header_safe(r->token))
        return err_set(e, RC_NET, "the login was answered without a usable token");
    token = mem_str(r->token);
    if (token == NULL)
        return err_set(e, RC_NOMEM, "no memory for a token");
    wire_token_drop(c);
    c->token = token;
    return RC_OK;
}

enum rc wire_login(struct wire_client *c, struct err *e)
{
    AT_END(codec_end) Etcdrpc__AuthenticateResponse *r = NULL;
    AT_END(wipe_text) char *password = NULL;
    Etcdrpc__AuthenticateRequest request;
    struct err refusal = { 0 };
    char *user = c->user;
    enum rc rc;

    TRY(c->password(c->password_arg, &password, e));
    etcdrpc__authenticate_request__init(&request);
    request.name = user;
    request.password = password;
    struct wire_call q = {
        .method = "Auth/Authenticate",
        .request = &request,
        .reply = &etcdrpc__authenticate_response__descriptor,
        .endpoint = WIRE_ANY,
    };

    c->user = NULL; /* the login itself needs no login */
    rc = wire_call(c, &q, &r, NULL, &refusal);
    c->user = user;
    c->auth_off = rc != RC_OK && c->last.detail == WIRE_AUTH_OFF;
    /* A learner lets nobody log in, and says how it is without. */
    if (c->auth_off || (rc != RC_OK && c->last.detail == WIRE_LEARNER))
        return RC_OK;
    if (rc != RC_OK) {
        *e = refusal;
        return rc;
    }
    rc = keep_token(c, r, e);
    mem_wipe(r->token, strlen(r->token));
    return rc;
}

enum rc wire_login_once(struct wire_client *c, struct err *e)
{
    if (c->user == NULL || c->token != NULL || c->auth_off)
        return RC_OK;
    return wire_login(c, e);
}

bool wire_login_again(struct wire_client *c)
{
    bool curable = c->last.detail == WIRE_TOKEN_LOST || c->last.detail == WIRE_NO_LOGIN;

    if (c->user == NULL || !curable)
        return false;
    wire_token_drop(c);
    return true;
}
