#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/lib/fakeetcd_priv.h"

enum { CHUNK = 32768, SECTOR = 512, SHA_SIZE = 32 };

void blob_add(struct blob *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->p = realloc(b->p, b->cap);
        if (b->p == NULL)
            abort();
    }
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

void blob_varint(struct blob *b, uint64_t v)
{
    for (;;) {
        uint8_t byte = (uint8_t)((v & 0x7F) | (v > 0x7F ? 0x80 : 0));

        blob_add(b, &byte, 1);
        v >>= 7;
        if (v == 0)
            return;
    }
}

void blob_number(struct blob *b, unsigned field, uint64_t v)
{
    if (v == 0)
        return;
    blob_varint(b, field << 3);
    blob_varint(b, v);
}

void blob_bytes(struct blob *b, unsigned field, const void *p, size_t n)
{
    blob_varint(b, field << 3 | 2);
    blob_varint(b, n);
    blob_add(b, p, n);
}

void blob_frame(struct blob *b, const struct blob *message)
{
    uint8_t header[5] = { 0, (uint8_t)(message->n >> 24), (uint8_t)(message->n >> 16),
                          (uint8_t)(message->n >> 8), (uint8_t)message->n };

    blob_add(b, header, sizeof header);
    blob_add(b, message->p, message->n);
}

void blob_free(struct blob *b)
{
    free(b->p);
    *b = (struct blob){ 0 };
}

uint64_t fake_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- plain calls --------------------------------------------------------------------
 */

static void add_header(const struct fake *f, struct blob *m)
{
    struct blob h = { 0 };

    blob_number(&h, 1, f->script.cluster_id);
    blob_number(&h, 2, f->script.member_id);
    blob_number(&h, 3, (uint64_t)f->script.revision);
    blob_number(&h, 4, 2);
    blob_bytes(m, 1, h.p, h.n);
    blob_free(&h);
}

static void add_text(struct blob *m, unsigned field, const char *text)
{
    blob_bytes(m, field, text, strlen(text));
}

static void say_status(const struct fake *f, struct blob *m)
{
    const struct fake_script *s = &f->script;

    add_header(f, m);
    add_text(m, 2, s->version);
    blob_number(m, 3, s->snapshot_db_size);
    blob_number(m, 4, s->member_id);
    blob_number(m, 5, 100);
    blob_number(m, 6, 2);
    blob_number(m, 7, 100);
    blob_number(m, 9, s->snapshot_db_size);
}

static void say_members(const struct fake *f, struct blob *m)
{
    struct blob member = { 0 };

    add_header(f, m);
    blob_number(&member, 1, f->script.member_id);
    add_text(&member, 2, "fake");
    add_text(&member, 3, "http://127.0.0.1:1");
    add_text(&member, 4, f->endpoint);
    blob_bytes(m, 2, member.p, member.n);
    blob_free(&member);
}

static void say_hashkv(const struct fake *f, struct blob *m)
{
    add_header(f, m);
    blob_number(m, 2, f->script.hash);
    blob_number(m, 3, (uint64_t)f->script.compact_revision);
}

static void say_nothing(const struct fake *f, struct blob *m)
{
    (void)f;
    (void)m;
}

static const struct {
    const char *method;
    void (*say)(const struct fake *f, struct blob *m);
} methods[] = {
    { "Maintenance/Status", say_status },
    { "Cluster/MemberList", say_members },
    { "Maintenance/HashKV", say_hashkv },
    { "Maintenance/Alarm", add_header },
    { "KV/Put", add_header },
    { "Auth/UserAdd", add_header },
    { "Maintenance/Defragment", say_nothing },
};

static void refuse(struct stream *s, int status, const char *text)
{
    s->trailers_only = true;
    s->status = status;
    s->text = text;
    s->unary = SAY_END;
}

/* Field `number` of a message of strings, as etcd's login request is one. */
static bool field_is(const struct blob *framed, unsigned number, const char *want)
{
    size_t n = strlen(want);

    for (size_t i = 5; i + 1 < framed->n; i += 2 + framed->p[i + 1])
        if (framed->p[i] == (number << 3 | 2))
            return framed->p[i + 1] == n && i + 2 + n <= framed->n &&
                   memcmp(framed->p + i + 2, want, n) == 0;
    return n == 0;
}

