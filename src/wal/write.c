#include "wal/write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/json.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"
#include "wal/message.h"
#include "wal/record.h"
#include "wal/segment.h"
#include "wal/snapfile.h"

/* The seed in the order in which etcd writes it. */
struct plan {
    const struct wal_seed *seed;
    struct wal_member *members; /* ascending ids */
    struct wal_conf conf;
};

static void plan_end(struct plan *p)
{
    mem_free(p->members);
    wal_conf_clear(&p->conf);
}

static int by_id(const void *a, const void *b)
{
    const struct wal_member *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static enum rc check(const struct plan *p, struct err *e)
{
    const struct wal_seed *s = p->seed;
    bool node = false;

    for (size_t i = 0; i < s->member_count; i++) {
        if (i > 0 && p->members[i].id == p->members[i - 1].id)
            return err_set(e, RC_USAGE,
                           "members '%s' and '%s' get the same id %" PRIx64 HINT
                           "give them different peer URLs",
                           p->members[i - 1].name, p->members[i].name, p->members[i].id);
        node |= p->members[i].id == s->node_id;
    }
    if (!node || p->conf.voter_count == 0 || s->term == 0 || s->index < s->member_count)
        return err_set(e, RC_INTERNAL, "the members to restore are no cluster");
    return RC_OK;
}

static enum rc plan_init(struct plan *p, struct err *e)
{
    const struct wal_seed *s = p->seed;
    size_t size = s->member_count * sizeof(uint64_t);

    TRY(mem_new(&p->members, s->member_count * sizeof *p->members, "members", e));
    TRY(mem_new(&p->conf.voters, size, "member ids", e));
    TRY(mem_new(&p->conf.learners, size, "member ids", e));
    memcpy(p->members, s->members, s->member_count * sizeof *p->members);
    qsort(p->members, s->member_count, sizeof *p->members, by_id);
    for (size_t i = 0; i < s->member_count; i++) {
        struct wal_conf *c = &p->conf;

        if (p->members[i].is_learner)
            c->learners[c->learner_count++] = p->members[i].id;
        else
            c->voters[c->voter_count++] = p->members[i].id;
    }
    return check(p, e);
}

/* ---- the log ----------------------------------------------------------------------- */

/* A new container, or no memory: a renderer that ignored this would write null. */
static enum rc need(struct json *made, struct json **out, struct err *e)
{
    if (made == NULL)
        return err_set(e, RC_NOMEM, "no memory for a JSON text");
    *out = made;
    return RC_OK;
}

static enum rc set_urls(struct json *o, const char *key, const char *const *urls,
                        size_t count, struct err *e)
{
    struct json *list;

    TRY(need(json_new_array(), &list, e));
    json_set(o, key, list);
    for (size_t i = 0; i < count; i++)
        json_add_str(list, urls[i]);
    return RC_OK;
}

/* etcd's membership.Member, the context of a change. */
static enum rc member_json(const struct wal_member *m, char **out, struct err *e)
{
    OWNED(json) o = NULL;

    TRY(need(json_new_object(), &o, e));
    json_set_u64(o, "id", m->id);
    TRY(set_urls(o, "peerURLs", m->peer_urls, m->peer_url_count, e));
    if (m->is_learner)
        json_set_bool(o, "isLearner", true);
    if (m->name != NULL && *m->name != '\0')
        json_set_str(o, "name", m->name);
    if (m->client_url_count > 0)
        TRY(set_urls(o, "clientURLs", m->client_urls, m->client_url_count, e));
    return json_render(o, false, out, e);
}

struct log {
    struct buf *out;
    uint32_t crc;
};

static enum rc add(struct log *l, enum wal_type type, const struct buf *data,
                   struct err *e)
{
    return wal_frame_add(l->out, &l->crc, type, (struct bytes){ data->p, data->n }, e);
}

static enum rc add_member(struct log *l, const struct plan *p, size_t i, struct err *e)
{
    AT_END(buf_clear) struct buf change = { 0 };
    AT_END(buf_clear) struct buf entry = { 0 };
    AT_END(mem_end) char *context = NULL;
    const struct wal_member *m = &p->members[i];

    TRY(member_json(m, &context, e));
    TRY(wal_change_put(
        &change,
        &(struct wal_change){
            .type = m->is_learner ? WAL_CHANGE_ADD_LEARNER : WAL_CHANGE_ADD,
            .node_id = m->id,
            .context = bytes_str(context),
        },
        e));
    TRY(wal_entry_put(&entry,
                      &(struct wal_entry){
                          .type = WAL_ENTRY_CONF_CHANGE,
                          .term = p->seed->term,
                          .index = i + 1,
                          .data = { change.p, change.n },
                      },
                      e));
    return add(l, WAL_ENTRY, &entry, e);
}

static enum rc add_metadata(struct log *l, const struct plan *p, struct err *e)
{
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_metadata_put(&b,
                         &(struct wal_metadata){ .node_id = p->seed->node_id,
                                                 .cluster_id = p->seed->cluster_id },
                         e));
    return add(l, WAL_METADATA, &b, e);
}

