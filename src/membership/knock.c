#include "membership/knock.h"

#include "util/json.h"

enum { ANSWER_MS = 500, ANSWER_MAX = 1 << 20 };

bool membership_is_stranger(struct bytes answer, uint64_t id)
{
    OWNED(json) list = NULL;
    struct err ignored = { 0 };
    uint64_t one;

    if (json_parse(answer, "the members", &list, &ignored) != RC_OK ||
        json_count(list) == 0)
        return false;
    for (size_t i = 0; i < json_count(list); i++)
        if (!json_get_u64(json_at(list, i), "id", &one) || one == id)
            return false;
    return true;
}

static enum rc ask(struct http *h, const char *peer_url, uint64_t id, bool *stranger,
                   struct err *e)
{
    AT_END(buf_clear) struct buf answer = { .cap_max = ANSWER_MAX };
    AT_END(mem_end) char *url = NULL;
    struct err why = { 0 };
    int status = 0;
    enum rc rc;

    TRY(str_format(&url, e, "%s/members", peer_url));
    rc = http_get(h, url, ANSWER_MS, &answer, &status, &why);
    if (rc == RC_NOMEM || rc == RC_INTERRUPTED) {
        *e = why;
        return rc;
    }
    if (rc == RC_OK && status == 200)
        *stranger = membership_is_stranger((struct bytes){ answer.p, answer.n }, id);
    return RC_OK;
}

enum rc membership_knock(const struct http_options *trust,
                         const struct str_list *peer_urls, uint64_t id, bool *stranger,
                         struct err *e)
{
    struct http_options o = *trust;
    OWNED(http) h = NULL;

    *stranger = false;
    o.dial_timeout_ms = ANSWER_MS;
    TRY(http_new(&o, &h, e));
    for (size_t i = 0; i < peer_urls->count && !*stranger; i++)
        TRY(ask(h, peer_urls->items[i], id, stranger, e));
    return RC_OK;
}