static void token_text(const struct fake *f, char *out, size_t n)
{
    snprintf(out, n, "faketoken.%u", f->logins);
}

static void log_in(struct fake *f, struct stream *s)
{
    struct blob m = { 0 };
    char token[64];

    if (f->script.user == NULL) {
        refuse(s, 9, "etcdserver: authentication is not enabled");
        return;
    }
    if (!field_is(&s->request, 1, f->script.user) ||
        !field_is(&s->request, 2, f->script.password)) {
        refuse(s, 3, "etcdserver: authentication failed, invalid user ID or password");
        return;
    }
    f->logins++;
    f->token_left = f->script.token_uses == 0 ? UINT32_MAX : f->script.token_uses;
    token_text(f, token, sizeof token);
    add_header(f, &m);
    add_text(&m, 2, token);
    blob_frame(&s->out, &m);
    blob_free(&m);
}

/* 3.4 and 3.5 report this for maintenance calls as Unknown. */
static bool may_enter(struct fake *f, struct stream *s)
{
    bool quirk = strncmp(s->method, "Maintenance/", 12) == 0;
    char token[64];

    if (f->script.user == NULL)
        return true;
    token_text(f, token, sizeof token);
    if (s->token[0] == '\0')
        refuse(s, quirk ? 2 : 3,
               quirk ? "auth: user name is empty" : "etcdserver: user name is empty");
    else if (strcmp(s->token, token) != 0 || f->token_left == 0)
        refuse(s, 16, "etcdserver: invalid auth token");
    else
        f->token_left--;
    return !s->trailers_only;
}

static bool use_scripted(struct fake *f, struct stream *s)
{
    for (size_t i = 0; i < f->script.answer_count; i++) {
        const struct fake_answer *a = &f->script.answers[i];
        struct blob m = { 0 };

        if (strcmp(a->method, s->method) != 0 ||
            (a->times != 0 && f->answer_uses[i] >= a->times))
            continue;
        f->answer_uses[i]++;
        s->status = a->status;
        s->text = a->text;
        s->unary = a->drop ? SAY_CLOSE : a->hang ? SAY_WAIT : SAY_END;
        s->trailers_only = a->message == NULL && s->unary == SAY_END;
        if (a->message != NULL) {
            blob_add(&m, a->message, a->size);
            blob_frame(&s->out, &m);
            blob_free(&m);
        }
        return true;
    }
    return false;
}

static void count_call(struct fake *f, const char *method)
{
    for (size_t i = 0; i < sizeof f->calls / sizeof f->calls[0]; i++) {
        struct call_count *c = &f->calls[i];

        if (c->count == 0)
            snprintf(c->method, sizeof c->method, "%s", method);
        if (strcmp(c->method, method) == 0) {
            c->count++;
            return;
        }
    }
}

static void use_own(struct fake *f, struct stream *s)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].method, s->method) == 0) {
            struct blob m = { 0 };

            methods[i].say(f, &m);
            blob_frame(&s->out, &m);
            blob_free(&m);
            return;
        }
    refuse(s, 12, "unknown method");
}

/* Listing and changing alarms is one method; the request's first field tells them apart.
 */
static bool changes_alarms(const struct stream *s)
{
    return strcmp(s->method, "Maintenance/Alarm") == 0 && s->request.n > 6 &&
           s->request.p[5] == 1 << 3 && s->request.p[6] != 0;
}

void fake_answer(struct fake *f, struct stream *s)
{
    pthread_mutex_lock(&f->lock);
    count_call(f, s->method);
    if (changes_alarms(s))
        count_call(f, FAKE_ALARM_CHANGE);
    s->unary = SAY_END;
    if (use_scripted(f, s)) {
        /* all said */
    } else if (strcmp(s->method, "Auth/Authenticate") == 0) {
        log_in(f, s);
    } else if (!may_enter(f, s)) {
        /* refused */
    } else if (strcmp(s->method, "Maintenance/Snapshot") == 0) {
        s->snapshot = true;
        s->hash = EVP_MD_CTX_new();
        EVP_DigestInit_ex(s->hash, EVP_sha256(), NULL);
    } else {
        use_own(f, s);
    }
    pthread_mutex_unlock(&f->lock);
}

