#include "util/str.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum rc format(char **out, struct err *e, const char *fmt, va_list ap)
    PRINTF_LIKE(3, 0);
static enum rc format(char **out, struct err *e, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    char *s = n < 0 ? NULL : mem_zero((size_t)n + 1);

    if (s != NULL)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    if (s == NULL)
        return err_set(e, RC_NOMEM, "no memory for a string");
    *out = s;
    return RC_OK;
}

enum rc str_format(char **out, struct err *e, const char *fmt, ...)
{
    va_list ap;
    enum rc rc;

    va_start(ap, fmt);
    rc = format(out, e, fmt, ap);
    va_end(ap);
    return rc;
}

enum rc str_append(struct buf *b, struct err *e, const char *fmt, ...)
{
    AT_END(mem_end) char *text = NULL;
    va_list ap;
    enum rc rc;

    va_start(ap, fmt);
    rc = format(&text, e, fmt, ap);
    va_end(ap);
    return rc == RC_OK ? buf_add(b, text, strlen(text), e) : rc;
}

enum rc str_list_add_n(struct str_list *l, const char *s, size_t n, struct err *e)
{
    char **items = mem_resize(l->items, l->count + 1, sizeof *items);

    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list");
    l->items = items;
    items[l->count] = mem_zero(n + 1);
    if (items[l->count] == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list");
    memcpy(items[l->count], s, n);
    l->count++;
    return RC_OK;
}

enum rc str_take(struct buf *b, char **out, struct err *e)
{
    TRY(buf_add(b, "", 1, e));
    *out = (char *)GIVE(b->p);
    buf_clear(b);
    return RC_OK;
}

enum rc str_list_add(struct str_list *l, const char *s, struct err *e)
{
    return str_list_add_n(l, s, strlen(s), e);
}

enum rc str_list_format(struct str_list *l, struct err *e, const char *fmt, ...)
{
    AT_END(mem_end) char *text = NULL;
    va_list ap;
    enum rc rc;

    va_start(ap, fmt);
    rc = format(&text, e, fmt, ap);
    va_end(ap);
    return rc == RC_OK ? str_list_add(l, text, e) : rc;
}

bool str_list_has(const struct str_list *l, const char *s)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->items[i], s) == 0)
            return true;
    return false;
}

void str_list_clear(struct str_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        mem_free(l->items[i]);
    mem_free(l->items);
    *l = (struct str_list){ 0 };
}

enum rc str_split(struct str_list *l, const char *text, char separator, struct err *e)
{
    while (*text != '\0') {
        const char *end = strchrnul(text, separator);
        const char *from = text, *to = end;

        while (from < to && isspace((unsigned char)*from))
            from++;
        while (to > from && isspace((unsigned char)to[-1]))
            to--;
        if (to > from)
            TRY(str_list_add_n(l, from, (size_t)(to - from), e));
        text = *end == '\0' ? end : end + 1;
    }
    return RC_OK;
}

bool str_to_u64(const char *s, uint64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)*s))
        return false;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);

    if (errno != 0 || *end != '\0')
        return false;
    *out = v;
    return true;
}

bool str_to_i64(const char *s, int64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)*s) && !(*s == '-' && isdigit((unsigned char)s[1])))
        return false;
    errno = 0;
    long long v = strtoll(s, &end, 10);

    if (errno != 0 || *end != '\0')
        return false;
    *out = v;
    return true;
}

static bool unit_of(const char *s, uint64_t *unit)
{
    static const char letters[] = "KMGT";
    const char *at = *s == '\0' ? NULL : strchr(letters, toupper((unsigned char)*s));
    uint64_t base = 1024, value = 1;

    if (strcmp(s, "") == 0 || strcmp(s, "B") == 0) {
        *unit = 1;
        return true;
    }
    if (at == NULL)
        return false;
    if (strcmp(s + 1, "B") == 0)
        base = 1000;
    else if (strcmp(s + 1, "") != 0 && strcmp(s + 1, "i") != 0 &&
             strcmp(s + 1, "iB") != 0)
        return false;
    for (long i = 0; i <= at - letters; i++)
        value *= base;
    *unit = value;
    return true;
}

