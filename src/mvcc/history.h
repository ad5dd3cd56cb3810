/* The meaning of bucket key: feed it every record in key order, and one pass tells the
 * revision, the live keys and HashKV, and checks what etcd's own mvcc takes for granted.
 *
 * HashKV(R) covers the records with main <= R in order, but of those at or below the
 * compaction revision C only the ones that a compaction at R would keep, which depends
 * on newer records. So records above C go into a running CRC at once, and of those up to
 * C the CRC and length are kept until the end (12 bytes each). The algorithm is etcd's
 * (server/storage/mvcc: kvstore.go, hash.go, key_index.go): equal to what 3.4 to 3.7
 * answer, whatever the order of magnitude.
 *
 * C is the larger compaction mark. One that is scheduled and not finished is what a
 * running server already answers by and a booted one goes on with; and as all its
 * superseded records are left out, it is the same hash before, during and after.
 *
 * Memory: 40 bytes a distinct key and 11 to 22 to find it by, and the above. Whoever can
 * give the records again, from a file, bounds it: keys that do not fit are then left to
 * further passes, each for a part of them. */
#ifndef MVCC_HISTORY_H
#define MVCC_HISTORY_H

#include "mvcc/chain.h"
#include "mvcc/record.h"
#include "util/findings.h"

#define MVCC_NEVER_COMPACTED ((int64_t)-1)

struct mvcc_history_options {
    int64_t finished, scheduled; /* meta's compaction marks, or MVCC_NEVER_COMPACTED */
    int64_t revision;            /* HashKV at this revision; 0: at the newest */
    bool hash;                   /* compute HashKV: records then need their crc */
    bool checks;                 /* check generations, gaps and leases */
};

struct mvcc_hashkv {
    uint32_t hash;
    int64_t revision;         /* what etcd 3.6 calls hash_revision */
    int64_t compact_revision; /* the larger mark; MVCC_NEVER_COMPACTED is etcd's -1 */
};

struct mvcc_history_result {
    int64_t revision;  /* of the store: what a server booted from it would answer */
    int64_t last_main; /* of the newest record; 0 when there is none */
    uint64_t records;  /* read ones, tombstones included */
    uint64_t tombstones;
    uint64_t rejected;  /* records that could not be read */
    uint64_t live_keys; /* that a client can see */
    uint64_t
        indexed_keys; /* the same and the key "" of a revision bump: totalKey of 3.6 */
    uint64_t kubernetes_keys; /* live ones under /registry/ */
    bool hash_known;          /* asked for, and nothing was rejected */
    struct mvcc_hashkv hashkv;
};

struct mvcc_history;

/* `f` may be NULL: then the first error ends it all as RC_CORRUPT, and what is not an
 * error is not told. RC_NOTFOUND when `revision` was compacted away; RC_USAGE when it is
 * negative. */
enum rc mvcc_history_new(const struct mvcc_history_options *options, struct findings *f,
                         struct mvcc_history **out, struct err *e);
void mvcc_history_free(struct mvcc_history *h);
OWN_DEFINE(mvcc_history)

/* The next record; `page` is where it lies, for findings. Findings, each code at most
 * ten times and then one with the rest's count:
 *   ERROR revision-key key-value      a record that cannot be read
 *   ERROR revision-order              a put and a tombstone of the same revision
 *   ERROR revision-low                main below 2
 *   ERROR revision-gap revision-sub   above the compaction a main or sub is missing
 *   ERROR mod-revision create-revision version history-start
 *   ERROR tombstone tombstone-value
 *   WARN  create-revision             at or below it: 3.x `etcdctl migrate` wrote such
 *   WARN  compaction-leftover         superseded at or below a finished compaction
 *   NOTE  revision-bump               an earlier restore raised the revision here */
enum rc mvcc_history_add(struct mvcc_history *h, const struct mvcc_record *r,
                         uint64_t page, struct err *e);

/* The same from the pair itself; crc is mvcc_pair_crc, or 0 without `hash`. A pair that
 * cannot be read is a finding and is counted as rejected. */
enum rc mvcc_history_pair(struct mvcc_history *h, struct bytes key, struct bytes value,
                          uint32_t crc, uint64_t page, struct err *e);

/* The lease ids that exist, ascending as unsigned numbers (the order of the bucket). */
struct mvcc_lease_ids {
    const int64_t *items;
    size_t count;
};

/* Before the first record: at most so many keys are held at once, and the CRCs of as many
 * records up to C; beyond that one bit of each such record. For keys that do not fit all
 * records must be given again, as often as mvcc_history_again asks. */
void mvcc_history_bound(struct mvcc_history *h, size_t keys_max);
enum {
    MVCC_KEYS_AT_HAND = 3 << 18, /* 49 MiB at most */
    MVCC_KEYS_BESIDE = 3 << 17,  /* 25 MiB, for who has other things to hold */
};

/* All records were given. *again: the same ones are wanted once more, in the same order.
 * `leases` as for mvcc_history_finish, which is to be called at the end all the same.
 * Findings that a later pass makes follow those of an earlier one. RC_CORRUPT when the
 * records are not the same as before. */
enum rc mvcc_history_again(struct mvcc_history *h, const struct mvcc_lease_ids *leases,
                           bool *again, struct err *e);

/* Are the records' crcs needed in this pass? */
bool mvcc_history_wants_crc(const struct mvcc_history *h);

/* Bytes held for the records so far. */
size_t mvcc_history_memory(const struct mvcc_history *h);

/* What mvcc_record_read needs for records that go to mvcc_history_add. All records of
 * one history must be read with one seed. */
void mvcc_history_seed(struct mvcc_history *h,
                       const uint8_t seed[static SIPHASH_KEY_SIZE]);

/* All records are in. RC_NOTFOUND when `revision` lies in the future. More findings:
 *   WARN  lease-missing               a live key's lease does not exist (`leases` NULL:
 *                                     not checked)
 *   WARN  compaction-marks            finished beyond scheduled
 *   NOTE  compaction-unfinished       the next boot goes on with it
 *   NOTE  revision-from-compaction    the last revision is known only from the marks */
enum rc mvcc_history_finish(struct mvcc_history *h, const struct mvcc_lease_ids *leases,
                            struct mvcc_history_result *out, struct err *e);

#endif
