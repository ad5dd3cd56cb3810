#include "mvcc/schema.h"

#include <inttypes.h>
#include <stdio.h>

#include "mvcc/message.h"
#include "util/mem.h"

static const char *const bucket_names[MVCC_BUCKETS] = {
#define X(name, text) [name] = text,
    MVCC_BUCKET_TABLE(X)
#undef X
};

const char *mvcc_bucket_name(enum mvcc_bucket b)
{
    return bucket_names[b];
}

enum mvcc_bucket mvcc_bucket_find(struct bytes name)
{
    for (enum mvcc_bucket b = 0; b < MVCC_BUCKETS; b++)
        if (bytes_is(name, bucket_names[b]))
            return b;
    return MVCC_BUCKETS;
}

/* etcd reads both numbers as int64 and orders by their unsigned bytes: a negative one
 * would lie behind all others, and is no revision to it. */
enum rc mvcc_rev_read(struct bytes key, struct mvcc_rev *out, struct err *e)
{
    uint64_t main, sub;

    if (key.n != MVCC_REV_SIZE && key.n != MVCC_TOMBSTONE_SIZE)
        return err_set(e, RC_CORRUPT, "a revision key has 17 or 18 bytes, not %zu",
                       key.n);
    if (key.p[8] != '_')
        return err_set(e, RC_CORRUPT, "byte 8 of the revision key is 0x%02x, not '_'",
                       key.p[8]);
    if (key.n == MVCC_TOMBSTONE_SIZE && key.p[17] != 't')
        return err_set(e, RC_CORRUPT, "byte 17 of the revision key is 0x%02x, not 't'",
                       key.p[17]);
    main = be64(key.p);
    sub = be64(key.p + 9);
    if (main > INT64_MAX || sub > INT64_MAX)
        return err_set(e, RC_CORRUPT, "negative revision %" PRId64 "/%" PRId64,
                       (int64_t)main, (int64_t)sub);
    *out = (struct mvcc_rev){
        .main = (int64_t)main,
        .sub = (int64_t)sub,
        .tombstone = key.n == MVCC_TOMBSTONE_SIZE,
    };
    return RC_OK;
}

void mvcc_rev_write(uint8_t out[static MVCC_REV_SIZE], int64_t main, int64_t sub)
{
    put_be64(out, (uint64_t)main);
    out[8] = '_';
    put_be64(out + 9, (uint64_t)sub);
}

enum rc message_unknown(const struct pb_field *f, uint32_t known, struct err *e)
{
    if (f->tag >> 3 > known)
        return RC_OK;
    return err_set(e, RC_CORRUPT, "field %" PRIu32 " has the wire type %" PRIu32,
                   f->tag >> 3, f->tag & 7);
}

enum rc message_end(const struct pb_reader *r, struct bytes message, struct err *e)
{
    if (pb_done(r))
        return RC_OK;
    return err_set(e, RC_CORRUPT, "malformed protobuf field at byte %zu of %zu",
                   pb_offset(r, message), message.n);
}

/* mvccpb.KeyValue { bytes key = 1; int64 create_revision = 2, mod_revision = 3,
 * version = 4; bytes value = 5; int64 lease = 6 }. Of a field that comes twice the last
 * one counts, as everywhere in protobuf. */
enum rc mvcc_kv_read(struct bytes value, struct mvcc_kv *out, struct err *e)
{
    struct pb_reader r = pb_reader_of(value);
    struct mvcc_kv kv = { 0 };
    struct pb_field f;

    while (pb_next(&r, &f)) {
        switch (f.tag) {
        case PB_TAG(1, PB_BYTES):
            kv.key = f.bytes;
            break;
        case PB_TAG(2, PB_VARINT):
            kv.create = (int64_t)f.value;
            break;
        case PB_TAG(3, PB_VARINT):
            kv.mod = (int64_t)f.value;
            break;
        case PB_TAG(4, PB_VARINT):
            kv.version = (int64_t)f.value;
            break;
        case PB_TAG(5, PB_BYTES):
            kv.value = f.bytes;
            break;
        case PB_TAG(6, PB_VARINT):
            kv.lease = (int64_t)f.value;
            break;
        default:
            TRY(message_unknown(&f, 6, e));
        }
    }
    TRY(message_end(&r, value, e));
    *out = kv;
    return RC_OK;
}

/* leasepb.Lease { int64 ID = 1, TTL = 2, RemainingTTL = 3 }; the key repeats the id, big
 * end first. */
enum rc mvcc_lease_read(struct bytes key, struct bytes value, struct mvcc_lease *out,
                        struct err *e)
{
    struct pb_reader r = pb_reader_of(value);
    int64_t at[4] = { 0 }; /* by field number */
    struct pb_field f;

    if (key.n != 8)
        return err_set(e, RC_CORRUPT, "a lease key has 8 bytes, not %zu", key.n);
    while (pb_next(&r, &f)) {
        if (f.tag >> 3 <= 3 && (f.tag & 7) == PB_VARINT)
            at[f.tag >> 3] = (int64_t)f.value;
        else
            TRY(message_unknown(&f, 3, e));
    }
    TRY(message_end(&r, value, e));
    if ((uint64_t)at[1] != be64(key.p))
        return err_set(e, RC_CORRUPT,
                       "lease key %016" PRIx64 " holds the lease %016" PRIx64,
                       be64(key.p), (uint64_t)at[1]);
    *out = (struct mvcc_lease){ .id = at[1], .ttl = at[2], .remaining_ttl = at[3] };
    return RC_OK;
}

