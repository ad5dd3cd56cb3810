/* What is known of one copy of a cluster's data: a member's directory, the statement that
 * another host made about one, a snapshot. Facts only, no keys and no values; a few
 * kilobytes, whatever the size of the database.
 *
 * Which copy is newest is told by the term of the last entry and then its index, as raft
 * tells it when it elects: an entry that was ever acknowledged is on a majority, so of
 * the copies that are left none has more than the newest. HardState.term grows on a
 * member that is alone and says nothing; commit, consistent_index and the database's
 * revision lag behind what clients were told. */
#ifndef RECOVER_COPY_H
#define RECOVER_COPY_H

#include "mvcc/member.h"
#include "util/findings.h"

enum recover_kind { RECOVER_DIRECTORY, RECOVER_SNAPSHOT };
const char *recover_kind_name(enum recover_kind k); /* "directory" "snapshot" */

/* A finding that may come from another host: its code is its own. */
struct recover_note {
    enum finding_severity severity;
    char code[40];
    char message[232];
};

/* Who may vote and who only listens, as raft has it. */
struct recover_conf {
    struct mvcc_ids voters, learners;
};
bool recover_conf_same(const struct recover_conf *a, const struct recover_conf *b);
void recover_conf_clear(struct recover_conf *c);

struct recover_copy {
    enum recover_kind kind;
    char *path;       /* as it was given; on that host, when it is a statement's */
    char *wal_dir;    /* where its log is, when that was said; NULL */
    char *statement;  /* the file that tells of it; NULL: it was looked at here */
    char *host;       /* where it was looked at; "" here */
    int64_t taken_ms; /* when, since 1970 */

    bool readable;    /* else nothing below is known but `notes` */
    bool ok;          /* a new cluster can be built on it without loss */
    bool startable;   /* an etcd would start on it as it is */
    bool in_use;      /* an etcd runs on it: the figures are of several moments */
    char verdict[16]; /* datadir_verdict_name(); "" of a snapshot */

    uint64_t cluster_id; /* 0: not known; a snapshot does not say */
    uint64_t member_id;  /* 0: not known */
    char *name;          /* of the member; "" */

    bool term_known;
    uint64_t term, index; /* of the last entry that the copy can be brought to */
    uint64_t commit;      /* known to be on a majority */
    uint64_t applied;     /* consistent_index: in the database already */
    int64_t revision;     /* of the database */
    bool tail_known;
    int64_t revision_with_tail; /* with the log applied up to `index` */
    bool kubernetes;

    struct recover_conf latest; /* at `index` */
    struct recover_conf
        decided; /* at `commit`; the same, but in the middle of a change */
    struct mvcc_member *members; /* names and URLs, of those that are known */
    size_t member_count;

    struct recover_note *notes;
    size_t note_count;
};

struct recover_copies {
    struct recover_copy *items;
    size_t count;
};

/* A new one at the end of the list, zero but for kind and path. RC_NOMEM. */
enum rc recover_copies_add(struct recover_copies *l, enum recover_kind kind,
                           const char *path, struct recover_copy **out, struct err *e);
void recover_copies_clear(struct recover_copies *l);

/* RC_NOMEM only; a list that is full takes no more. */
enum rc recover_note_add(struct recover_copy *c, enum finding_severity severity,
                         const char *code, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(5, 6);

/* Takes another list of members over: a copy of each. */
enum rc recover_members_set(struct recover_copy *c, const struct mvcc_member *members,
                            size_t count, struct err *e);
const struct mvcc_member *recover_member_of(const struct recover_copy *c, uint64_t id);

/* Less than 0 when `a` is newer, more when `b` is, 0 when nothing tells. */
int recover_compare(const struct recover_copy *a, const struct recover_copy *b);

/* The newest revision the copy can be brought to; 0 when it is not known. */
int64_t recover_revision(const struct recover_copy *c);

#endif
