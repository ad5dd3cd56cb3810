#include "wire/cluster.h"

#include "util/mem.h"
#include "wire/call.h"

static enum rc copy_list(struct str_list *to, char **from, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        TRY(str_list_add(to, from[i], e));
    return RC_OK;
}

static enum rc fill_member(struct wire_member *m, const Etcdrpc__Member *from,
                           struct err *e)
{
    m->id = from->id;
    m->is_learner = from->is_learner;
    m->name = mem_str(from->name);
    if (m->name == NULL)
        return err_set(e, RC_NOMEM, "no memory for a member");
    TRY(copy_list(&m->peer_urls, from->peer_urls, from->n_peer_urls, e));
    return copy_list(&m->client_urls, from->client_urls, from->n_client_urls, e);
}

static enum rc fill_members(struct wire_members *m, Etcdrpc__Member **from, size_t n,
                            struct err *e)
{
    TRY(mem_new(&m->items, n * sizeof *m->items, "members", e));
    for (size_t i = 0; i < n; i++) {
        m->count++;
        TRY(fill_member(&m->items[i], from[i], e));
    }
    return RC_OK;
}

enum rc wire_member_list(struct wire_client *c, size_t endpoint, bool linearizable,
                         struct wire_members *out, struct err *e)
{
    Etcdrpc__MemberListRequest request = ETCDRPC__MEMBER_LIST_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__MemberListResponse *r = NULL;
    struct wire_members m = { 0 };
    struct wire_call q = {
        .method = "Cluster/MemberList",
        .request = &request,
        .reply = &etcdrpc__member_list_response__descriptor,
        .endpoint = endpoint,
        .role = WIRE_ANYONE,
        .lone = !linearizable,
    };

    request.linearizable = linearizable;
    TRY(wire_call(c, &q, &r, &m.header, e));
    enum rc rc = fill_members(&m, r->members, r->n_members, e);

    if (rc != RC_OK)
        wire_members_clear(&m);
    else
        *out = m;
    return rc;
}

void wire_members_clear(struct wire_members *m)
{
    for (size_t i = 0; i < m->count; i++) {
        mem_free(m->items[i].name);
        str_list_clear(&m->items[i].peer_urls);
        str_list_clear(&m->items[i].client_urls);
    }
    mem_free(m->items);
    *m = (struct wire_members){ 0 };
}

enum rc wire_member_add(struct wire_client *c, const struct str_list *peer_urls,
                        bool as_learner, uint64_t *id, struct err *e)
{
    Etcdrpc__MemberAddRequest request = ETCDRPC__MEMBER_ADD_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__MemberAddResponse *r = NULL;

    request.peer_urls = peer_urls->items;
    request.n_peer_urls = peer_urls->count;
    request.is_learner = as_learner;
    TRY(wire_change(c, "Cluster/MemberAdd", &request,
                    &etcdrpc__member_add_response__descriptor, &r, e));
    if (r->member == NULL)
        return err_set(e, RC_CORRUPT,
                       "the answer to MemberAdd names no member" HINT
                       "list the members: it was probably added");
    *id = r->member->id;
    return RC_OK;
}

enum rc wire_member_remove(struct wire_client *c, uint64_t id, struct err *e)
{
    Etcdrpc__MemberRemoveRequest request = ETCDRPC__MEMBER_REMOVE_REQUEST__INIT;

    request.id = id;
    return wire_change(c, "Cluster/MemberRemove", &request,
                       &etcdrpc__member_remove_response__descriptor, NULL, e);
}

enum rc wire_member_update(struct wire_client *c, uint64_t id,
                           const struct str_list *peer_urls, struct err *e)
{
    Etcdrpc__MemberUpdateRequest request = ETCDRPC__MEMBER_UPDATE_REQUEST__INIT;

    request.id = id;
    request.peer_urls = peer_urls->items;
    request.n_peer_urls = peer_urls->count;
    return wire_change(c, "Cluster/MemberUpdate", &request,
                       &etcdrpc__member_update_response__descriptor, NULL, e);
}

enum rc wire_member_promote(struct wire_client *c, uint64_t id, struct err *e)
{
    Etcdrpc__MemberPromoteRequest request = ETCDRPC__MEMBER_PROMOTE_REQUEST__INIT;

    request.id = id;
    return wire_change(c, "Cluster/MemberPromote", &request,
                       &etcdrpc__member_promote_response__descriptor, NULL, e);
}
