/* The same facts from a snapshot that goes by, without a second read: a filter that
 * passes all bytes on and looks at them. Level full, HashKV at the newest revision.
 *
 * Leaves go by before anybody can say whether they count, so each is packed (pack.h)
 * until the tree is known at the end; then the history is fed in key order, as from a
 * file. With more than `memory_max` bytes of that (0: no limit; 48 a record and some for
 * each page, of free pages as well) all of it is dropped and a WARN finding "not-checked"
 * says so: the facts are then incomplete, never wrong. */
#ifndef MVCC_STREAM_SURVEY_H
#define MVCC_STREAM_SURVEY_H

#include "filter/sink.h"
#include "mvcc/facts.h"

/* At finish, and before `next` is finished, findings land in `f` and the facts in `out`,
 * which both must live until then; `out` is zero-initialised and the caller ends it. The
 * same findings as from mvcc_survey_file and bolt_file_open. Damage makes no failure of
 * the chain: who must not publish a damaged file looks at `f` in a later sink's finish.
 */
enum rc mvcc_stream_sink_new(struct sink *next, size_t memory_max, struct findings *f,
                             struct mvcc_facts *out, struct sink **sink, struct err *e);

/* The same with HashKV at `revision` (0: the newest); finish is RC_NOTFOUND or RC_USAGE
 * when that is not in the file, as in history.h. */
enum rc mvcc_stream_sink_at(struct sink *next, size_t memory_max, int64_t revision,
                            struct findings *f, struct mvcc_facts *out,
                            struct sink **sink, struct err *e);

#endif
