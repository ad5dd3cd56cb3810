/* The same facts from a snapshot that goes by, without a second read: a filter that
 * passes all bytes on and looks at them. Level full, HashKV at the newest revision unless
 * asked otherwise.
 *
 * Leaves go by before anybody can say whether they count, so each is packed (pack.h) and
 * put aside (filter/spool.h) until the tree is known at the end; then the history is fed
 * in key order, as from a file, and for keys beyond `keys_max` fed again. So the memory
 * does not grow with the database but for 4 bytes a page; what is put aside does, 48
 * bytes a record and 80 a page. Where there can be no temporary file, memory takes its
 * place; with more than `memory_max` of it all is dropped and a WARN finding
 * "not-checked" says so: the facts are then incomplete, never wrong. */
#ifndef MVCC_STREAM_SURVEY_H
#define MVCC_STREAM_SURVEY_H

#include "filter/sink.h"
#include "mvcc/facts.h"

/* Whatever is 0 is as said here. */
struct mvcc_stream_options {
    int64_t revision;  /* of HashKV; 0: the newest. Finish is RC_NOTFOUND or RC_USAGE when
                        * it is not in the file, as in history.h */
    size_t memory_max; /* no limit */
    size_t resident;   /* facts held in memory before a file is begun; 0: 6 MiB */
    size_t keys_max;   /* as in mvcc_history_bound; 0: 3 << 15, 7 MiB */
};

/* At finish, and before `next` is finished, findings land in `f` and the facts in `out`,
 * which both must live until then; `out` is zero-initialised and the caller ends it. The
 * same findings as from mvcc_survey_file and bolt_file_open. Damage makes no failure of
 * the chain: who must not publish a damaged file looks at `f` in a later sink's finish.
 * RC_STORAGE when the temporary file cannot be read again. `o` may be NULL.
 */
enum rc mvcc_stream_sink_new(struct sink *next, const struct mvcc_stream_options *o,
                             struct findings *f, struct mvcc_facts *out,
                             struct sink **sink, struct err *e);

#endif