static enum rc add_state(struct log *l, const struct plan *p, struct err *e)
{
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_state_put(&b,
                      &(struct wal_state){ .term = p->seed->term,
                                           .vote = p->conf.voters[0],
                                           .commit = p->seed->index },
                      e));
    return add(l, WAL_STATE, &b, e);
}

static enum rc add_mark(struct log *l, const struct wal_mark *mark, struct err *e)
{
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(wal_mark_put(&b, mark, e));
    return add(l, WAL_SNAPSHOT, &b, e);
}

enum rc wal_seed_log(const struct wal_seed *seed, struct buf *out, struct err *e)
{
    AT_END(plan_end) struct plan p = { .seed = seed };
    struct log l = { .out = out };

    TRY(plan_init(&p, e));
    TRY(wal_frame_add(out, &l.crc, WAL_CRC, (struct bytes){ 0 }, e));
    TRY(add_metadata(&l, &p, e));
    TRY(add_mark(&l, &(struct wal_mark){ 0 }, e));
    for (size_t i = 0; i < seed->member_count; i++)
        TRY(add_member(&l, &p, i, e));
    TRY(add_state(&l, &p, e));
    /* 3.5 and later need the ConfState here, 3.4 skips it. */
    return add_mark(
        &l,
        &(struct wal_mark){
            .index = seed->index, .term = seed->term, .conf = p.conf, .has_conf = true },
        e);
}

/* ---- the v2 store ------------------------------------------------------------------ */

/* Adds a node at `path` to the parent's children; a directory when `value` is NULL, whose
 * children are then handed out. */
static enum rc add_node(struct json *parent, const char *path, uint64_t index,
                        const char *value, struct json **children, struct err *e)
{
    const char *name = strrchr(path, '/') + 1;
    struct json *node;

    TRY(need(json_new_object(), &node, e));
    json_set(parent, *name == '\0' ? "Root" : name, node);
    json_set_str(node, "Path", path);
    json_set_u64(node, "CreatedIndex", index);
    json_set_u64(node, "ModifiedIndex", index);
    json_set_str(node, "ExpireTime", "0001-01-01T00:00:00Z");
    json_set_str(node, "Value", value == NULL ? "" : value);
    if (value != NULL) {
        json_set_null(node, "Children");
        return RC_OK;
    }
    TRY(need(json_new_object(), children, e));
    json_set(node, "Children", *children);
    return RC_OK;
}

static enum rc add_value(struct json *dir, uint64_t id, const char *key, uint64_t index,
                         const struct json *value, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    AT_END(mem_end) char *text = NULL;

    TRY(str_format(&path, e, "/0/members/%" PRIx64 "/%s", id, key));
    TRY(json_render(value, false, &text, e));
    return add_node(dir, path, index, text, NULL, e);
}

static enum rc add_attributes(struct json *dir, const struct wal_member *m,
                              uint64_t index, struct err *e)
{
    OWNED(json) o = NULL;

    TRY(need(json_new_object(), &o, e));
    json_set_str(o, "name", m->name);
    TRY(set_urls(o, "clientURLs", m->client_urls, m->client_url_count, e));
    return add_value(dir, m->id, "attributes", index, o, e);
}

static enum rc add_member_node(struct json *members, const struct wal_member *m,
                               uint64_t index, struct err *e)
{
    AT_END(mem_end) char *path = NULL;
    OWNED(json) raft = NULL;
    struct json *dir;

    TRY(str_format(&path, e, "/0/members/%" PRIx64, m->id));
    TRY(add_node(members, path, index, NULL, &dir, e));
    if (m->client_url_count > 0)
        TRY(add_attributes(dir, m, index, e));
    TRY(need(json_new_object(), &raft, e));
    TRY(set_urls(raft, "peerURLs", m->peer_urls, m->peer_url_count, e));
    if (m->is_learner)
        json_set_bool(raft, "isLearner", true);
    return add_value(dir, m->id, "raftAttributes", index, raft, e);
}

/* An empty history of events: 1000 places, as the v2 store insists. */
static enum rc add_watcher_hub(struct json *store, struct err *e)
{
    enum { EVENTS = 1000 };
    struct json *hub, *history, *queue, *events;

