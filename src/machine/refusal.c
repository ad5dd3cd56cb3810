#include "machine/refusal.h"

static const struct {
    int code;
    const char *text;
} refusals[] = {
#define X(name, status, words) { status, words },
    REFUSAL_TABLE(X)
#undef X
};

void refuse(struct machine_outcome *o, enum refusal why)
{
    o->code = refusals[why].code;
    o->message = refusals[why].text;
    if (why != ALLOWED)
        o->reply.n = 0;
}

void machine_outcome_end(struct machine_outcome *o)
{
    buf_clear(&o->reply);
}
