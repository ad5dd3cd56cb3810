/* What is left of a cluster that nobody can ask any more, into the blanks of a runbook.
 */
#ifndef RUNBOOK_REMAINS_H
#define RUNBOOK_REMAINS_H

#include "recover/judge.h"
#include "recover/plan.h"
#include "runbook/runbook.h"

/* From directories and statements, as `assess` judges them. What is known already
 * stays. */
enum rc runbook_remains(const struct recover_verdict *v, struct runbook_facts *f,
                        struct err *e);

/* From a plan that `recover` has written, and its file. */
enum rc runbook_planned(const struct recover_plan *p, const char *file,
                        struct runbook_facts *f, struct err *e);

#endif
