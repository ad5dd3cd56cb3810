/* A sink that asks a question before the bytes are declared complete: what stands after
 * it is finished, and so published, only when the answer is RC_OK. */
#ifndef SNAPSHOT_GATE_H
#define SNAPSHOT_GATE_H

#include "filter/sink.h"

typedef enum rc gate_fn(void *arg, struct err *e);

enum rc gate_sink_new(struct sink *next, gate_fn *ask, void *arg, struct sink **out,
                      struct err *e);

#endif
