/* What a living cluster tells about its trouble, from the same planners as the commands:
 * into the blanks of a runbook. */
#ifndef RUNBOOK_LOOK_H
#define RUNBOOK_LOOK_H

#include "care/look.h"
#include "runbook/runbook.h"

/* What is known already stays. A cluster that does not answer leaves the blanks blank,
 * and says so in the situation. RC_NOMEM, RC_INTERRUPTED. */
enum rc runbook_look(const struct runbook *b, const struct care_access *a,
                     struct runbook_facts *f, struct err *e);

#endif
