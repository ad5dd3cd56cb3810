#include "tests/unit/care/sample.h"

#include <stdio.h>

#include "util/mem.h"

struct care_view sample_view(size_t voters)
{
    struct care_view v = { .cluster_id = 0xc1 };

    v.items = mem_zero(voters * sizeof *v.items);
    v.count = voters;
    for (size_t i = 0; i < voters; i++) {
        struct care_member *m = &v.items[i];
        char text[40];

        m->id = m->status.header.member_id = i + 1;
        snprintf(text, sizeof text, "m%zu", i);
        m->name = mem_str(text);
        snprintf(text, sizeof text, "http://10.0.0.%zu:2379", i + 1);
        m->endpoint = mem_str(text);
        m->listed = m->answered = true;
        m->status.header.cluster_id = v.cluster_id;
        m->status.header.revision = 100;
        m->status.leader = 1;
        m->status.raft_term = 2;
        m->status.raft_index = m->status.raft_applied_index = 200;
        m->status.db_size = 100 << 20;
        m->status.db_size_in_use = 90 << 20;
        m->status.db_size_quota = 2147483648;
        snprintf(m->status.version, sizeof m->status.version, "3.6.5");
        m->read_tried = true;
    }
    care_view_derive(&v);
    return v;
}

void sample_fail(struct care_view *v, size_t i, enum care_state state, const char *why)
{
    struct care_member *m = &v->items[i];

    m->failure.code =
        err_set(&m->failure, state == CARE_BARRED ? RC_AUTH : RC_NET, "%s", why);

    m->state = state;
    m->answered = false;
    m->read_tried = false;
}
