#include "tests/unit/recover/estate.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static void set_voters(struct recover_copy *c, size_t voters)
{
    struct mvcc_member members[9] = { 0 };
    char names[9][24], urls[9][48];
    struct err e = { 0 };

    for (size_t i = 0; i < voters; i++) {
        snprintf(names[i], sizeof names[i], "m%zu", i + 1);
        snprintf(urls[i], sizeof urls[i], "http://10.0.0.%zu:2379", i + 1);
        members[i].id = i + 1;
        members[i].name = names[i];
        OK(str_list_add(&members[i].client_urls, urls[i], &e), &e);
        OK(mvcc_ids_add(&c->latest.voters, i + 1, &e), &e);
        OK(mvcc_ids_add(&c->decided.voters, i + 1, &e), &e);
    }
    OK(recover_members_set(c, members, voters, &e), &e);
    for (size_t i = 0; i < voters; i++)
        str_list_clear(&members[i].client_urls);
}

static void set_end(struct recover_copy *c, uint64_t term, uint64_t index)
{
    c->readable = c->ok = c->term_known = c->tail_known = true;
    c->term = term;
    c->index = c->commit = c->applied = index;
    c->revision = c->revision_with_tail = (int64_t)index - 10;
}

struct recover_copy *estate_directory(struct estate *s, uint64_t member, size_t voters,
                                      uint64_t term, uint64_t index)
{
    struct recover_copy *c;
    struct err e = { 0 };
    char text[24];

    snprintf(text, sizeof text, "d%d", (int)member);
    OK(recover_copies_add(&s->copies, RECOVER_DIRECTORY, text, &c, &e), &e);
    set_voters(c, voters);
    set_end(c, term, index);
    c->startable = true;
    c->cluster_id = ESTATE_CLUSTER;
    c->member_id = member;
    mem_free(c->name);
    snprintf(text, sizeof text, "m%d", (int)member);
    c->name = mem_str(text);
    snprintf(c->verdict, sizeof c->verdict, "whole");
    return c;
}

struct recover_copy *estate_snapshot(struct estate *s, size_t voters, uint64_t term,
                                     uint64_t index)
{
    struct recover_copy *c;
    struct err e = { 0 };
    char text[24];

    snprintf(text, sizeof text, "b%zu", s->copies.count);
    OK(recover_copies_add(&s->copies, RECOVER_SNAPSHOT, text, &c, &e), &e);
    set_voters(c, voters);
    set_end(c, term, index);
    c->term_known = term > 0;
    return c;
}

void estate_look(struct estate *s, size_t voters)
{
    s->view.cluster_id = ESTATE_CLUSTER;
    s->view.items = mem_zero(voters * sizeof *s->view.items);
    s->view.count = voters;
    for (size_t i = 0; i < voters; i++) {
        struct care_member *m = &s->view.items[i];
        char text[40];

        m->id = i + 1;
        snprintf(text, sizeof text, "m%zu", i + 1);
        m->name = mem_str(text);
        snprintf(text, sizeof text, "http://10.0.0.%zu:2379", i + 1);
        m->endpoint = mem_str(text);
        m->listed = m->answered = m->read_tried = true;
        m->status.raft_index = 100;
    }
}

void estate_freeze(struct estate *s, size_t from)
{
    for (size_t i = 0; i < s->view.count; i++) {
        struct care_member *m = &s->view.items[i];

        m->state = i < from ? CARE_FROZEN : CARE_DOWN;
        m->answered = i < from;
        m->read = RC_NET;
    }
}

void estate_judge(struct estate *s)
{
    const struct recover_scene scene = { .copies = &s->copies, .view = &s->view };
    struct err e = { 0 };

    recover_verdict_clear(&s->v);
    OK(recover_judge(&scene, &s->v, &e), &e);
}

const struct recover_ranked *estate_ranked(const struct estate *s, const char *path)
{
    for (size_t i = 0; i < s->v.ranked_count; i++)
        if (strcmp(s->v.ranked[i].copy->path, path) == 0)
            return &s->v.ranked[i];
    cr_assert_fail("no copy '%s'", path);
    return NULL;
}

void estate_says(const char *text, const char *part)
{
    cr_assert(strstr(text, part) != NULL, "'%s' is not in: %s", part, text);
}

bool estate_notes(const struct estate *s, const char *part)
{
    for (size_t i = 0; i < s->v.notes.count; i++)
        if (strstr(s->v.notes.items[i], part) != NULL)
            return true;
    return false;
}

void estate_clear(struct estate *s)
{
    recover_verdict_clear(&s->v);
    recover_copies_clear(&s->copies);
    care_view_clear(&s->view);
}
