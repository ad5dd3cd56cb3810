/* Membership and versions: buckets members, members_removed and cluster, and confState
 * (etcd server/etcdserver/api/membership, and applyConfChange of the server). */
#include "machine/reply.h"
#include "machine/state.h"
#include "util/json.h"
#include "util/mem.h"

/* ---- the list -----------------------------------------------------------------------
 */

static bool find(const struct machine *m, uint64_t id, size_t *at)
{
    size_t i = 0;

    while (i < m->member_count && m->members[i].id < id)
        i++;
    *at = i;
    return i < m->member_count && m->members[i].id == id;
}

/* Owns the member's parts from the call on; on failure they are ended. */
static enum rc place(struct machine *m, struct mvcc_member *member, struct err *e)
{
    size_t at;

    if (find(m, member->id, &at)) {
        mvcc_member_clear(&m->members[at]);
    } else {
        struct mvcc_member *members =
            mem_resize(m->members, m->member_count + 1, sizeof *members);

        if (members == NULL) {
            mvcc_member_clear(member);
            return err_set(e, RC_NOMEM, "no memory for a member");
        }
        memmove(&members[at + 1], &members[at], (m->member_count - at) * sizeof *members);
        m->members = members;
        m->member_count++;
    }
    m->members[at] = *member;
    *member = (struct mvcc_member){ 0 };
    return RC_OK;
}

enum rc member_load(struct machine *m, struct bytes key, struct bytes value,
                    struct err *e)
{
    struct mvcc_member member = { 0 };

    TRY(mvcc_member_read(key, value, &member, e));
    TRY(place(m, &member, e));
    return table_lend(bucket_of(m, MVCC_MEMBERS), key, value, NULL, e);
}

static enum rc store(struct machine *m, const struct mvcc_member *member, struct err *e)
{
    AT_END(buf_clear) struct buf value = { 0 };
    char key[MVCC_MEMBER_KEY_MAX];

    TRY(mvcc_member_write(member, &value, e));
    mvcc_member_key_write(key, member->id);
    return table_put(bucket_of(m, MVCC_MEMBERS), bytes_str(key), buf_bytes(&value), NULL,
                     e);
}

const struct mvcc_member *machine_members(const struct machine *m, size_t *count)
{
    *count = m->member_count;
    return m->members;
}

bool machine_removed(const struct machine *m, uint64_t id)
{
    char key[MVCC_MEMBER_KEY_MAX];

    mvcc_member_key_write(key, id);
    return table_row(&m->buckets[MVCC_MEMBERS_REMOVED], bytes_str(key)) != NULL;
}

static enum rc remove_member(struct machine *m, uint64_t id, struct err *e)
{
    char key[MVCC_MEMBER_KEY_MAX];
    size_t at;

    mvcc_member_key_write(key, id);
    TRY(table_put(bucket_of(m, MVCC_MEMBERS_REMOVED), bytes_str(key),
                  bytes_str("removed"), NULL, e));
    if (table_find(bucket_of(m, MVCC_MEMBERS), bytes_str(key), &at))
        table_remove(bucket_of(m, MVCC_MEMBERS), at);
    if (find(m, id, &at)) {
        mvcc_member_clear(&m->members[at]);
        m->member_count--;
        memmove(&m->members[at], &m->members[at + 1],
                (m->member_count - at) * sizeof *m->members);
    }
    return RC_OK;
}

/* ---- attributes and versions --------------------------------------------------------
 */

static enum rc copy_list(const struct str_list *from, struct str_list *to, struct err *e)
{
    for (size_t i = 0; i < from->count; i++)
        TRY(str_list_add(to, from->items[i], e));
    return RC_OK;
}

static void list_end(struct str_list *l)
{
    str_list_clear(l);
}

enum rc member_publish(struct machine *m, uint64_t id, const char *name,
                       const struct str_list *client_urls, struct err *e)
{
    AT_END(list_end) struct str_list urls = { 0 };
    size_t at;
    char *copy;

    if (!find(m, id, &at))
        return RC_OK;
    TRY(copy_list(client_urls, &urls, e));
    copy = mem_str(name);
    if (copy == NULL)
        return err_set(e, RC_NOMEM, "no memory for a member's name");
    struct mvcc_member *member = &m->members[at];

    mem_free(member->name);
    str_list_clear(&member->client_urls);
    member->name = copy;
    member->client_urls = urls;
    urls = (struct str_list){ 0 };
    return store(m, member, e);
}

enum rc member_attr_set_apply(struct machine *m, const struct caller *who,
                              const void *request, struct machine_outcome *o,
                              struct err *e)
{
    const Memberpb__MemberAttrSet *r = request;
    const Memberpb__Attributes *a = r->member_attributes;
    struct str_list urls = { 0 };

