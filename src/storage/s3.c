#include <stdio.h>

#include "crypto/secret.h"
#include "http/date.h"
#include "storage/s3_inside.h"
#include "storage/s3_keys.h"
#include "storage/s3_time.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

enum { KEYS_FILE_MAX = 1 << 20 };

enum rc s3_head(struct s3 *s, const char *key, const char *version, struct s3_answer *a,
                struct err *e)
{
    struct s3_call c = { .operation = "HeadObject", .method = "HEAD", .key = key };

    if (version != NULL)
        c.query[0] = (struct s3_param){ "versionId", version };
    return s3_run(s, &c, a, e);
}

enum rc s3_delete(struct s3 *s, const char *key, const char *version, struct s3_answer *a,
                  struct err *e)
{
    struct s3_call c = { .operation = "DeleteObject", .method = "DELETE", .key = key };

    if (version != NULL)
        c.query[0] = (struct s3_param){ "versionId", version };
    return s3_run(s, &c, a, e);
}

int64_t s3_locked_until(const struct s3_answer *a)
{
    int64_t ms;

    if (a->lock_mode[0] == '\0' || !s3_time_from_iso(a->lock_until, &ms))
        return 0;
    return ms / 1000;
}

int64_t s3_now(const struct s3_answer *a)
{
    int64_t now;

    return http_date(a->date, &now) ? now : clock_unix_ms() / 1000;
}

bool s3_is_versioned(const struct s3_answer *a)
{
    return a->version[0] != '\0' && strcmp(a->version, "null") != 0;
}

static enum rc stat_of(struct store *base, const char *key, struct store_info *out,
                       struct err *e)
{
    struct s3 *s = (struct s3 *)base;
    S3_ANSWER a = { 0 };
    int64_t modified;
    enum rc rc = s3_head(s, key, NULL, &a, e);

    if (s3_is_absent(&a))
        return store_missing(base, key, e);
    if (rc != RC_OK)
        return rc;
    if (!str_to_u64(a.length, &out->size))
        return err_set(e, RC_CORRUPT, "the store does not tell the size of '%s'", key);
    out->modified_ms = http_date(a.modified, &modified) ? modified * 1000 : 0;
    out->locked_until = s3_locked_until(&a);
    return RC_OK;
}

static enum rc refuse_locked(const struct s3_answer *a, const char *key, struct err *e)
{
    char until[32];

    clock_utc_at(s3_locked_until(a), until);
    return err_set(e, RC_REFUSED, "'%s' is locked against deletion until %s", key, until);
}

/* In a bucket with versions a delete only hides the object, and so also a locked one:
 * that is why its lock is asked for first. */
static enum rc remove_it(struct store *base, const char *key, struct err *e)
{
    struct s3 *s = (struct s3 *)base;
    S3_ANSWER seen = { 0 }, a = { 0 };
    enum rc rc = s3_head(s, key, NULL, &seen, e);

    if (s3_is_absent(&seen))
        return RC_OK;
    if (rc != RC_OK && rc != RC_AUTH)
        return rc;
    if (rc == RC_OK && s3_locked_until(&seen) > s3_now(&seen))
        return refuse_locked(&seen, key, e);
    rc = s3_delete(s, key, NULL, &a, e);
    return s3_is_absent(&a) ? RC_OK : rc;
}

static void release(struct store *base)
{
    struct s3 *s = (struct s3 *)base;

    http_free(s->http);
    s3_place_clear(&s->place);
    mem_free(s->cacert);
    mem_free(s->credentials_file);
    mem_free(s->profile);
}

static const struct store_ops ops = {
    .locks = true,
    .put_new = s3_put_new,
    .get = s3_get,
    .stat = stat_of,
    .list = s3_list,
    .remove = remove_it,
    .sweep = s3_sweep,
    .probe = s3_probe,
    .release = release,
};

static enum rc copy(const char *text, char **out, struct err *e)
{
    if (text == NULL)
        return RC_OK;
    *out = mem_str(text);
    return *out == NULL ? err_set(e, RC_NOMEM, "no memory for the options of S3") : RC_OK;
}

/* Here, and not for each request, it is said when others may read the file. */
static enum rc check_keys(const struct store_options *o, struct err *e)
{
    AT_END(s3_keys_wipe) struct s3_keys keys = { 0 };
    OWNED(secret) text = NULL;
    char path[4096];

    s3_keys_file(o->credentials_file, path, sizeof path);
    TRY(s3_keys_load(o->credentials_file, o->profile, &keys, e));
    return path[0] == '\0' ? RC_OK : secret_read_file(path, KEYS_FILE_MAX, &text, e);
}

static enum rc fill(struct s3 *s, const struct store_options *o, struct err *e)
{
    TRY(s3_place_parse(o->url, &s->place, e));
    TRY(copy(o->cacert, &s->cacert, e));
    TRY(copy(o->credentials_file, &s->credentials_file, e));
    TRY(copy(o->profile, &s->profile, e));
    s->deadline_ms = store_deadline_ms(o);
    s->stall_ms = store_stall_ms(o);
    TRY(check_keys(o, e));
    return s3_connect(s, &s->http, e);
}

enum rc store_check_s3(const char *url, struct err *e)
{
    AT_END(s3_place_clear) struct s3_place p = { 0 };

    return s3_place_parse(url, &p, e);
}

enum rc store_open_s3(const struct store_options *o, struct store **out, struct err *e)
{
    AT_END(mem_end) char *name = NULL;
    OWNED(store) made = NULL;

    /* Nothing secret stands in the URL; the options behind '?' say little. */
    name = mem_str_n(o->url, strcspn(o->url, "?"));
    if (name == NULL)
        return err_set(e, RC_NOMEM, "no memory for the name of a store");
    TRY(store_new(&ops, sizeof(struct s3), name, &made, e));
    TRY(fill((struct s3 *)made, o, e));
    *out = GIVE(made);
    return RC_OK;
}
