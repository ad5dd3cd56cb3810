/* A database file being built: where the pages of a bolt_builder go. They are appended on
 * a thread of their own, so that reading and hashing overlap with writing, through a file
 * sink that spares the disk. The metas go in last, when all else is durable: until then
 * the file is no database, whatever happens to it. */
#ifndef STORAGE_DBFILE_H
#define STORAGE_DBFILE_H

#include "boltdb/build.h"
#include "filter/file.h"

struct dbfile;

/* `fd`, borrowed, is an empty regular file open for reading and writing; `name`,
 * borrowed, is for messages; NULL options are all zero. Fails as file_sink_new does:
 * RC_STORAGE when there is no room for expected_size besides the reserve. */
enum rc dbfile_new(int fd, const char *name, const struct file_sink_options *options,
                   struct dbfile **out, struct err *e);
void dbfile_free(struct dbfile *f);
OWN_DEFINE(dbfile)

/* For bolt_builder_new; good as long as the dbfile lives. */
struct bolt_target dbfile_target(struct dbfile *f);

/* The builder has finished: makes its pages durable, and then the metas. After any
 * failure the file is not to be trusted. */
enum rc dbfile_finish(struct dbfile *f, struct err *e);

/* The first two pages as they lie on the disk now, read past what the page cache holds of
 * them; RC_CORRUPT when they are not what was put in. Good as long as the dbfile lives;
 * only after dbfile_finish. With read_back that completes the proof of the file. */
enum rc dbfile_head(struct dbfile *f, struct bytes *out, struct err *e);

/* Bytes behind the last page, such as a snapshot's trailer; durable when this returns.
 * Only after dbfile_finish. */
enum rc dbfile_append(struct dbfile *f, const void *p, size_t n, struct err *e);

#endif
