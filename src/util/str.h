/* Strings: formatting, lists, numbers with units, and text that is safe to print. */
#ifndef UTIL_STR_H
#define UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/mem.h"

/* Heap string; RC_NOMEM. The caller frees with mem_free. */
enum rc str_format(char **out, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Behind what a buffer holds; fails as buf_add does, or RC_NOMEM. */
enum rc str_append(struct buf *b, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What a buffer holds, as a heap string; the buffer is empty afterwards. */
enum rc str_take(struct buf *b, char **out, struct err *e);

/* A list of heap strings. Zero-initialise, end with str_list_clear. */
struct str_list {
    char **items;
    size_t count;
};
enum rc str_list_add(struct str_list *l, const char *s, struct err *e);
enum rc str_list_add_n(struct str_list *l, const char *s, size_t n, struct err *e);
enum rc str_list_format(struct str_list *l, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
bool str_list_has(const struct str_list *l, const char *s);
void str_list_clear(struct str_list *l);

/* Appends the parts of `text` between commas; blanks around a part are dropped and
 * empty parts are skipped. */
enum rc str_split(struct str_list *l, const char *text, char separator, struct err *e);

/* Whole-string numbers; false on anything else (sign, blanks, overflow, rest). */
bool str_to_u64(const char *s, uint64_t *out);
bool str_to_i64(const char *s, int64_t *out);

/* "1048576", "64KiB", "512MiB", "2G", "200MB/s": binary with "i" or a bare letter,
 * decimal with "B" alone after the letter. */
bool str_to_size(const char *s, uint64_t *bytes);

/* Go durations: "90s", "1h30m", "250ms", "0". Milliseconds. */
bool str_to_duration(const char *s, uint64_t *ms);

/* "20.0 MB" into out; "1.3s". */
void str_size(char *out, size_t n, uint64_t bytes);
void str_seconds(char *out, size_t n, uint64_t ms);

/* Lower-case hex of p[n] into out[2n+1]. */
void str_hex(char *out, const void *p, size_t n);
bool str_unhex(const char *s, uint8_t *out, size_t n); /* exactly 2n digits */

/* Copies bytes so that a terminal cannot be told anything by them: printable ASCII
 * and valid UTF-8 stay, all else becomes \xNN. Always ends with NUL, cuts with "...". */
void str_printable(char *out, size_t n, struct bytes text);

/* Ends the line at `s` where its newline stood; the line after it, or the end. */
char *str_line(char *s);

bool str_ends(const char *s, const char *suffix);

#endif
