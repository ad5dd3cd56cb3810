/* How the members of a living cluster are shown, the same in status and doctor. */
#ifndef CLI_MEMBERS_H
#define CLI_MEMBERS_H

#include "care/view.h"
#include "cli/render.h"

/* Narrow rows for a terminal of 80 columns. */
struct result *members_brief(const struct care_view *v);

/* Adds, as lines below the brief rows, why members are not up. */
void members_explain(const struct care_view *v, struct result *brief);

/* Everything: etcdctl's columns first, and its names in JSON. */
struct result *members_list(const struct care_view *v);

#endif
