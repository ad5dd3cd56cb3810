#include "tests/unit/membership/sample.h"

#include <stdio.h>

#include "tests/lib/case.h"
#include "util/mem.h"

static void add_member(struct membership_look *l, size_t i)
{
    struct care_member *m = &l->view.items[i];
    struct wire_member *w = &l->list.items[i];
    struct err e = { 0 };
    char text[64];

    m->id = w->id = i + 1;
    snprintf(text, sizeof text, "m%zu", i);
    w->name = mem_str(text);
    m->name = mem_str(text);
    snprintf(text, sizeof text, "http://10.0.0.%zu:2379", i + 1);
    m->endpoint = mem_str(text);
    snprintf(text, sizeof text, "http://10.0.0.%zu:2380", i + 1);
    OK(str_list_add(&w->peer_urls, text, &e), &e);
    m->listed = m->answered = m->read_tried = true;
    m->status.leader = 1;
    m->status.raft_term = 2;
    m->status.raft_index = m->status.raft_applied_index = 5000;
    snprintf(m->status.version, sizeof m->status.version, "3.6.5");
}

void sample_look(struct membership_look *l, size_t voters)
{
    *l = (struct membership_look){ 0 };
    l->view.items = mem_zero(voters * sizeof *l->view.items);
    l->list.items = mem_zero(voters * sizeof *l->list.items);
    l->view.count = l->list.count = voters;
    l->view.cluster_id = 0xc1;
    for (size_t i = 0; i < voters; i++)
        add_member(l, i);
    sample_tabulate(l);
}

void sample_name(struct membership_look *l, size_t i, const char *name)
{
    mem_free(l->list.items[i].name);
    l->list.items[i].name = mem_str(name);
    sample_tabulate(l);
}

void sample_tabulate(struct membership_look *l)
{
    struct err e = { 0 };

    l->view.index = 0;
    care_view_derive(&l->view);
    OK(membership_tabulate(l, &e), &e);
}
