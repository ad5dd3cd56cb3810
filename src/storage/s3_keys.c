#include "storage/s3_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { FILE_MAX = 1 << 20 };

void s3_keys_wipe(struct s3_keys *k)
{
    mem_wipe(k, sizeof *k);
}

/* Also what may stand in a header: visible ASCII, without blanks. */
static bool copy(struct bytes value, char *out, size_t room)
{
    if (value.n == 0 || value.n >= room)
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] <= ' ' || value.p[i] > '~')
            return false;
    memcpy(out, value.p, value.n);
    out[value.n] = '\0';
    return true;
}

struct setting {
    const char *file, *variable;
    size_t at, room;
};
#define MEMBER(name) offsetof(struct s3_keys, name), sizeof((struct s3_keys *)NULL)->name

static const struct setting settings[] = {
    { "aws_access_key_id", "AWS_ACCESS_KEY_ID", MEMBER(access) },
    { "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", MEMBER(secret) },
    { "aws_session_token", "AWS_SESSION_TOKEN", MEMBER(token) },
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static enum rc take_line(struct bytes line, unsigned no, const char *name,
                         struct s3_keys *out, struct err *e)
{
    const uint8_t *equals = memchr(line.p, '=', line.n);
    struct bytes key, value;

    if (equals == NULL)
        return err_set(e, RC_USAGE, "'%s' line %u has no '='", name, no);
    key = bytes_trim((struct bytes){ line.p, (size_t)(equals - line.p) });
    value =
        bytes_trim((struct bytes){ equals + 1, line.n - (size_t)(equals - line.p) - 1 });
    for (size_t i = 0; i < SETTINGS; i++)
        if (bytes_is(key, settings[i].file) &&
            !copy(value, (char *)out + settings[i].at, settings[i].room))
            return err_set(e, RC_USAGE,
                           "'%s' line %u: %s is empty, too long, or has "
                           "characters that it cannot have",
                           name, no, settings[i].file);
    return RC_OK; /* other settings are the AWS tools' own */
}

/* "[name]", or "[profile name]" as the AWS tools' other file writes it. */
static bool is_section(struct bytes line, const char *profile)
{
    struct bytes inner = bytes_trim((struct bytes){ line.p + 1, line.n - 2 });

    if (bytes_starts(inner, "profile "))
        inner = bytes_trim((struct bytes){ inner.p + 8, inner.n - 8 });
    return bytes_is(inner, profile);
}

static enum rc parse(struct bytes text, const char *name, const char *profile,
                     struct s3_keys *out, bool *found, struct err *e)
{
    bool inside = false;

    for (unsigned no = 1; text.n > 0; no++) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);
        struct bytes line = bytes_trim((struct bytes){ text.p, n });

        text = (struct bytes){ text.p + n, text.n - n };
        if (end != NULL)
            text = (struct bytes){ text.p + 1, text.n - 1 };
        if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
            continue;
        if (line.p[0] == '[' && line.p[line.n - 1] != ']')
            return err_set(e, RC_USAGE, "'%s' line %u: a section ends with ']'", name,
                           no);
        if (line.p[0] == '[')
            *found = (inside = is_section(line, profile)) || *found;
        else if (inside)
            TRY(take_line(line, no, name, out, e));
    }
    return RC_OK;
}

enum rc s3_keys_parse(struct bytes text, const char *name, const char *profile,
                      struct s3_keys *out, struct err *e)
{
    bool found = false;

    if (profile == NULL)
        profile = "default";
    TRY(parse(text, name, profile, out, &found, e));
    if (!found)
        return err_set(e, RC_USAGE, "'%s' has no section [%s]", name, profile);
    for (size_t i = 0; i < 2; i++)
        if (((const char *)out)[settings[i].at] == '\0')
            return err_set(e, RC_USAGE, "'%s' has no %s in [%s]", name, settings[i].file,
                           profile);
    return RC_OK;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

void s3_keys_file(const char *file, char *out, size_t n)
{
    const char *home = variable("HOME");

    if (file == NULL && variable(settings[0].variable) == NULL)
        file = variable("AWS_SHARED_CREDENTIALS_FILE");
    out[0] = '\0';
    if (file != NULL)
        snprintf(out, n, "%s", file);
    else if (variable(settings[0].variable) == NULL && home != NULL)
        snprintf(out, n, "%s/.aws/credentials", home);
}

static enum rc from_environment(struct s3_keys *out, struct err *e)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *value = variable(settings[i].variable);
        bool needed = i < 2;

        if (value == NULL && !needed)
            continue;
        if (value == NULL)
            return err_set(e, RC_USAGE, "%s is set without %s", settings[0].variable,
                           settings[i].variable);
        if (!copy(bytes_str(value), (char *)out + settings[i].at, settings[i].room))
            return err_set(e, RC_USAGE,
                           "%s is too long, or has characters that it "
                           "cannot have",
                           settings[i].variable);
    }
    return RC_OK;
}

static void wiped(struct buf *b)
{
    buf_wipe(b);
}

static enum rc from_file(const char *path, const char *profile, struct s3_keys *out,
                         struct err *e)
{
    AT_END(wiped) struct buf held = { 0 };

    TRY(os_read_file(path, FILE_MAX, &held.p, &held.n, e));
    held.cap = held.n;
    return s3_keys_parse((struct bytes){ held.p, held.n }, path, profile, out, e);
}

enum rc s3_keys_load(const char *file, const char *profile, struct s3_keys *out,
                     struct err *e)
{
    char path[4096];

    *out = (struct s3_keys){ 0 };
    s3_keys_file(file, path, sizeof path);
    if (path[0] == '\0')
        return from_environment(out, e);
    if (profile == NULL)
        profile = variable("AWS_PROFILE");
    if (from_file(path, profile, out, e) == RC_OK)
        return RC_OK;
    err_hint(e, "credentials come from a file as the AWS tools write it, or from "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    return err_wrap(e, "cannot read the credentials of S3");
}
