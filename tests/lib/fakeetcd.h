/* A scripted etcd: what a real one never does, or does once in a thousand nights.
 *
 *     static const struct fake_step steps[] = {
 *         FAKE_DO(FAKE_DATA, 65536), FAKE_DO(FAKE_STALL, 0),
 *     };
 *     struct fake_script script = { .steps = steps, .step_count = 2 };
 *     FAKE f = fake_start(&script);
 *     ... connect to fake_endpoint(f) ...
 *
 * It speaks gRPC over plaintext HTTP/2 on a thread of its own and answers Status,
 * MemberList, Alarm (list), HashKV, Defragment, Authenticate and Snapshot; anything
 * else is Unimplemented unless the script has an answer. Its protobuf is written by hand,
 * so that it shares no mistake with the code under test. */
#ifndef TESTS_LIB_FAKEETCD_H
#define TESTS_LIB_FAKEETCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A Snapshot stream, step by step. Database bytes come from script.db, or are a pattern;
 * remaining_bytes is right unless a step lies. Without a step that ends it, the stream
 * ends with status 0. */
enum fake_what {
    FAKE_DATA = 1,    /* n bytes of database, in messages of 32 KiB */
    FAKE_REST,        /* all that is left of it, likewise */
    FAKE_EMPTY,       /* n messages without a blob */
    FAKE_LIE,         /* 512 bytes, with remaining_bytes off by n */
    FAKE_REMAINING,   /* 512 bytes, with remaining_bytes n exactly */
    FAKE_REPEAT,      /* the last blob again */
    FAKE_UNKNOWN,     /* 512 bytes in a message that also has fields nobody knows */
    FAKE_TRAILER,     /* SHA-256 of what was sent */
    FAKE_BAD_TRAILER, /* the same with one bit wrong */
    FAKE_ZERO_TRAILER,
    FAKE_HALF_TRAILER, /* n bytes of the right one, from where the last half ended */
    FAKE_MERGED,       /* the rest of the database and the trailer in one message */
    FAKE_FRAME,        /* a frame header alone: compressed flag m, length n */
    FAKE_GARBAGE,      /* a message of n bytes 0xff */
    FAKE_NAP,          /* n milliseconds of silence */
    FAKE_STALL,        /* silence for ever */
    FAKE_DRIP,         /* one byte of database each n ms, for ever */
    FAKE_STATUS,       /* ends with gRPC status n and `text` as it stands */
    FAKE_NO_STATUS,    /* ends the stream properly, without a status */
    FAKE_TWO_STATUSES, /* status m, and then status n */
    FAKE_RESET,        /* RST_STREAM with HTTP/2 error n */
    FAKE_CLOSE,        /* closes the connection */
    FAKE_ABORT,        /* the same with a TCP reset */
    FAKE_GOAWAY,       /* says goodbye, and goes on */
};

struct fake_step {
    enum fake_what what;
    uint64_t n, m;
    const char *text;
};

/* A step in an initialiser; most need no more. */
#define FAKE_DO(step, count)         \
    {                                \
        .what = (step), .n = (count) \
    }

/* An answer to a method instead of the fake's own. */
struct fake_answer {
    const char *method;  /* "KV/Put" */
    const void *message; /* protobuf; NULL: none */
    size_t size;
    int status;       /* gRPC */
    const char *text; /* as it stands in grpc-message */
    unsigned times;   /* how often, then the next that fits; 0: always */
    bool drop;        /* instead: closes the connection when the request is whole */
    bool hang;        /* instead: never answers */
};

struct fake_script {
    uint64_t cluster_id, member_id; /* 0: 0xc1, 0x11 */
    uint64_t snapshot_db_size;      /* what Status tells; 0: the size of db */
    int64_t revision, compact_revision;
    uint32_t hash;            /* HashKV */
    const char *version;      /* NULL: "3.5.30" */
    const char *snap_version; /* in Snapshot messages, as since 3.6; NULL: none */

    const void *db; /* the database without a trailer; NULL: a pattern */
    size_t db_size;
    const struct fake_step *steps; /* NULL: FAKE_REST, FAKE_TRAILER */
    size_t step_count;
    uint64_t close_after; /* closes after so many bytes on a connection; 0: never */

    const struct fake_answer *answers;
    size_t answer_count;

    const char *user, *password; /* when set, every call needs a login */
    unsigned token_uses;         /* a token is good for so many calls; 0: for all */
    const char *content_type;    /* NULL: application/grpc */
    int http_status;             /* 0: 200 */
    unsigned junk_headers;       /* 1000-byte headers sent before each answer */
};

struct fake;

/* Copies the script's struct, not what it points to. Fails the test on trouble. */
struct fake *fake_start(const struct fake_script *s);
void fake_stop(struct fake *f); /* NULL is fine */
static inline void fake_end(struct fake **f)
{
    fake_stop(*f);
}
#define FAKE [[gnu::cleanup(fake_end)]] struct fake *

int fake_port(const struct fake *f);
const char *fake_endpoint(const struct fake *f);         /* "http://127.0.0.1:1234" */
unsigned fake_calls(struct fake *f, const char *method); /* how often it was asked */

/* Maintenance/Alarm calls that raise or disarm, which are counted under both names. */
#define FAKE_ALARM_CHANGE "Maintenance/Alarm change"

/* Calls of every method that changes a cluster or its members. */
unsigned fake_changes(struct fake *f);

/* From the next call on it answers as another member of another cluster. */
void fake_become(struct fake *f, uint64_t cluster_id, uint64_t member_id);

#endif