/* ---- the snapshot stream --------------------------------------------------------------
 */

static void take_db(struct fake *f, struct stream *s, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t at = s->sent + i;
        const uint8_t *db = f->script.db;

        to[i] = db != NULL && at < f->script.db_size ? db[at]
                                                     : (uint8_t)(at * 7 + at / SECTOR);
    }
    s->sent += n;
    EVP_DigestUpdate(s->hash, to, n);
}

static uint64_t left_of(const struct fake *f, const struct stream *s)
{
    return s->sent < f->script.db_size ? f->script.db_size - s->sent : 0;
}

static enum say put_message(struct fake *f, struct stream *s, uint64_t remaining,
                            const void *p, size_t n)
{
    struct blob m = { 0 };

    blob_number(&m, 2, remaining);
    if (n > 0)
        blob_bytes(&m, 3, p, n);
    if (f->script.snap_version != NULL)
        add_text(&m, 4, f->script.snap_version);
    blob_frame(&s->out, &m);
    s->last.n = 0;
    blob_add(&s->last, m.p, m.n);
    blob_free(&m);
    return SAY_MORE;
}

static enum say put_data(struct fake *f, struct stream *s, size_t n)
{
    static _Thread_local uint8_t chunk[CHUNK];

    take_db(f, s, chunk, n);
    return put_message(f, s, left_of(f, s), chunk, n);
}

static void digest_so_far(const struct stream *s, uint8_t out[static SHA_SIZE])
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();

    EVP_MD_CTX_copy_ex(copy, s->hash);
    EVP_DigestFinal_ex(copy, out, NULL);
    EVP_MD_CTX_free(copy);
}

static enum say put_sector(struct fake *f, struct stream *s, const struct fake_step *step)
{
    uint8_t sector[SECTOR];
    struct blob m = { 0 };

    take_db(f, s, sector, SECTOR);
    if (step->what == FAKE_LIE)
        return put_message(f, s, left_of(f, s) + step->n, sector, SECTOR);
    if (step->what == FAKE_REMAINING)
        return put_message(f, s, step->n, sector, SECTOR);
    blob_number(&m, 2, left_of(f, s));
    blob_number(&m, 900, 77);
    blob_bytes(&m, 3, sector, SECTOR);
    add_text(&m, 901, "from the future");
    blob_frame(&s->out, &m);
    blob_free(&m);
    return SAY_MORE;
}

static enum say put_merged(struct fake *f, struct stream *s)
{
    size_t n = (size_t)left_of(f, s);
    uint8_t *all = malloc(n + SHA_SIZE);

    take_db(f, s, all, n);
    digest_so_far(s, all + n);
    put_message(f, s, 0, all, n + SHA_SIZE);
    free(all);
    return SAY_MORE;
}

static enum say put_trailer(struct fake *f, struct stream *s,
                            const struct fake_step *step)
{
    uint8_t digest[SHA_SIZE];
    size_t from = 0, n = SHA_SIZE;

    digest_so_far(s, digest);
    if (step->what == FAKE_BAD_TRAILER)
        digest[7] ^= 1;
    if (step->what == FAKE_ZERO_TRAILER)
        memset(digest, 0, sizeof digest);
    if (step->what == FAKE_HALF_TRAILER) {
        from = (size_t)s->trailer_at;
        n = (size_t)step->n;
        s->trailer_at += n;
    }
    return put_message(f, s, 0, digest + from, n);
}

static enum say put_header(struct stream *s, const struct fake_step *step)
{
    uint8_t header[5] = { (uint8_t)step->m, (uint8_t)(step->n >> 24),
                          (uint8_t)(step->n >> 16), (uint8_t)(step->n >> 8),
                          (uint8_t)step->n };

    blob_add(&s->out, header, sizeof header);
    return SAY_MORE;
}

