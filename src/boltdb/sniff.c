#include "boltdb/sniff.h"

struct mark {
    size_t at, n;
    const char *bytes, *noun, *advice;
};

#define DECOMPRESS "decompress it first"
#define DECRYPT "it is encrypted: decrypt it first"
#define OTHER_FILE "name the member/snap/db file or a snapshot"

static const struct mark marks[] = {
    { 0, 2, "\x1f\x8b", "gzip data", DECOMPRESS },
    { 0, 4, "\x28\xb5\x2f\xfd", "zstd data", DECOMPRESS },
    { 0, 6,
      "\xfd"
      "7zXZ",
      "xz data", DECOMPRESS },
    { 0, 3, "BZh", "bzip2 data", DECOMPRESS },
    { 0, 4, "\x04\x22\x4d\x18", "lz4 data", DECOMPRESS },
    { 0, 4, "PK\x03\x04", "a zip archive", "unpack it first" },
    { 257, 5, "ustar", "a tar archive", "unpack it first" },
    { 0, 18, "age-encryption.org", "an age file", DECRYPT },
    { 0, 23, "-----BEGIN AGE ENCRYPTED", "an age file", DECRYPT },
    { 0, 15, "SQLite format 3", "an SQLite database", NULL },
    { 0, 4,
      "\x7f"
      "ELF",
      "a program", NULL },
    /* The first record of every segment is a CRC record, 4 or 12 bytes of data. */
    { 1, 7, "\0\0\0\0\0\0\x84", "an etcd WAL segment", OTHER_FILE },
};

static bool is_text(struct bytes head)
{
    for (size_t i = 0; i < head.n && i < 512; i++)
        if (head.p[i] != '\n' && head.p[i] != '\r' && head.p[i] != '\t' &&
            (head.p[i] < 0x20 || head.p[i] == 0x7f))
            return false;
    return true;
}

static bool is_zero(struct bytes head)
{
    for (size_t i = 0; i < head.n; i++)
        if (head.p[i] != 0)
            return false;
    return true;
}

const char *sniff_file(struct bytes head, const char **advice)
{
    *advice = NULL;
    if (head.n == 0)
        return "an empty file";
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        const struct mark *m = &marks[i];

        if (head.n >= m->at + m->n && memcmp(head.p + m->at, m->bytes, m->n) == 0) {
            *advice = m->advice;
            return m->noun;
        }
    }
    if (is_zero(head))
        return "zeros from its start on";
    return is_text(head) ? "text" : NULL;
}