    (void)who;
    (void)o;
    if (a != NULL)
        urls = (struct str_list){ a->client_urls, a->n_client_urls };
    return member_publish(m, r->member_id, a == NULL ? "" : a->name, &urls, e);
}

enum rc cluster_version_store(struct machine *m, const char *version, struct err *e)
{
    struct mvcc_version v;
    char *copy;

    TRY(mvcc_version_read(bytes_str(version), &v, e));
    copy = mem_str(version);
    if (copy == NULL)
        return err_set(e, RC_NOMEM, "no memory for the cluster's version");
    mem_free(m->cluster_version);
    m->cluster_version = copy;
    m->version_decided = true;
    return table_put(bucket_of(m, MVCC_CLUSTER), bytes_str(MVCC_CLUSTER_VERSION),
                     bytes_str(version), NULL, e);
}

enum rc cluster_version_set_apply(struct machine *m, const struct caller *who,
                                  const void *request, struct machine_outcome *o,
                                  struct err *e)
{
    const Memberpb__ClusterVersionSet *r = request;

    (void)who;
    (void)o;
    return cluster_version_store(m, r->ver, e);
}

const char *machine_cluster_version(const struct machine *m)
{
    return m->cluster_version;
}

enum rc downgrade_info_set_apply(struct machine *m, const struct caller *who,
                                 const void *request, struct machine_outcome *o,
                                 struct err *e)
{
    const Memberpb__DowngradeInfoSet *r = request;
    AT_END(mem_end) char *text = NULL;
    struct mvcc_version v;

    (void)who;
    (void)o;
    if (r->enabled)
        TRY(mvcc_version_read(bytes_str(r->ver), &v, e));
    TRY(str_format(&text, e, "{\"target-version\":\"%s\",\"enabled\":%s}",
                   r->enabled ? r->ver : "", r->enabled ? "true" : "false"));
    return table_put(bucket_of(m, MVCC_CLUSTER), bytes_str(MVCC_DOWNGRADE),
                     bytes_str(text), NULL, e);
}

/* ---- changes ------------------------------------------------------------------------
 */

/* What a change carries beside the member's id. */
struct wanted {
    struct mvcc_member member;
    bool promote;
};

static void wanted_end(struct wanted *w)
{
    mvcc_member_clear(&w->member);
}

static enum rc context_read(const struct wal_change *c, struct wanted *out, struct err *e)
{
    char key[MVCC_MEMBER_KEY_MAX];
    OWNED(json) j = NULL;

    if (c->type == WAL_CHANGE_REMOVE)
        return RC_OK;
    mvcc_member_key_write(key, c->node_id);
    TRY(json_parse(c->context, "a membership change", &j, e));
    (void)json_get_bool(j, "isPromote", &out->promote);
    return mvcc_member_read(bytes_str(key), c->context, &out->member, e);
}

/* Does anybody but `id` listen there? */
static bool urls_taken(const struct machine *m, uint64_t id, const struct str_list *urls)
{
    for (size_t i = 0; i < m->member_count; i++)
        for (size_t k = 0; m->members[i].id != id && k < urls->count; k++)
            if (str_list_has(&m->members[i].peer_urls, urls->items[k]))
                return true;
    return false;
}

static enum refusal check_add(const struct machine *m, const struct wal_change *c,
                              const struct wanted *w)
{
    size_t learners = 0, at;

    if (find(m, c->node_id, &at))
        return REFUSE_MEMBER_EXISTS;
    if (urls_taken(m, c->node_id, &w->member.peer_urls))
        return REFUSE_PEER_URL_EXISTS;
    for (size_t i = 0; i < m->member_count; i++)
        learners += m->members[i].learner ? 1 : 0;
    size_t room = m->options.max_learners == 0 ? 1 : m->options.max_learners;

    return w->member.learner && c->type == WAL_CHANGE_ADD_LEARNER && learners >= room
               ? REFUSE_LEARNERS
               : ALLOWED;
}

static enum refusal check_change(const struct machine *m, const struct wal_change *c,
                                 const struct wanted *w)
{
    bool adds = c->type == WAL_CHANGE_ADD || c->type == WAL_CHANGE_ADD_LEARNER;
    size_t at;

    if (machine_removed(m, c->node_id))
        return REFUSE_NO_MEMBER;
    if (adds && !w->promote)
        return check_add(m, c, w);
    if (!find(m, c->node_id, &at))
        return REFUSE_NO_MEMBER;
    if (adds)
        return m->members[at].learner ? ALLOWED : REFUSE_NOT_LEARNER;
    return c->type == WAL_CHANGE_UPDATE && urls_taken(m, c->node_id, &w->member.peer_urls)
               ? REFUSE_PEER_URL_EXISTS
               : ALLOWED;
}

