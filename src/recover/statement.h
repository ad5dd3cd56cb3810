/* What one host says about the copies that lie on it, as a small file to bring along: the
 * facts of recover/copy.h, the host's name and the time, under one SHA-256. The digest
 * tells a file that was cut or edited by accident; it is no signature, and whoever can
 * write the file can make another.
 *
 *     {"format":"holdfast-statement-1","sha256":"…","statement":{"host","time","copies"}}
 *
 * Read as hostile: sizes are bounded, numbers that must fit are checked. */
#ifndef RECOVER_STATEMENT_H
#define RECOVER_STATEMENT_H

#include "recover/copy.h"
#include "util/json.h"

/* The facts of one copy; ids also in hex. */
struct json *recover_copy_json(const struct recover_copy *c);
struct json *recover_notes_json(const struct recover_copy *c);

/* The text of the file. The caller frees *out. */
enum rc recover_statement_render(const struct recover_copies *l, const char *host,
                                 int64_t now_ms, char **out, struct err *e);

/* Adds what the file `path` tells. RC_CORRUPT when its digest or a field is wrong;
 * RC_USAGE when it is another sort of file; RC_NOTFOUND, RC_AUTH, RC_STORAGE. */
enum rc recover_statement_read(struct recover_copies *l, const char *path, struct err *e);

#endif
