#include "tests/unit/filter/test_seal.h"

#include <stdio.h>

#define BEGIN "-----BEGIN AGE ENCRYPTED FILE-----\n"
#define END "-----END AGE ENCRYPTED FILE-----\n"
#define A_LINE "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
#define A_DATA "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static enum rc armor(struct collected *to, struct bytes data, size_t piece, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(collect_new(to, &chain, e));
    TRY(armor_sink_new(GIVE(chain), &chain, e));
    TRY(write_pieces(chain, data.p, data.n, piece, e));
    return sink_finish(chain, e);
}

static enum rc unarmor(struct collected *to, enum armor_mode mode, struct bytes text,
                       size_t piece, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(collect_new(to, &chain, e));
    TRY(unarmor_sink_new(GIVE(chain), mode, &chain, e));
    TRY(write_pieces(chain, text.p, text.n, piece, e));
    return sink_finish(chain, e);
}

CASE(filter_seal_armor, has_lines_of_64_columns)
{
    COLLECTED empty = { 0 };
    COLLECTED one = { 0 };
    COLLECTED full = { 0 };
    COLLECTED more = { 0 };
    struct err e = { 0 };

    OK(armor(&empty, bytes_str(""), 1, &e), &e);
    cr_assert(bytes_is(collected_bytes(&empty), BEGIN END));
    OK(armor(&one, bytes_str("f"), 1, &e), &e);
    cr_assert(bytes_is(collected_bytes(&one), BEGIN "Zg==\n" END));
    OK(armor(&full, bytes_str(A_DATA), 7, &e), &e);
    cr_assert(bytes_is(collected_bytes(&full), BEGIN A_LINE END));
    OK(armor(&more, bytes_str(A_DATA "fo"), 65536, &e), &e);
    cr_assert(bytes_is(collected_bytes(&more), BEGIN A_LINE "Zm8=\n" END));
}

CASE(filter_seal_armor, comes_off_again_at_any_length_and_piece)
{
    uint8_t data[10000];

    fill_pattern(data, sizeof data);
    for (size_t n = 0; n <= sizeof data; n += n < 200 ? 1 : 1633)
        for
            EACH_PIECE(i)
            {
                COLLECTED text = { 0 };
                COLLECTED back = { 0 };
                struct err e = { 0 };

                OK(armor(&text, (struct bytes){ data, n }, pieces[i], &e), &e);
                OK(unarmor(&back, ARMOR_DETECT, collected_bytes(&text), pieces[i], &e),
                   &e);
                cr_assert(bytes_equal(collected_bytes(&back), (struct bytes){ data, n }),
                          "%zu bytes in pieces of %zu", n, pieces[i]);
            }
}

CASE(filter_seal_armor, detection_lets_other_files_pass)
{
    static const char *const other[] = { "", "a", "age-encryption.org/v1\n",
                                         "BEGIN AGE" };

    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        COLLECTED back = { 0 };
        COLLECTED refused = { 0 };
        struct err e = { 0 };

        OK(unarmor(&back, ARMOR_DETECT, bytes_str(other[i]), 2, &e), &e);
        cr_assert(bytes_is(collected_bytes(&back), other[i]));
        cr_assert_eq(unarmor(&refused, ARMOR_REQUIRED, bytes_str(other[i]), 2, &e),
                     RC_CORRUPT, "'%s'", other[i]);
        cr_assert_eq(refused.got.n, 0);
    }
}

CASE(filter_seal_armor, says_which_line_is_malformed)
{
#define BAD "the age armor is malformed: "
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "-", BAD "line 1 should be -----BEGIN AGE ENCRYPTED FILE-----" },
        { "-----BEGIN PGP MESSAGE-----\n",
          BAD "line 1 should be -----BEGIN AGE ENCRYPTED FILE-----" },
        { " " BEGIN, BAD "line 1 should be -----BEGIN AGE ENCRYPTED FILE-----" },
        { "\n\n", BAD "truncated after line 2" },
        { BEGIN, BAD "truncated after line 1" },
        { BEGIN A_LINE, BAD "truncated after line 2" },
        { BEGIN "Zg==", BAD "truncated after line 2" },
        { BEGIN "\n" END, BAD "line 2 is empty" },
        { BEGIN "Zg=\n" END, BAD "line 2 is not canonical base64" },
        { BEGIN "Zh==\n" END, BAD "line 2 is not canonical base64" },
        { BEGIN " Zg==\n" END, BAD "line 2 is not canonical base64" },
        { BEGIN "A" A_LINE END, BAD "line 2 is longer than 64 columns" },
        { BEGIN A_LINE "AAA" A_LINE END, BAD "line 3 is too long" },
        { BEGIN "Zg==\nZg==\n" END,
          BAD "line 3 should be -----END AGE ENCRYPTED FILE-----" },
        { BEGIN "Zm9v\n\n" END, BAD "line 3 should be -----END AGE ENCRYPTED FILE-----" },
        { BEGIN A_LINE END "x", BAD "line 4 comes after the end" },
        { BEGIN A_LINE END BEGIN, BAD "line 4 comes after the end" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for
            EACH_PIECE(p)
            {
                COLLECTED back = { 0 };
                struct err e = { 0 };

                cr_assert_eq(
                    unarmor(&back, ARMOR_DETECT, bytes_str(bad[i].text), pieces[p], &e),
                    RC_CORRUPT, "%s", bad[i].text);
                cr_assert_str_eq(e.why, bad[i].why, "%s\n%s", bad[i].text, e.why);
                cr_assert_eq(back.finishes, 0);
            }
}

CASE(filter_seal_armor, white_space_outside_is_limited)
{
    char text[4096];
    COLLECTED few = { 0 };
    COLLECTED many = { 0 };
    struct err e = { 0 };

    snprintf(text, sizeof text, "%s%s", "\n \t\r\n\r\n" BEGIN A_LINE END "\r\n", " \n ");
    OK(unarmor(&few, ARMOR_DETECT, bytes_str(text), 1, &e), &e);
    cr_assert(bytes_is(collected_bytes(&few), A_DATA));
    memset(text, '\n', 1025);
    snprintf(text + 1025, sizeof text - 1025, "%s", BEGIN A_LINE END);
    cr_assert_eq(unarmor(&many, ARMOR_DETECT, bytes_str(text), 65536, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the age armor is malformed: line 1025 is too far away");
}

CASE(filter_seal_armor, stays_broken_after_a_failure)
{
    COLLECTED back = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    OK(collect_new(&back, &chain, &e), &e);
    OK(unarmor_sink_new(GIVE(chain), ARMOR_DETECT, &chain, &e), &e);
    cr_assert_eq(
        sink_write(chain, BEGIN A_LINE END "x\n", strlen(BEGIN A_LINE END "x\n"), &e),
        RC_CORRUPT);
    cr_assert_eq(sink_finish(chain, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "the age armor was found malformed before");
    cr_assert_eq(back.finishes, 0);
}

CASE(filter_seal_armor, sealed_files_open_with_it)
{
    uint8_t plain[70000];
    struct err e = { 0 };

    fill_pattern(plain, sizeof plain);
    for
        EACH_PIECE(i)
        {
            COLLECTED sealed = { 0 };
            COLLECTED back = { 0 };

            OK(seal_bytes(&sealed, BYTES_OF(plain), pieces[i], true, &e), &e);
            OK(unseal_bytes(&back, collected_bytes(&sealed), pieces[i], &e), &e);
            cr_assert(bytes_equal(collected_bytes(&back), BYTES_OF(plain)));
        }
}