/* etcdserverpb.AlarmMember { uint64 memberID = 1; AlarmType alarm = 2 }, as a key: what
 * etcd looks up is these bytes. */
enum rc mvcc_alarm_read(struct bytes key, struct mvcc_alarm *out, struct err *e)
{
    struct pb_reader r = pb_reader_of(key);
    struct mvcc_alarm alarm = { 0 };
    struct pb_field f;

    while (pb_next(&r, &f)) {
        if (f.tag == PB_TAG(1, PB_VARINT))
            alarm.member = f.value;
        else if (f.tag == PB_TAG(2, PB_VARINT))
            alarm.type = (uint32_t)f.value;
        else
            TRY(message_unknown(&f, 2, e));
    }
    TRY(message_end(&r, key, e));
    *out = alarm;
    return RC_OK;
}

static size_t varint_write(uint8_t *p, uint64_t v)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        p[n++] = (uint8_t)(v | 0x80);
    p[n++] = (uint8_t)v;
    return n;
}

/* proto3: a field that is zero is left out. */
size_t mvcc_alarm_write(uint8_t out[static MVCC_ALARM_KEY_MAX], struct mvcc_alarm alarm)
{
    size_t n = 0;

    if (alarm.member != 0) {
        out[n++] = 1 << 3;
        n += varint_write(out + n, alarm.member);
    }
    if (alarm.type != 0) {
        out[n++] = 2 << 3;
        n += varint_write(out + n, alarm.type);
    }
    return n;
}

enum rc mvcc_u64_read(struct bytes value, uint64_t *out, struct err *e)
{
    if (value.n != 8)
        return err_set(e, RC_CORRUPT, "8 bytes expected, %zu found", value.n);
    *out = be64(value.p);
    return RC_OK;
}

enum rc mvcc_compact_rev_read(struct bytes value, int64_t *out, struct err *e)
{
    struct mvcc_rev rev;

    TRY(mvcc_rev_read(value, &rev, e));
    if (rev.tombstone || rev.sub != 0)
        return err_set(e, RC_CORRUPT, "compaction mark with sub revision %" PRId64 "%s",
                       rev.sub, rev.tombstone ? " and a tombstone" : "");
    *out = rev.main;
    return RC_OK;
}

enum rc mvcc_flag_read(struct bytes value, bool *out, struct err *e)
{
    if (value.n != 1 || value.p[0] > 1)
        return err_set(e, RC_CORRUPT, "one byte 0 or 1 expected, %zu bytes found",
                       value.n);
    *out = value.p[0] == 1;
    return RC_OK;
}

#define VERSION_SUFFIX           \
    "+-.0123456789"              \
    "abcdefghijklmnopqrstuvwxyz" \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Digits up to the stop character, of which 5 are the most, so that nothing overflows;
 * advances *p past them. */
static bool version_part(const char **p, unsigned *out)
{
    unsigned n = 0, digits = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++, digits++)
        n = n * 10 + (unsigned)(**p - '0');
    *out = n;
    return digits > 0 && digits < 6;
}

enum rc mvcc_version_read(struct bytes value, struct mvcc_version *out, struct err *e)
{
    char text[64], shown[64];
    const char *p = text;
    struct mvcc_version v;

    snprintf(text, sizeof text, "%.*s", (int)(value.n < 63 ? value.n : 63),
             (const char *)value.p);
    if (value.n < sizeof text && version_part(&p, &v.major) && *p++ == '.' &&
        version_part(&p, &v.minor) && *p++ == '.' && version_part(&p, &v.patch) &&
        (*p == '\0' || *p == '-' || *p == '+') &&
        strspn(p, VERSION_SUFFIX) == value.n - (size_t)(p - text)) {
        *out = v;
        return RC_OK;
    }
    str_printable(shown, sizeof shown, value);
    return err_set(e, RC_CORRUPT, "'%s' is not a version", shown);
}

enum rc mvcc_member_key_read(struct bytes key, uint64_t *out, struct err *e)
{
    char shown[40], again[MVCC_MEMBER_KEY_MAX];
    uint64_t id = 0;

    for (size_t i = 0; i < key.n && i < 16; i++) {
        unsigned c = key.p[i];
        unsigned digit = c >= 'a' ? c - 'a' + 10 : c - '0';

        id = id << 4 | (digit & 15);
    }
    /* Any other spelling of the number, or none, does not come out the same. */
    mvcc_member_key_write(again, id);
    if (bytes_is(key, again)) {
        *out = id;
        return RC_OK;
    }
    str_printable(shown, sizeof shown, key);
    return err_set(e, RC_CORRUPT, "'%s' is not a member id in plain hex", shown);
}

void mvcc_member_key_write(char out[static MVCC_MEMBER_KEY_MAX], uint64_t id)
{
    snprintf(out, MVCC_MEMBER_KEY_MAX, "%" PRIx64, id);
}
