#include "recover/probe.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

enum { OLD = 7, NEW = 8, OTHER = 9 };

/* One answer, and what it means for the plan. */
struct row {
    const char *name;
    bool peer;
    enum recover_answer answer;
    uint64_t cluster;
    enum rc want;
    const char *says;
};

static enum rc judge(struct recover_sighting *items, size_t count, struct err *e)
{
    const struct recover_sightings s = { items, count };
    AT_END(str_list_clear) struct str_list off = { 0 };
    const struct recover_expected x = {
        .old_cluster = OLD, .new_cluster = NEW, .self = "me", .assumed = &off
    };

    OK(str_list_add(&off, "off", e), e);
    return recover_sightings_judge(&s, &x, e);
}

CASE(probe, one_answer)
{
    static const struct row rows[] = {
        { "a", true, RECOVER_NOBODY, 0, RC_OK, NULL },
        { "a", true, RECOVER_KNOWN, OLD, RC_REFUSED, "a of the old cluster still runs" },
        { "a", false, RECOVER_KNOWN, OLD, RC_REFUSED, "a of the old cluster still runs" },
        { "a", true, RECOVER_KNOWN, NEW, RC_OK, NULL },
        { "a", true, RECOVER_KNOWN, OTHER, RC_REFUSED, "a member of another cluster" },
        { "a", true, RECOVER_SOMEBODY, 0, RC_REFUSED, "does not say whether it is a" },
        { "me", true, RECOVER_KNOWN, OLD, RC_OK, NULL },
        { "me", true, RECOVER_SOMEBODY, 0, RC_OK, NULL },
        { "me", true, RECOVER_KNOWN, OTHER, RC_REFUSED, "a member of another cluster" },
        { "off", true, RECOVER_SOMEBODY, 0, RC_OK, NULL },
        { "off", true, RECOVER_KNOWN, OLD, RC_REFUSED, "still runs" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recover_sighting s = { .name = rows[i].name,
                                      .url = "http://10.0.0.1:2380",
                                      .peer = rows[i].peer,
                                      .answer = rows[i].answer,
                                      .cluster_id = rows[i].cluster };
        struct err e = { 0 };

        cr_assert_eq(judge(&s, 1, &e), rows[i].want, "row %zu: %s", i, e.why);
        if (rows[i].says != NULL)
            cr_assert(strstr(e.why, rows[i].says) != NULL, "row %zu: %s", i, e.why);
    }
}

/* A new member serves no client before there is a quorum; its peer address tells. */
CASE(probe, one_address_explains_the_other)
{
    struct recover_sighting s[] = {
        { .name = "a", .url = "http://10.0.0.1:2379", .answer = RECOVER_SOMEBODY },
        { .name = "a",
          .url = "http://10.0.0.1:2380",
          .peer = true,
          .answer = RECOVER_KNOWN,
          .cluster_id = NEW },
    };
    struct err e = { 0 };

    OK(judge(s, 2, &e), &e);
    s[1].answer = RECOVER_NOBODY;
    cr_assert_eq(judge(s, 2, &e), RC_REFUSED);
}

CASE(probe, members_are_counted_once)
{
    struct recover_sighting s[] = {
        { .name = "a", .answer = RECOVER_KNOWN, .cluster_id = NEW, .revision = 5 },
        { .name = "a", .answer = RECOVER_KNOWN, .cluster_id = NEW, .peer = true },
        { .name = "b", .answer = RECOVER_KNOWN, .cluster_id = OLD, .revision = 99 },
        { .name = "c", .answer = RECOVER_KNOWN, .cluster_id = NEW, .revision = 7 },
        { .name = "d", .answer = RECOVER_SOMEBODY },
    };
    const struct recover_sightings all = { s, 5 };

    cr_assert_eq(recover_sightings_of(&all, NEW), 2);
    cr_assert_eq(recover_sightings_of(&all, OLD), 1);
    cr_assert_eq(recover_sightings_revision(&all, NEW), 7);
}

/* A list as etcd gives it at a peer URL, and whether m3 has run. */
CASE(probe, client_urls_show_who_has_run)
{
    static const struct {
        const char *list;
        bool want;
    } rows[] = {
        { "[{\"id\":18446744073709551615,\"peerURLs\":[\"http://c:2380\"],"
          "\"name\":\"m3\"}]\n",
          false },
        { "[{\"id\":1,\"name\":\"m1\",\"clientURLs\":[\"http://a:2379\"]},"
          "{\"id\":18446744073709551615,\"name\":\"m3\",\"clientURLs\":[]}]",
          false },
        { "[{\"id\":18446744073709551615,\"name\":\"renamed\","
          "\"clientURLs\":[\"http://c:2379\"]}]",
          true },
        { "[{\"id\":2,\"name\":\"m3\",\"clientURLs\":[\"http://c:2379\"]}]", true },
        { "[{\"id\":18446744073709551615,\"clientURLs\":[\"http://c:23", false },
        { "{\"name\":\"m3\",\"clientURLs\":[\"http://c:2379\"]}", false },
        { "[7,null,[{}]]", false },
        { "404 page not found", false },
        { "", false },
    };
    char name[] = "m3";
    const struct restore_member m3 = { .name = name, .id = UINT64_MAX };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = { 0 };
        bool has = !rows[i].want;

        OK(recover_list_has_run(bytes_str(rows[i].list), &m3, &has, &e), &e);
        cr_assert_eq(has, rows[i].want, "row %zu", i);
    }
}

/* One that joins has no id in the plan. */
CASE(probe, without_an_id_the_name_counts)
{
    static const char list[] = "[{\"name\":\"m1\",\"clientURLs\":[\"http://a:2379\"]}]";
    char mine[] = "m1", other[] = "m2";
    struct err e = { 0 };
    bool has = false;

    OK(recover_list_has_run(bytes_str(list), &(struct restore_member){ .name = mine },
                            &has, &e),
       &e);
    cr_assert(has);
    OK(recover_list_has_run(bytes_str(list), &(struct restore_member){ .name = other },
                            &has, &e),
       &e);
    cr_assert(!has);
}

CASE(probe, memory_may_run_out)
{
    static const char list[] = "[{\"name\":\"m1\",\"clientURLs\":[\"http://a:2379\"]}]";
    char name[] = "m1";
    bool has = false;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };
        enum rc rc = recover_list_has_run(
            bytes_str(list), &(struct restore_member){ .name = name }, &has, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%u: %s", nth, e.why);
    }
    cr_assert(has);
}
