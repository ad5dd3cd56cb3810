#include "runbook/roll.h"

#include <string.h>

static enum rc append(struct roll *r, const char *text, struct err *e)
{
    return buf_add(&r->initial, text, strlen(text), e);
}

enum rc roll_add(struct roll *r, const char *name, const struct str_list *peer_urls,
                 struct err *e)
{
    if (name == NULL || name[0] == '\0' || peer_urls->count == 0)
        return RC_OK;
    TRY(append(r, r->initial.n == 0 ? "" : ",", e));
    TRY(append(r, name, e));
    TRY(append(r, "=", e));
    TRY(append(r, peer_urls->items[0], e));
    return str_list_add(&r->facts->members, name, e);
}

enum rc roll_close(struct roll *r, struct err *e)
{
    if (r->initial.n == 0)
        return RC_OK;
    TRY(buf_add(&r->initial, "", 1, e));
    return runbook_know(r->facts, "members", (const char *)r->initial.p, e);
}
