/* Authentication on and off, its revision and its tokens (etcd server/auth). */
#include <inttypes.h>
#include <stdio.h>

#include "machine/reply.h"
#include "machine/state.h"
#include "util/mem.h"

#define ROOT "root"

enum rc auth_revise(struct machine *m, struct err *e)
{
    uint8_t value[8];

    put_be64(value, m->auth_revision + 1);
    TRY(table_put(bucket_of(m, MVCC_AUTH), bytes_str(MVCC_AUTH_REVISION), BYTES_OF(value),
                  NULL, e));
    m->auth_revision++;
    return RC_OK;
}

static enum rc store_enabled(struct machine *m, bool enabled, struct err *e)
{
    const uint8_t value[1] = { enabled ? 1 : 0 };

    TRY(table_put(bucket_of(m, MVCC_AUTH), bytes_str(MVCC_AUTH_ENABLED), BYTES_OF(value),
                  NULL, e));
    m->auth_enabled = enabled;
    return RC_OK;
}

/* Enabling alone does not raise the revision; disabling does. */
enum rc auth_enable_apply(struct machine *m, const struct caller *who,
                          const void *request, struct machine_outcome *o, struct err *e)
{
    const struct user *root = user_find(m, ROOT);

    (void)who;
    (void)request;
    if (m->auth_enabled)
        return RC_OK;
    if (root == NULL)
        return refused(o, REFUSE_NO_ROOT);
    if (!user_has(root, ROOT))
        return refused(o, REFUSE_NO_ROOT_ROLE);
    return store_enabled(m, true, e);
}

enum rc auth_disable_apply(struct machine *m, const struct caller *who,
                           const void *request, struct machine_outcome *o, struct err *e)
{
    (void)who;
    (void)request;
    (void)o;
    if (!m->auth_enabled)
        return RC_OK;
    TRY(store_enabled(m, false, e));
    tokens_drop(m, NULL);
    return auth_revise(m, e);
}

enum rc auth_status_query(const struct machine *m, const struct caller *who,
                          const void *request, struct machine_outcome *o, struct err *e)
{
    (void)who;
    (void)request;
    if (!o->wants_reply)
        return RC_OK;
    TRY(reply_number(&o->reply, 2, m->auth_enabled, e));
    return reply_number(&o->reply, 3, m->auth_revision, e);
}

bool machine_auth_enabled(const struct machine *m)
{
    return m->auth_enabled;
}

uint64_t machine_auth_revision(const struct machine *m)
{
    return m->auth_revision;
}

/* ---- tokens -------------------------------------------------------------------------
 */

static void token_remove(struct machine *m, size_t i)
{
    mem_free(m->tokens[i].text);
    mem_free(m->tokens[i].user);
    m->tokens[i] = m->tokens[--m->token_count];
}

void tokens_drop(struct machine *m, const char *user)
{
    for (size_t i = m->token_count; i > 0; i--)
        if (user == NULL || strcmp(m->tokens[i - 1].user, user) == 0)
            token_remove(m, i - 1);
}

void machine_token_drop(struct machine *m, const char *token)
{
    for (size_t i = m->token_count; i > 0; i--)
        if (strcmp(m->tokens[i - 1].text, token) == 0)
            token_remove(m, i - 1);
}

const char *machine_token_user(const struct machine *m, const char *token)
{
    for (size_t i = 0; i < m->token_count; i++)
        if (strcmp(m->tokens[i].text, token) == 0)
            return m->tokens[i].user;
    return NULL;
}

static enum rc token_add(struct machine *m, const char *text, const char *user,
                         struct err *e)
{
    struct token *tokens = mem_resize(m->tokens, m->token_count + 1, sizeof *tokens);
    struct token t = { 0 };

    if (tokens != NULL) {
        m->tokens = tokens;
        t = (struct token){ .text = mem_str(text), .user = mem_str(user) };
    }
    if (t.text == NULL || t.user == NULL) {
        mem_free(t.text);
        mem_free(t.user);
        return err_set(e, RC_NOMEM, "no memory for a token");
    }
    m->tokens[m->token_count++] = t;
    return RC_OK;
}

/* The server made the first part; behind it comes the index that it read while applying:
 * from 3.6 on still that of the entry before. */
static enum rc token_text(const struct machine *m, const char *prefix, char **out,
                          struct err *e)
{
    uint64_t index = m->applying != 0 ? m->applying : m->index + 1;

    return str_format(out, e, "%s.%" PRIu64, prefix,
                      m->options.minor >= 6 ? index - 1 : index);
}

/* The password was compared before the request was logged. */
enum rc authenticate_apply(struct machine *m, const struct caller *who,
                           const void *request, struct machine_outcome *o, struct err *e)
{
    const Raftreq__InternalAuthenticate *r = request;
    const struct user *u = user_find(m, r->name);
    AT_END(mem_end) char *text = NULL;

    (void)who;
    if (!m->auth_enabled)
        return refused(o, REFUSE_AUTH_OFF);
    if (u == NULL || (u->stored->options != NULL && u->stored->options->no_password))
        return refused(o, REFUSE_AUTH_FAILED);
    TRY(token_text(m, r->simple_token, &text, e));
    machine_token_drop(m, text);
    TRY(token_add(m, text, r->name, e));
    return o->wants_reply ? reply_text(&o->reply, 2, text, e) : RC_OK;
}
