#include "cli/render.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"

static void shows(const struct result *r, enum render_format format, const char *want)
{
    struct printer s = { .fd = -1 };
    struct err e = { 0 };

    OK(render(&s, format, r, &e), &e);
    cr_assert_str_eq(printer_text(&s), want, "format %d:\n%s", format, printer_text(&s));
    printer_clear(&s);
}

static struct result *status(void)
{
    struct result *r = result_new();

    result_str(r, "Hash", "hash", "fe01cf57");
    result_u64(r, "Revision", "revision", 18446744073709551615ull);
    result_size(r, "Total size", "totalSize", 20000000);
    result_took(r, NULL, "took_seconds", 1300);
    result_bool(r, "Proved", NULL, true);
    return r;
}

CASE(cli_render, a_record)
{
    OWNED(result) r = status();

    shows(r, RENDER_SIMPLE,
          "Hash:       fe01cf57\n"
          "Revision:   18446744073709551615\n"
          "Total size: 20.0 MB\n"
          "Proved:     true\n");
    shows(r, RENDER_TABLE,
          "+----------+----------------------+------------+--------+\n"
          "|   HASH   |       REVISION       | TOTAL SIZE | PROVED |\n"
          "+----------+----------------------+------------+--------+\n"
          "| fe01cf57 | 18446744073709551615 |    20.0 MB | true   |\n"
          "+----------+----------------------+------------+--------+\n");
    shows(r, RENDER_JSON,
          "{\"hash\":\"fe01cf57\",\"revision\":18446744073709551615,"
          "\"totalSize\":20000000,\"took_seconds\":1.300}\n");
    shows(r, RENDER_FIELDS,
          "\"Hash\" : \"fe01cf57\"\n"
          "\"Revision\" : 18446744073709551615\n"
          "\"Total size\" : 20000000\n"
          "\"took_seconds\" : 1.300\n"
          "\"Proved\" : \"true\"\n");
}

CASE(cli_render, lines_replace_labels_in_the_simple_form_only)
{
    OWNED(result) r = result_new();

    result_str(r, "File", "file", "x");
    result_line(r, "saved to %s", "x\ny");
    result_line(r, "100%% done");
    shows(r, RENDER_SIMPLE, "saved to x\\x0ay\n100% done\n");
    shows(r, RENDER_JSON, "{\"file\":\"x\"}\n");
}

CASE(cli_render, a_list)
{
    OWNED(result) r = result_new_list();

    for (uint64_t i = 9; i < 11; i++) {
        result_next(r);
        result_u64(r, "Seq", "sequence", i);
        result_id(r, "Member", "member", "member_hex", 0xabc + i);
        result_i64(r, "Drift", "drift", 0 - (int64_t)i);
        result_str(r, "Name", "name", i == 9 ? "größe" : NULL);
    }
    shows(r, RENDER_SIMPLE,
          "SEQ  MEMBER  DRIFT  NAME\n"
          "  9  ac5        -9  größe\n"
          " 10  ac6       -10  \n");
    shows(r, RENDER_TABLE,
          "+-----+--------+-------+-------+\n"
          "| SEQ | MEMBER | DRIFT | NAME  |\n"
          "+-----+--------+-------+-------+\n"
          "|   9 | ac5    |    -9 | größe |\n"
          "|  10 | ac6    |   -10 |       |\n"
          "+-----+--------+-------+-------+\n");
    shows(r, RENDER_JSON,
          "[{\"sequence\":9,\"member\":2757,\"member_hex\":\"ac5\",\"drift\":-9,"
          "\"name\":\"größe\"},"
          "{\"sequence\":10,\"member\":2758,\"member_hex\":\"ac6\",\"drift\":-10,"
          "\"name\":null}]\n");
    shows(r, RENDER_FIELDS,
          "\"Seq\" : 9\n\"Member\" : 2757\n\"Drift\" : -9\n\"Name\" : \"größe\"\n\n"
          "\"Seq\" : 10\n\"Member\" : 2758\n\"Drift\" : -10\n\"Name\" : null\n");
}

CASE(cli_render, an_empty_list)
{
    OWNED(result) r = result_new_list();

    shows(r, RENDER_SIMPLE, "");
    shows(r, RENDER_TABLE, "");
    shows(r, RENDER_JSON, "[]\n");
    shows(r, RENDER_FIELDS, "");
    result_line(r, "no backups yet");
    shows(r, RENDER_SIMPLE, "no backups yet\n");
}

CASE(cli_render, results_within_results)
{
    OWNED(result) r = result_new();
    OWNED(result) list = result_new_list();
    OWNED(result) one = result_new();
    struct json *tags = json_new_array();

    result_bool(r, "Ok", "ok", false);
    result_next(list);
    result_str(list, "Code", "code", "page-id");
    result_u64(list, "Page", "page", 7);
    result_nest(r, "Findings", "findings", GIVE(list));
    result_nest(r, "Notes", "notes", result_new_list());
    result_u64(one, "Voters", "voters", 3);
    result_nest(r, "Quorum", "quorum", GIVE(one));
    json_add_str(tags, "a");
    result_json(r, "tags", tags);
    shows(r, RENDER_JSON,
          "{\"ok\":false,\"findings\":[{\"code\":\"page-id\",\"page\":7}],\"notes\":[],"
          "\"quorum\":{\"voters\":3},\"tags\":[\"a\"]}\n");
    shows(r, RENDER_SIMPLE,
          "Ok: false\n\nFindings:\nCODE     PAGE\npage-id     7\n\nQuorum:\nVoters: 3\n");
    shows(r, RENDER_TABLE,
          "+-------+\n|  OK   |\n+-------+\n| false |\n+-------+\n"
          "\nFindings:\n"
          "+---------+------+\n|  CODE   | PAGE |\n+---------+------+\n"
          "| page-id |    7 |\n+---------+------+\n"
          "\nQuorum:\n"
          "+--------+\n| VOTERS |\n+--------+\n|      3 |\n+--------+\n");
    shows(r, RENDER_FIELDS,
          "\"Ok\" : false\n\"Findings\" : [{\"code\":\"page-id\",\"page\":7}]\n"
          "\"Notes\" : []\n\"Quorum\" : {\"voters\":3}\n\"tags\" : [\"a\"]\n");
}

CASE(cli_render, text_from_outside_is_tamed)
{
    OWNED(result) r = result_new();

    result_str(r, "Key", "key", "\x1b[31m%s\n\xff");
    shows(r, RENDER_SIMPLE, "Key: \\x1b[31m%s\\x0a\\xff\n");
    shows(r, RENDER_JSON, "{\"key\":\"\\\\x1b[31m%s\\\\x0a\\\\xff\"}\n");
    result_str(r, "Text", "text", "\x1b\"é");
    shows(r, RENDER_FIELDS,
          "\"Key\" : \"\\\\x1b[31m%s\\\\x0a\\\\xff\"\n"
          "\"Text\" : \"\\u001b\\\"é\"\n");
}

CASE(cli_render, memory_may_run_out_anywhere)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(result) r = status();
        struct printer s = { .fd = -1 };
        struct err e = { 0 };
        enum rc rc;

        result_line(r, "a line");
        result_nest(r, "More", "more", result_new_list());
        rc = render(&s, RENDER_SIMPLE, r, &e);
        if (rc == RC_OK)
            rc = printer_flush(&s, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u", nth);
        runs = nth;
        printer_clear(&s);
    }
    cr_assert_gt(runs, 10);
}
