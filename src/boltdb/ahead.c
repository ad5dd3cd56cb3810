#include "boltdb/ahead.h"

#include "util/stop.h"

enum { PIECE = 8 << 20 };

static enum rc go_through(void *arg, struct err *e)
{
    struct bolt_ahead *a = arg;
    uint64_t size = bolt_file_size(a->file);

    (void)e;
    for (uint64_t at = 0; at < size; at += PIECE) {
        if (atomic_load(&a->enough) || stop_wanted())
            break;
        a->step(a->file, at, PIECE);
    }
    return RC_OK;
}

static enum rc start(struct bolt_ahead *a, const struct bolt_file *file,
                     bolt_ahead_step *step, struct err *e)
{
    a->file = file;
    a->step = step;
    atomic_store(&a->enough, false);
    return task_start(&a->task, go_through, a, e);
}

enum rc bolt_ahead_start(struct bolt_ahead *a, const struct bolt_file *file,
                         struct err *e)
{
    return start(a, file, bolt_file_populate, e);
}

enum rc bolt_ahead_start_own(struct bolt_ahead *a, const struct bolt_file *file,
                             struct err *e)
{
    return start(a, file, bolt_file_fetch, e);
}

enum rc bolt_behind_start(struct bolt_ahead *a, const struct bolt_file *file,
                          struct err *e)
{
    return start(a, file, bolt_file_unmap, e);
}

void bolt_ahead_stop(struct bolt_ahead *a)
{
    struct err never = { 0 };

    atomic_store(&a->enough, true);
    if (task_join(&a->task, &never) != RC_OK)
        never.code = RC_OK;
}
