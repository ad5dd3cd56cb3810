/* The JSON that etcd keeps in its buckets: members, confState, downgrade. Written byte
 * for byte as Go's encoding/json writes it, so that a restored database cannot be told
 * from etcd's own. */
#ifndef MVCC_MEMBER_H
#define MVCC_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/str.h"

struct mvcc_member {
    uint64_t id;
    char *name; /* NULL until the member has started once */
    struct str_list peer_urls, client_urls;
    bool learner;
};

/* One pair of bucket members. RC_CORRUPT when the JSON is not a member, or when its id
 * is not the one that the key spells. */
enum rc mvcc_member_read(struct bytes key, struct bytes value, struct mvcc_member *out,
                         struct err *e);
void mvcc_member_clear(struct mvcc_member *m);

/* Appends the value; the key is mvcc_member_key_write(m->id). */
enum rc mvcc_member_write(const struct mvcc_member *m, struct buf *out, struct err *e);

struct mvcc_ids {
    uint64_t *items;
    size_t count;
};
enum rc mvcc_ids_add(struct mvcc_ids *l, uint64_t id, struct err *e);
bool mvcc_ids_has(const struct mvcc_ids *l, uint64_t id);
void mvcc_ids_clear(struct mvcc_ids *l);

/* raftpb.ConfState. */
struct mvcc_conf_state {
    struct mvcc_ids voters, learners, voters_outgoing, learners_next;
    bool auto_leave;
};
enum rc mvcc_conf_state_read(struct bytes value, struct mvcc_conf_state *out,
                             struct err *e);
void mvcc_conf_state_clear(struct mvcc_conf_state *c);
enum rc mvcc_conf_state_write(const struct mvcc_conf_state *c, struct buf *out,
                              struct err *e);

struct mvcc_downgrade {
    char *target; /* "3.5.0"; NULL when none is named */
    bool enabled;
};
enum rc mvcc_downgrade_read(struct bytes value, struct mvcc_downgrade *out,
                            struct err *e);
void mvcc_downgrade_clear(struct mvcc_downgrade *d);

#endif
