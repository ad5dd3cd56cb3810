#include "storage/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/own.h"

static enum rc note(void *arg, const char *path, const char *text, struct err *e)
{
    char *log = arg;
    size_t used = strlen(log);

    (void)e;
    snprintf(log + used, 2048 - used, "%s=%s\n", path, text);
    return RC_OK;
}

static enum rc parse(const char *text, char log[static 2048], struct err *e)
{
    log[0] = '\0';
    return s3_xml_parse(bytes_str(text), note, log, e);
}

CASE(s3_xml, reads_what_stores_answer)
{
    char log[2048];
    struct err e = { 0 };

    OK(parse("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- x --><a:Root xmlns:a='u' b = "
             "\"<>\">"
             "\n  <Leaf>x&lt;&amp;&quot;&apos;&gt;&#65;&#x20ac;</Leaf>\n  "
             "<None/><Two><Leaf>"
             " y </Leaf>tail</Two><Empty></Empty>\n</a:Root>\n",
             log, &e),
       &e);
    cr_assert_str_eq(log,
                     "Root/Leaf=x<&\"'>A\xe2\x82\xac\nRoot/None=\nRoot/Two/Leaf= y \n"
                     "Root/Two=\nRoot/Empty=\nRoot=\n");
}

CASE(s3_xml, all_else_is_refused)
{
    static const char *const bad[] = {
        "",
        " ",
        "x",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "<a><b></a></b>",
        "<a b>x</a>",
        "<a b=c/>",
        "<a b='c/>",
        "<a>&x;</a>",
        "<a>&amp</a>",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a>&#1114112;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>\x01</a>",
        "<:/>",
        "<a:/>",
        "<1<",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
        "<a><![CDATA[x]]></a>",
        "<!--",
        "<?xml",
        "<a>&#99999999999999999999;</a>",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char log[2048];
        struct err e = { 0 };

        cr_assert_eq(parse(bad[i], log, &e), RC_CORRUPT, "%s", bad[i]);
        cr_assert(strncmp(e.why, "the answer is no XML at offset ", 31) == 0, "%s",
                  e.why);
    }
}

/* Repeats `text` n times between `before` and `after`. */
static struct buf repeated(const char *before, const char *text, unsigned n,
                           const char *after)
{
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(buf_add(&b, before, strlen(before), &e), &e);
    for (unsigned i = 0; i < n; i++)
        OK(buf_add(&b, text, strlen(text), &e), &e);
    OK(buf_add(&b, after, strlen(after), &e), &e);
    return b;
}

static enum rc ignore(void *arg, const char *path, const char *text, struct err *e)
{
    (void)arg;
    (void)path;
    (void)text;
    (void)e;
    return RC_OK;
}

CASE(s3_xml, nothing_is_unbounded)
{
    static const struct {
        const char *before, *text;
        unsigned good, bad;
        const char *after;
    } rows[] = {
        { "<a>", "x", 8192, 8193, "</a>" },        { "<", "x", 63, 64, "/>" },
        { "<a>", "&amp;", 8192, 8193, "</a>" },    { "<a>", "<b>", 15, 16, "" },
        { "<a>", "&#x20ac;", 2730, 2731, "</a>" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int over = 0; over < 2; over++) {
            AT_END(buf_clear)
            struct buf b =
                repeated(rows[i].before, rows[i].text,
                         over == 1 ? rows[i].bad : rows[i].good, rows[i].after);
            struct err e = { 0 };
            enum rc rc = s3_xml_parse((struct bytes){ b.p, b.n }, ignore, NULL, &e);

            if (over == 1)
                cr_assert(rc == RC_CORRUPT && strstr(e.why, "too ") != NULL, "row %zu",
                          i);
            else if (rows[i].after[0] != '\0')
                OK(rc, &e);
            else
                cr_assert(strstr(e.why, "too early") != NULL, "%s", e.why);
        }
}

CASE(s3_xml, a_text_is_escaped_and_comes_back)
{
    AT_END(buf_clear) struct buf b = { 0 };
    char log[2048];
    struct err e = { 0 };

    OK(buf_add(&b, "<a>", 3, &e), &e);
    OK(s3_xml_escape(&b, "\"e&<>t\"", &e), &e);
    OK(buf_add(&b, "</a>", 5, &e), &e);
    cr_assert_str_eq((const char *)b.p, "<a>\"e&amp;&lt;&gt;t\"</a>");
    OK(parse((const char *)b.p, log, &e), &e);
    cr_assert_str_eq(log, "a=\"e&<>t\"\n");
}
