#include "storage/sftp_line.h"

#include <string.h>

#include "tests/lib/case.h"

static bool parse(const char *text, struct sftp_line *out)
{
    return sftp_line_parse(bytes_str(text), out);
}

CASE(sftp_line, files_and_directories_are_read_as_servers_write_them)
{
    const struct {
        const char *text, *name;
        bool directory;
        uint64_t size;
    } good[] = {
        { "-rw-r--r--    1 nobody   nogroup         6 Nov 21 15:18 f", "f", false, 6 },
        { "drwxr-xr-x    3 nobody   nogroup      4096 Nov 21 15:18 .", ".", true, 4096 },
        { "-rw-------    1 1000     1000     18446744073709551615 Jan  1  2020 a.b-c_d",
          "a.b-c_d", false, UINT64_MAX },
        { "-rw------- 1 domain users some one 7 Nov 21 15:18 x", "x", false, 7 },
        { "----------   0 u g 1 Nov 21 15:18 x  ", "x", false, 1 },
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct sftp_line line = { 0 };

        cr_assert(parse(good[i].text, &line), "%s", good[i].text);
        cr_assert_str_eq(line.name, good[i].name);
        cr_assert_eq(line.directory, good[i].directory);
        cr_assert_eq(line.size, good[i].size, "%s", good[i].text);
    }
}

CASE(sftp_line, everything_else_is_passed_over)
{
    const char *const bad[] = {
        "",
        "-",
        "total 12",
        "lrwxrwxrwx 1 u g 6 Nov 21 15:18 link -> target",
        "prw------- 1 u g 0 Nov 21 15:18 fifo",
        "-rw------- 1 u g 6 Nov 21 15:18 a name",
        "-rw------- 1 u g -6 Nov 21 15:18 x",
        "-rw------- 1 u g 18446744073709551616 Nov 21 15:18 x",
        "-rw------- 6 Nov 21 x",
        "-     ",
    };
    char long_line[5000];
    struct sftp_line line;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!parse(bad[i], &line), "%s", bad[i]);
    cr_assert(!sftp_line_parse((struct bytes){ (const uint8_t *)"-\0 1 2 3 4 5 6", 15 },
                               &line));
    memset(long_line, 'a', sizeof long_line);
    memcpy(long_line, "-rw------- 1 u g 6 Nov 21 15:18 ", 32);
    long_line[300] = '\0';
    cr_assert(!parse(long_line, &line), "a name of 268");
    long_line[300] = 'a';
    long_line[4999] = '\0';
    cr_assert(!parse(long_line, &line));
}