    TRY(need(json_new_object(), &hub, e));
    json_set(store, "WatcherHub", hub);
    TRY(need(json_new_object(), &history, e));
    json_set(hub, "EventHistory", history);
    TRY(need(json_new_object(), &queue, e));
    json_set(history, "Queue", queue);
    json_set_u64(history, "StartIndex", 0);
    json_set_u64(history, "LastIndex", 0);
    TRY(need(json_new_array(), &events, e));
    json_set(queue, "Events", events);
    for (int i = 0; i < EVENTS; i++)
        json_add(events, NULL);
    json_set_u64(queue, "Size", 0);
    json_set_u64(queue, "Front", 0);
    json_set_u64(queue, "Back", 0);
    json_set_u64(queue, "Capacity", EVENTS);
    return RC_OK;
}

static enum rc store_json(const struct plan *p, char **out, struct err *e)
{
    OWNED(json) store = NULL;
    struct json *root, *v0, *v1, *members, *stats;

    TRY(need(json_new_object(), &store, e));
    TRY(add_node(store, "/", 0, NULL, &root, e));
    TRY(add_node(root, "/0", 0, NULL, &v0, e));
    TRY(add_node(v0, "/0/members", 1, NULL, &members, e));
    for (size_t i = 0; i < p->seed->member_count; i++)
        TRY(add_member_node(members, &p->members[i], i + 1, e));
    TRY(add_node(root, "/1", 0, NULL, &v1, e));
    TRY(add_watcher_hub(store, e));
    json_set_u64(store, "CurrentIndex", p->seed->member_count);
    TRY(need(json_new_object(), &stats, e));
    json_set(store, "Stats", stats);
    json_set_u64(store, "CurrentVersion", 2);
    return json_render(store, false, out, e);
}

enum rc wal_seed_snap(const struct wal_seed *seed, struct buf *out, struct err *e)
{
    AT_END(plan_end) struct plan p = { .seed = seed };
    AT_END(mem_end) char *store = NULL;

    TRY(plan_init(&p, e));
    TRY(store_json(&p, &store, e));
    return snapfile_put(out,
                        &(struct wal_snapshot){ .store = bytes_str(store),
                                                .index = seed->index,
                                                .term = seed->term,
                                                .conf = p.conf },
                        e);
}

/* ---- files ------------------------------------------------------------------------- */

static enum rc create(int dir, const char *name, int *out, struct err *e)
{
    OWNED_FD int fd = -1;

    TRY(os_open(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, e));
    if (os.fchmod(fd, 0600) < 0)
        return err_sys(e, RC_STORAGE, "cannot set the mode of '%s'", name);
    *out = os_fd_give(&fd);
    return RC_OK;
}

/* Real blocks where the file system can, so that a full disk shows now and not at the
 * restored member's first write. */
static enum rc preallocate(int fd, const char *name, struct err *e)
{
    int failed;

    do
        failed = os.fallocate(fd, 0, 0, WAL_SEGMENT_BYTES);
    while (failed != 0 && errno == EINTR);
    if (failed != 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        failed = os.ftruncate(fd, WAL_SEGMENT_BYTES);
    if (failed != 0)
        return err_sys(e, RC_STORAGE, "cannot allocate '%s'", name);
    return RC_OK;
}

static enum rc fill(int dir, int fd, const char *name, const struct buf *b, struct err *e)
{
    TRY(os_pwrite_full(fd, b->p, b->n, 0, name, e));
    TRY(os_sync(fd, name, e));
    return os_sync_dir(dir, name, e);
}

enum rc wal_seed_write(int dir, const struct wal_seed *seed, struct err *e)
{
    AT_END(buf_clear) struct buf log = { 0 };
    OWNED_FD int fd = -1;
    char name[WAL_NAME_SIZE];

    TRY(wal_seed_log(seed, &log, e));
    wal_segment_name(name, 0, 0);
    TRY(create(dir, name, &fd, e));
    TRY(preallocate(fd, name, e));
    return fill(dir, fd, name, &log, e);
}

enum rc wal_seed_write_snap(int dir, const struct wal_seed *seed, struct err *e)
{
    AT_END(buf_clear) struct buf file = { .cap_max = SNAPFILE_MAX };
    OWNED_FD int fd = -1;
    char name[SNAPFILE_NAME_SIZE];

    TRY(wal_seed_snap(seed, &file, e));
    snapfile_name(name, seed->term, seed->index);
    TRY(create(dir, name, &fd, e));
    return fill(dir, fd, name, &file, e);
}