static enum say put_garbage(struct stream *s, size_t n)
{
    struct blob m = { 0 };

    for (size_t i = 0; i < n; i++)
        blob_add(&m, "\xff", 1);
    blob_frame(&s->out, &m);
    blob_free(&m);
    return SAY_MORE;
}

static enum say nap(struct stream *s, uint64_t ms)
{
    s->wake_ms = ms == 0 ? 0 : fake_now_ms() + ms;
    return SAY_WAIT;
}

/* Steps that take several turns: true while there is more of it. */
static bool go_on(struct fake *f, struct stream *s, const struct fake_step *step,
                  enum say *say)
{
    uint64_t total = step->n;

    switch ((int)step->what) {
    case FAKE_REST:
        total = s->step_done + left_of(f, s);
        [[fallthrough]];
    case FAKE_DATA: {
        uint64_t n = total - s->step_done < CHUNK ? total - s->step_done : CHUNK;

        if (n == 0)
            return false;
        s->step_done += n;
        *say = put_data(f, s, (size_t)n);
        return true;
    }
    case FAKE_EMPTY:
        if (s->step_done++ == step->n)
            return false;
        *say = put_message(f, s, left_of(f, s), NULL, 0);
        return true;
    case FAKE_DRIP:
        *say = s->step_done++ % 2 == 0 ? nap(s, step->n) : put_data(f, s, 1);
        return true;
    case FAKE_STALL:
        *say = nap(s, 0);
        return true;
    default:
        return false;
    }
}

static enum say end_with(struct stream *s, int status, int second, const char *text)
{
    s->status = status;
    s->second_status = second;
    s->text = text;
    return SAY_END;
}

static enum say do_once(struct fake *f, struct stream *s, const struct fake_step *step)
{
    switch (step->what) {
    case FAKE_LIE:
    case FAKE_REMAINING:
    case FAKE_UNKNOWN:
        return put_sector(f, s, step);
    case FAKE_REPEAT:
        blob_frame(&s->out, &s->last);
        return SAY_MORE;
    case FAKE_TRAILER:
    case FAKE_BAD_TRAILER:
    case FAKE_ZERO_TRAILER:
    case FAKE_HALF_TRAILER:
        return put_trailer(f, s, step);
    case FAKE_MERGED:
        return put_merged(f, s);
    case FAKE_FRAME:
        return put_header(s, step);
    case FAKE_GARBAGE:
        return put_garbage(s, (size_t)step->n);
    case FAKE_NAP:
        return nap(s, step->n);
    case FAKE_STATUS:
        return end_with(s, (int)step->n, -1, step->text);
    case FAKE_NO_STATUS:
        return end_with(s, -1, -1, NULL);
    case FAKE_TWO_STATUSES:
        return end_with(s, (int)step->m, (int)step->n, NULL);
    case FAKE_RESET:
        s->status = (int)step->n;
        return SAY_RESET;
    case FAKE_CLOSE:
        return SAY_CLOSE;
    case FAKE_ABORT:
        return SAY_ABORT;
    case FAKE_GOAWAY:
        return SAY_GOAWAY;
    case FAKE_DATA:
    case FAKE_REST:
    case FAKE_EMPTY:
    case FAKE_DRIP:
    case FAKE_STALL:
        break;
    }
    return SAY_MORE;
}

enum say fake_say(struct fake *f, struct stream *s)
{
    static const struct fake_step whole[] = { { .what = FAKE_REST },
                                              { .what = FAKE_TRAILER } };
    const struct fake_step *steps = f->script.steps;
    size_t count = f->script.step_count;
    enum say say = SAY_MORE;

    if (!s->snapshot)
        return s->unary;
    if (steps == NULL) {
        steps = whole;
        count = 2;
    }
    while (s->step < count && s->out.n == s->out_at) {
        if (go_on(f, s, &steps[s->step], &say))
            return say;
        s->step_done = 0;
        say = do_once(f, s, &steps[s->step++]);
        if (say != SAY_MORE)
            return say;
    }
    return s->out.n > s->out_at ? SAY_MORE : end_with(s, 0, -1, NULL);
}
