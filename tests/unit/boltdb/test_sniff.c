#include "boltdb/sniff.h"

#include "tests/lib/case.h"

static void expect(const char *head, size_t n, const char *noun)
{
    const char *advice;
    const char *got = sniff_file((struct bytes){ (const uint8_t *)head, n }, &advice);

    if (noun == NULL)
        cr_assert_null(got, "%s", got);
    else
        cr_assert_str_eq(got, noun);
}

CASE(boltdb_sniff, names_what_people_hand_in_by_mistake)
{
    static char tar[512] = "db";

    memcpy(tar + 257, "ustar", 5);
    expect("", 0, "an empty file");
    expect("{\"a\": 1}\n", 9, "text");
    expect("\x1f\x8b\x08", 3, "gzip data");
    expect("\x28\xb5\x2f\xfd\x04", 5, "zstd data");
    expect("BZh91", 5, "bzip2 data");
    expect("\xfd"
           "7zXZ\0",
           6, "xz data");
    expect("PK\3\4", 4, "a zip archive");
    expect(tar, sizeof tar, "a tar archive");
    expect("age-encryption.org/v1\n", 22, "an age file");
    expect("-----BEGIN AGE ENCRYPTED FILE-----\n", 35, "an age file");
    expect("SQLite format 3\0", 16, "an SQLite database");
    expect("\x7f"
           "ELF\2",
           5, "a program");
    expect("\4\0\0\0\0\0\0\x84\x08\4", 10, "an etcd WAL segment");
    expect("\0\0\0", 3, "zeros from its start on");
    expect("\1\2\3", 3, NULL);
}

CASE(boltdb_sniff, reads_no_further_than_it_may)
{
    expect("\x1f", 1, NULL);
    expect("age-encryption", 14, "text");
}
