#include "snapshot/kind.h"

#include "util/str.h"

struct snap_kind snap_kind_of_name(const char *file)
{
    bool age = str_ends(file, ".age");

    return (struct snap_kind){
        .age = age,
        .zstd = str_ends(file, age ? ".zst.age" : ".zst"),
    };
}

bool snap_looks_age(struct bytes head)
{
    return bytes_starts(head, "age-encryption.org/") ||
           bytes_starts(head, "-----BEGIN AGE ENCRYPTED FILE-----");
}

bool snap_looks_zstd(struct bytes head)
{
    return bytes_starts(head, "\x28\xB5\x2F\xFD");
}
