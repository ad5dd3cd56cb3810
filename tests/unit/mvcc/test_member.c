#include "mvcc/member.h"

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/mem.h"

static const char *text_of(struct buf *b)
{
    struct err e = { 0 };

    OK(buf_add(b, "", 1, &e), &e);
    return (const char *)b->p;
}

CASE(mvcc_member, reads_what_etcd_writes)
{
    AT_END(mvcc_member_clear) struct mvcc_member m = { 0 };
    struct err e = { 0 };

    OK(mvcc_member_read(
           bytes_str("ffffffffffffffff"),
           bytes_str("{\"id\":18446744073709551615,\"peerURLs\":[\"http://a:1\","
                     "\"http://b:2\"],\"isLearner\":true,\"name\":\"m\\u003c1\","
                     "\"clientURLs\":[\"http://c:3\"]}"),
           &m, &e),
       &e);
    cr_assert_eq(m.id, UINT64_MAX);
    cr_assert_eq(m.peer_urls.count, 2);
    cr_assert_str_eq(m.peer_urls.items[1], "http://b:2");
    cr_assert(m.learner);
    cr_assert_str_eq(m.name, "m<1");
    cr_assert_str_eq(m.client_urls.items[0], "http://c:3");
}

CASE(mvcc_member, refuses_what_is_none)
{
    static const struct {
        const char *key, *json, *why;
    } bad[] = {
        { "1", "{}", "member 1 has no id in its JSON" },
        { "1", "{\"id\":2}", "member key 1 holds the member 2" },
        { "01", "{\"id\":1}", "'01' is not a member id in plain hex" },
        { "1", "[]", "member: not a JSON object" },
        { "1", "{\"id\":\"1\"}", "member 1 has no id in its JSON" },
        { "1", "{\"id\":1,\"peerURLs\":\"x\"}",
          "the field 'peerURLs' has the wrong type" },
        { "1", "{\"id\":1,\"peerURLs\":[1]}", "the field 'peerURLs' has the wrong type" },
        { "1", "{\"id\":1,\"name\":1}", "the field 'name' has the wrong type" },
        { "1", "{\"id\":1,\"isLearner\":1}", "the field 'isLearner' has the wrong type" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mvcc_member m = { .id = 77 };
        struct err e = { 0 };

        cr_assert_eq(
            mvcc_member_read(bytes_str(bad[i].key), bytes_str(bad[i].json), &m, &e),
            RC_CORRUPT, "%zu", i);
        cr_assert_str_eq(e.why, bad[i].why, "%zu: %s", i, e.why);
        cr_assert_eq(m.id, 77);
    }
}

CASE(mvcc_member, bounds_hostile_json)
{
    AT_END(mem_end) char *deep = mem_zero(2 << 20);
    struct mvcc_member m;
    struct err e = { 0 };

    memset(deep, '[', 100);
    cr_assert_eq(mvcc_member_read(bytes_str("1"), bytes_str(deep), &m, &e), RC_CORRUPT);
    memset(deep, ' ', (2 << 20) - 1);
    cr_assert_eq(mvcc_member_read(bytes_str("1"), bytes_str(deep), &m, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "member: 2097151 bytes of JSON are too many");
}

CASE(mvcc_member, writes_as_go_does)
{
    /* By the rules of Go's encoding/json (encode.go, encodeState.string). */
    static const struct {
        const char *name, *json;
    } names[] = {
        { "m1", "m1" },
        { "a<b>&c", "a\\u003cb\\u003e\\u0026c" },
        { "q\"\\/", "q\\\"\\\\/" },
        { "\n\r\t\x01\x1f\x7f", "\\n\\r\\t\\u0001\\u001f\x7f" },
        { "\xc3\xa9\xe3\x82\xad\xf0\x9f\x98\x80",
          "\xc3\xa9\xe3\x82\xad\xf0\x9f\x98\x80" },
        { "\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\\u2028\\u2029\xe2\x80\xaa" },
        { "\xff\xc3(\xed\xa0\x80", "\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd" },
        { "\xf4\x90\x80\x80\xc0\xaf\xe2\x82", "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"
                                              "\\ufffd\\ufffd" },
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        AT_END(str_list_clear) struct str_list urls = { 0 };
        AT_END(buf_clear) struct buf out = { 0 };
        AT_END(mem_end) char *want = NULL;
        AT_END(mem_end) char *name = mem_str(names[i].name);
        struct err e = { 0 };
        struct mvcc_member m = { .id = 5596819130407690096, .name = name };

        OK(str_list_add(&urls, "http://127.0.0.1:1", &e), &e);
        m.peer_urls = m.client_urls = urls;
        m.learner = i == 0;
        OK(mvcc_member_write(&m, &out, &e), &e);
        OK(str_format(&want, &e,
                      "{\"id\":5596819130407690096,\"peerURLs\":[\"http://127.0.0.1:1\"]"
                      "%s,\"name\":\"%s\",\"clientURLs\":[\"http://127.0.0.1:1\"]}",
                      i == 0 ? ",\"isLearner\":true" : "", names[i].json),
           &e);
        cr_assert_str_eq(text_of(&out), want);
    }
}

CASE(mvcc_member, leaves_out_what_is_empty)
{
    AT_END(buf_clear) struct buf out = { 0 };
    struct mvcc_member m = { .id = 7 };
    struct err e = { 0 };

    OK(mvcc_member_write(&m, &out, &e), &e);
    cr_assert_str_eq(text_of(&out), "{\"id\":7,\"peerURLs\":[]}");
}

CASE(mvcc_member, conf_state_round_trip)
{
    static const char *const texts[] = {
        "{\"voters\":[3012088591928122331],\"learners\":[8406589697985732175],"
        "\"auto_leave\":false}",
        "{\"voters\":[1,18446744073709551615],\"voters_outgoing\":[2],"
        "\"learners_next\":[3],\"auto_leave\":true}",
        "{\"auto_leave\":false}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AT_END(mvcc_conf_state_clear) struct mvcc_conf_state c = { 0 };
        AT_END(buf_clear) struct buf out = { 0 };
        struct err e = { 0 };

        OK(mvcc_conf_state_read(bytes_str(texts[i]), &c, &e), &e);
        OK(mvcc_conf_state_write(&c, &out, &e), &e);
        cr_assert_str_eq(text_of(&out), texts[i]);
    }
}

CASE(mvcc_member, refuses_other_conf_states)
{
    static const char *const bad[] = { "",
                                       "null",
                                       "{\"voters\":[-1]}",
                                       "{\"voters\":[\"1\"]}",
                                       "{\"voters\":{}}",
                                       "{\"auto_leave\":1}",
                                       "{} x" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mvcc_conf_state c = { .auto_leave = true };
        struct err e = { 0 };

        cr_assert_eq(mvcc_conf_state_read(bytes_str(bad[i]), &c, &e), RC_CORRUPT, "%s",
                     bad[i]);
        cr_assert(c.auto_leave);
    }
}

CASE(mvcc_member, reads_downgrades)
{
    AT_END(mvcc_downgrade_clear) struct mvcc_downgrade d = { 0 };
    struct err e = { 0 };

    OK(mvcc_downgrade_read(bytes_str("{\"target-version\":\"3.5.0\",\"enabled\":true}"),
                           &d, &e),
       &e);
    cr_assert(d.enabled);
    cr_assert_str_eq(d.target, "3.5.0");
    cr_assert_eq(mvcc_downgrade_read(bytes_str("{\"enabled\":\"x\"}"), &d, &e),
                 RC_CORRUPT);
    cr_assert(d.enabled, "outputs are not touched on failure");
}

CASE(mvcc_member, ids_are_a_list)
{
    AT_END(mvcc_ids_clear) struct mvcc_ids ids = { 0 };
    struct err e = { 0 };

    for (uint64_t i = 10; i < 20; i++)
        OK(mvcc_ids_add(&ids, i, &e), &e);
    cr_assert(mvcc_ids_has(&ids, 15));
    cr_assert_not(mvcc_ids_has(&ids, 20));
}

CASE(mvcc_member, gives_up_cleanly_without_memory)
{
    unsigned failed = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(mvcc_member_clear) struct mvcc_member m = { 0 };
        AT_END(mvcc_conf_state_clear) struct mvcc_conf_state c = { 0 };
        AT_END(buf_clear) struct buf out = { 0 };
        struct err e = { 0 };
        enum rc rc =
            mvcc_member_read(bytes_str("1"),
                             bytes_str("{\"id\":1,\"peerURLs\":[\"a\",\"b\"],\"name\":"
                                       "\"n\"}"),
                             &m, &e);

        if (rc == RC_OK)
            rc = mvcc_conf_state_read(bytes_str("{\"voters\":[1,2]}"), &c, &e);
        if (rc == RC_OK)
            rc = mvcc_member_write(&m, &out, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%u: %s", nth, e.why);
        failed += rc != RC_OK;
    }
    cr_assert_eq(failed, 8, "5 for the member, 2 ids, 1 buffer, not %u", failed);
}