bool str_to_size(const char *s, uint64_t *bytes)
{
    char number[32], rest[8];
    size_t digits = strspn(s, "0123456789");
    size_t n = strlen(s + digits);
    uint64_t value, unit;

    if (n >= 2 && strcmp(s + digits + n - 2, "/s") == 0)
        n -= 2;
    if (digits == 0 || digits >= sizeof number || n >= sizeof rest)
        return false;
    snprintf(number, sizeof number, "%.*s", (int)digits, s);
    snprintf(rest, sizeof rest, "%.*s", (int)n, s + digits);
    return str_to_u64(number, &value) && unit_of(rest, &unit) &&
           !__builtin_mul_overflow(value, unit, bytes);
}

static bool duration_unit(const char **s, uint64_t *us)
{
    static const struct {
        const char *name;
        uint64_t us;
    } units[] = { { "ms", 1000 },
                  { "us", 1 },
                  { "h", 3600000000 },
                  { "m", 60000000 },
                  { "s", 1000000 } };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strncmp(*s, units[i].name, strlen(units[i].name)) == 0) {
            *s += strlen(units[i].name);
            *us = units[i].us;
            return true;
        }
    return false;
}

bool str_to_duration(const char *s, uint64_t *ms)
{
    double total = 0;

    if (strcmp(s, "0") == 0) {
        *ms = 0;
        return true;
    }
    if (*s == '\0')
        return false;
    while (*s != '\0') {
        uint64_t us;
        char *end;
        double v;

        if (!isdigit((unsigned char)*s))
            return false;
        v = strtod(s, &end);
        s = end;
        if (!duration_unit(&s, &us))
            return false;
        total += v * (double)us / 1000;
    }
    if (total > 1e15)
        return false;
    *ms = (uint64_t)total;
    return true;
}

void str_size(char *out, size_t n, uint64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double v = (double)bytes;
    size_t i = 0;

    while (v >= 1000 && i < 4) {
        v /= 1000;
        i++;
    }
    if (i == 0)
        snprintf(out, n, "%" PRIu64 " B", bytes);
    else
        snprintf(out, n, "%.1f %s", v, units[i]);
}

void str_seconds(char *out, size_t n, uint64_t ms)
{
    if (ms < 60000)
        snprintf(out, n, "%.2fs", (double)ms / 1000);
    else
        snprintf(out, n, "%" PRIu64 "m%02" PRIu64 "s", ms / 60000, ms / 1000 % 60);
}

void str_hex(char *out, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * n] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool str_unhex(const char *s, uint8_t *out, size_t n)
{
    if (strlen(s) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int hi = nibble(s[2 * i]), lo = nibble(s[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

/* Length of the well-formed UTF-8 sequence at p, 0 when there is none; C1 controls
 * (U+0080..U+009F) count as none because terminals obey them. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
    size_t need = *p >= 0xF0 ? 4 : *p >= 0xE0 ? 3 : 2;
    uint32_t v;

    if (*p < 0xC2 || *p > 0xF4 || n < need)
        return 0;
    v = *p & (0xFFu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3F);
    }
    if (v < 0xA0 || (need == 3 && v < 0x800) || (need == 4 && v < 0x10000))
        return 0;
    return v > 0x10FFFF || (v >= 0xD800 && v <= 0xDFFF) ? 0 : need;
}

void str_printable(char *out, size_t n, struct bytes text)
{
    size_t used = 0;

    for (size_t i = 0; i < text.n;) {
        size_t plain = text.p[i] >= 0x20 && text.p[i] < 0x7F ? 1 : 0;
        size_t take = text.p[i] >= 0x80 ? utf8_length(text.p + i, text.n - i) : plain;

        if (used + 8 >= n) {
            snprintf(out + used, n - used, "...");
            return;
        }
        if (take > 0) {
            memcpy(out + used, text.p + i, take);
            used += take;
        } else {
            used += (size_t)snprintf(out + used, n - used, "\\x%02x", text.p[i]);
            take = 1;
        }
        i += take;
    }
    out[used] = '\0';
}

char *str_line(char *s)
{
    size_t n = strcspn(s, "\n");

    if (s[n] == '\0')
        return s + n;
    s[n] = '\0';
    return s + n + 1;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && strcmp(s + n - m, suffix) == 0;
}
