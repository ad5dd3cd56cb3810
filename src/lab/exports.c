/* What a shell must know to talk to a lab. */
#include "lab/lab.h"
#include "lab/reach.h"
#include "util/mem.h"

/* 'text', with quotes in it taken apart. */
static enum rc quoted(const char *text, char **out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { 0 };

    TRY(buf_add(&b, "'", 1, e));
    for (; *text != '\0'; text++)
        TRY(*text == '\'' ? buf_add(&b, "'\\''", 4, e) : buf_add(&b, text, 1, e));
    TRY(buf_add(&b, "'", 2, e));
    *out = (char *)b.p;
    b.p = NULL;
    return RC_OK;
}

static enum rc line(struct str_list *out, const char *prefix, const char *name,
                    const char *before, const char *value, const char *after,
                    struct err *e)
{
    AT_END(mem_end) char *safe = NULL;
    AT_END(mem_end) char *text = NULL;

    TRY(quoted(value, &safe, e));
    TRY(str_format(&text, e, "export %s_%s=%s%s%s", prefix, name, before, safe, after));
    return str_list_add(out, text, e);
}

static enum rc both(struct str_list *out, const char *name, const char *value,
                    struct err *e)
{
    TRY(line(out, "ETCDCTL", name, "", value, "", e));
    return line(out, "HOLDFAST", name, "", value, "", e);
}

static enum rc file(const struct lab *l, struct str_list *out, const char *name,
                    const char *path, struct err *e)
{
    AT_END(mem_end) char *whole = NULL;

    TRY(lab_path(l, path, &whole, e));
    return both(out, name, whole, e);
}

/* The password stays in its file: what is printed may be kept somewhere. */
static enum rc login(const struct lab *l, struct str_list *out, struct err *e)
{
    AT_END(mem_end) char *path = NULL;

    TRY(lab_path(l, "root.password", &path, e));
    TRY(both(out, "USER", "root", e));
    TRY(line(out, "ETCDCTL", "PASSWORD", "\"$(cat ", path, ")\"", e));
    return line(out, "HOLDFAST", "PASSWORD_FILE", "", path, "", e);
}

enum rc lab_exports(const struct lab *l, struct str_list *out, struct err *e)
{
    AT_END(mem_end) char *endpoints = NULL;

    TRY(lab_endpoints(l, NULL, &endpoints, e));
    TRY(both(out, "ENDPOINTS", endpoints, e));
    if (l->tls) {
        TRY(file(l, out, "CACERT", "pki/ca.crt", e));
        TRY(file(l, out, "CERT", "pki/client.crt", e));
        TRY(file(l, out, "KEY", "pki/client.key", e));
    }
    return l->auth ? login(l, out, e) : RC_OK;
}