/* 3.4 takes the learner flag from an update too, which never carries it. */
static enum rc update(struct machine *m, struct wanted *w, struct err *e)
{
    struct mvcc_member *member;
    size_t at;

    if (!find(m, w->member.id, &at))
        return RC_OK;
    member = &m->members[at];
    str_list_clear(&member->peer_urls);
    member->peer_urls = w->member.peer_urls;
    w->member.peer_urls = (struct str_list){ 0 };
    if (m->options.minor <= 4)
        member->learner = w->member.learner;
    return store(m, member, e);
}

static enum rc promote(struct machine *m, uint64_t id, struct err *e)
{
    size_t at;

    if (!find(m, id, &at))
        return RC_OK;
    m->members[at].learner = false;
    return store(m, &m->members[at], e);
}

static enum rc add(struct machine *m, struct wanted *w, struct err *e)
{
    TRY(store(m, &w->member, e));
    return place(m, &w->member, e);
}

static enum rc change(struct machine *m, const struct wal_change *c, struct wanted *w,
                      struct err *e)
{
    switch (c->type) {
    case WAL_CHANGE_ADD:
    case WAL_CHANGE_ADD_LEARNER:
        return w->promote ? promote(m, c->node_id, e) : add(m, w, e);
    case WAL_CHANGE_REMOVE:
        return remove_member(m, c->node_id, e);
    case WAL_CHANGE_UPDATE:
        return update(m, w, e);
    }
    return RC_OK;
}

static void conf_end(struct mvcc_conf_state *c)
{
    mvcc_conf_state_clear(c);
}

/* Raft's own view, which 3.5 and later keep in the file: the members by their role. */
static enum rc store_conf(struct machine *m, struct err *e)
{
    AT_END(conf_end) struct mvcc_conf_state conf = { 0 };
    AT_END(buf_clear) struct buf value = { 0 };

    if (m->options.minor < 5)
        return RC_OK;
    for (size_t i = 0; i < m->member_count; i++)
        TRY(mvcc_ids_add(m->members[i].learner ? &conf.learners : &conf.voters,
                         m->members[i].id, e));
    TRY(mvcc_conf_state_write(&conf, &value, e));
    return table_put(bucket_of(m, MVCC_META), bytes_str(MVCC_CONF_STATE),
                     buf_bytes(&value), NULL, e);
}

/* ---- replies ------------------------------------------------------------------------
 */

static enum rc reply_member(const struct mvcc_member *member, uint32_t field,
                            struct buf *out, struct err *e)
{
    AT_END(buf_clear) struct buf part = { 0 };
    const struct str_list *peers = &member->peer_urls, *clients = &member->client_urls;

    TRY(reply_number(&part, 1, member->id, e));
    TRY(reply_text(&part, 2, member->name == NULL ? "" : member->name, e));
    for (size_t i = 0; i < peers->count; i++)
        TRY(pb_put_bytes(&part, 3, bytes_str(peers->items[i]), e));
    for (size_t i = 0; i < clients->count; i++)
        TRY(pb_put_bytes(&part, 4, bytes_str(clients->items[i]), e));
    TRY(reply_number(&part, 5, member->learner, e));
    return reply_part(out, field, &part, e);
}

/* MemberAddResponse shows the new one first; the other responses have only the list. */
static enum rc reply_change(const struct machine *m, uint64_t added, struct buf *out,
                            struct err *e)
{
    uint32_t list = added != 0 ? 3 : 2;
    size_t at;

    if (added != 0 && find(m, added, &at))
        TRY(reply_member(&m->members[at], 2, out, e));
    for (size_t i = 0; i < m->member_count; i++)
        TRY(reply_member(&m->members[i], list, out, e));
    return RC_OK;
}

static enum rc change_checked(struct machine *m, const struct wal_change *c,
                              struct machine_outcome *o, struct err *e)
{
    AT_END(wanted_end) struct wanted w = { 0 };
    enum refusal why;

    TRY(context_read(c, &w, e));
    why = check_change(m, c, &w);
    if (why != ALLOWED)
        return refused(o, why);
    bool adds =
        !w.promote && (c->type == WAL_CHANGE_ADD || c->type == WAL_CHANGE_ADD_LEARNER);

    TRY(change(m, c, &w, e));
    TRY(store_conf(m, e));
    return o->wants_reply ? reply_change(m, adds ? c->node_id : 0, &o->reply, e) : RC_OK;
}

enum rc machine_change(struct machine *m, const struct wal_change *c,
                       struct machine_outcome *o, struct err *e)
{
    struct machine_outcome unwatched = { 0 };
    struct machine_outcome *out = o == NULL ? &unwatched : o;

    refuse(out, ALLOWED);
    out->reply.n = 0;
    TRY(change_checked(m, c, out, e));
    out->revision = kvstore_revision(m->kv);
    return RC_OK;
}
