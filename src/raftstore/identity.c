#include "raftstore/identity.h"

#include <fcntl.h>
#include <unistd.h>

#include "codec/message.h"
#include "raftstore/calls.h"
#include "raftstore/home.h"
#include "raftstore/peers.h"
#include "util/mem.h"
#include "util/os.h"

enum { ASK_NEW_MS = 500, ASK_JOIN_MS = 3000 };

static void members_end(struct restore_members *m)
{
    restore_members_clear(m);
}

/* ---- what others say -------------------------------------------------------------- */

static bool same_urls(const struct restore_member *m, const Etcdrpc__Member *it)
{
    if (it->n_peer_urls != m->peer_urls.count)
        return false;
    for (size_t i = 0; i < it->n_peer_urls; i++)
        if (!str_list_has(&m->peer_urls, it->peer_urls[i]))
            return false;
    return true;
}

static enum rc ask_one(const char *url, unsigned ms, Etcdrpc__MemberListResponse **out,
                       struct err *e)
{
    AT_END(mem_end) uint8_t *body = NULL;
    size_t n;

    TRY(peer_ask(url, CALL_MEMBERS, ms, &body, &n, e));
    return codec_unpack(&etcdrpc__member_list_response__descriptor,
                        (struct bytes){ body, n }, out, e);
}

/* The first member list that another member gives; RC_NET when none does. */
static enum rc ask_all(const struct restore_members *all, const struct restore_member *us,
                       unsigned ms, Etcdrpc__MemberListResponse **out, struct err *e)
{
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < all->items[i].peer_urls.count; k++)
            if (&all->items[i] != us &&
                ask_one(all->items[i].peer_urls.items[k], ms, out, e) == RC_OK)
                return RC_OK;
    return err_set(e, RC_NET, "no member of the cluster answers on its peer URL");
}

/* ---- founding --------------------------------------------------------------------- */

static enum rc already_there(uint64_t id, struct err *e)
{
    return err_set(e, RC_REFUSED,
                   "member %llx has already been bootstrapped" HINT
                   "a member whose data is lost is removed from the cluster and added "
                   "again, under a new id",
                   (unsigned long long)id);
}

/* A member that once served, and lost its data, must not vote again under its id. */
static enum rc check_not_wiped(const struct wal_metadata *me,
                               const Etcdrpc__MemberListResponse *list, struct err *e)
{
    if (list->header == NULL || list->header->cluster_id != me->cluster_id)
        return RC_OK;
    for (size_t i = 0; i < list->n_members; i++)
        if (list->members[i]->id == me->node_id)
            return list->members[i]->n_client_urls > 0 ? already_there(me->node_id, e)
                                                       : RC_OK;
    return err_set(e, RC_REFUSED,
                   "the member has been permanently removed from the cluster");
}

static enum rc found(const struct node_options *o, const struct restore_members *all,
                     const struct restore_member *us, struct wal_metadata *me,
                     struct err *e)
{
    AT_END(codec_end) Etcdrpc__MemberListResponse *list = NULL;
    struct err quiet;

    me->node_id = us->id;
    if (ask_all(all, us, ASK_NEW_MS, &list, &quiet) == RC_OK)
        TRY(check_not_wiped(me, list, e));
    return home_found(o->data_dir, me, all, o->minor, e);
}

/* ---- joining ---------------------------------------------------------------------- */

static enum rc ask_who_we_are(const struct restore_members *all,
                              const struct restore_member *us, struct wal_metadata *me,
                              struct err *e)
{
    AT_END(codec_end) Etcdrpc__MemberListResponse *list = NULL;

    TRY(ask_all(all, us, ASK_JOIN_MS, &list, e));
    me->cluster_id = list->header == NULL ? 0 : list->header->cluster_id;
    for (size_t i = 0; i < list->n_members; i++)
        if (same_urls(us, list->members[i])) {
            me->node_id = list->members[i]->id;
            return list->members[i]->n_client_urls > 0 ? already_there(me->node_id, e)
                                                       : RC_OK;
        }
    return err_set(e, RC_REFUSED,
                   "error validating peerURLs: member count is unequal or '%s' was never "
                   "added" HINT "add it first: etcdctl member add",
                   us->name);
}

static enum rc join(const struct node_options *o, const struct restore_members *all,
                    const struct restore_member *us, struct wal_metadata *me,
                    struct err *e)
{
    TRY(ask_who_we_are(all, us, me, e));
    return home_join(o->data_dir, me, e);
}

/* ---- either ----------------------------------------------------------------------- */

static enum rc first_start(const struct node_options *o, struct err *e)
{
    AT_END(members_end) struct restore_members all = { 0 };
    AT_END(mem_end) char *own = NULL;
    const char *cluster = o->initial_cluster;
    const struct restore_member *us;
    struct wal_metadata me;

    if (cluster == NULL) {
        TRY(str_format(&own, e, "%s=%s", o->name, o->advertise_peer));
        cluster = own;
    }
    TRY(restore_members_parse(cluster, &all, e));
    TRY(restore_members_identify(&all, o->token, &me.cluster_id, e));
    us = restore_members_find(&all, o->name);
    if (us == NULL)
        return err_set(e, RC_USAGE,
                       "couldn't find local name \"%s\" in the initial "
                       "cluster configuration",
                       o->name);
    return o->existing ? join(o, &all, us, &me, e) : found(o, &all, us, &me, e);
}

enum rc identity_establish(const struct node_options *o, struct err *e)
{
    if (access(o->data_dir, F_OK) != 0)
        TRY(os_mkdir(AT_FDCWD, o->data_dir, e));
    return home_is_there(o->data_dir) ? RC_OK : first_start(o, e);
}

/* ---- for others ------------------------------------------------------------------- */

enum rc identity_members_write(const struct machine *m, uint64_t cluster, struct buf *out,
                               struct err *e)
{
    Etcdrpc__ResponseHeader header;
    Etcdrpc__MemberListResponse list;
    size_t count;
    const struct mvcc_member *all = machine_members(m, &count);
    AT_END(mem_end) Etcdrpc__Member *members = NULL;
    AT_END(mem_end) Etcdrpc__Member **each = NULL;

    etcdrpc__response_header__init(&header);
    etcdrpc__member_list_response__init(&list);
    TRY(mem_new(&members, (count + 1) * sizeof *members, "a member list", e));
    TRY(mem_new(&each, (count + 1) * sizeof *each, "a member list", e));
    for (size_t i = 0; i < count; i++) {
        etcdrpc__member__init(&members[i]);
        members[i].id = all[i].id;
        if (all[i].name != NULL)
            members[i].name = all[i].name;
        members[i].peer_urls = all[i].peer_urls.items;
        members[i].n_peer_urls = all[i].peer_urls.count;
        members[i].client_urls = all[i].client_urls.items;
        members[i].n_client_urls = all[i].client_urls.count;
        members[i].is_learner = all[i].learner;
        each[i] = &members[i];
    }
    header.cluster_id = cluster;
    list.header = &header;
    list.members = each;
    list.n_members = count;
    return codec_pack(&list, out, e);
}
