/* Names and keys of records and objects. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "catalog/inside.h"
#include "util/os.h"

enum { SEQUENCE_DIGITS = 12, HASH_DIGITS = 16 };

bool record_name_valid(const char *name)
{
    return field_plain(name, RECORD_NAME_SIZE, "._-") && name[0] != '.' && name[0] != '-';
}

void record_prefix(const char *cluster, char out[static RECORD_KEY_SIZE])
{
    snprintf(out, RECORD_KEY_SIZE, "%s/records/", cluster);
}

void record_key(const char *cluster, uint64_t sequence, char out[static RECORD_KEY_SIZE])
{
    snprintf(out, RECORD_KEY_SIZE, "%s/records/%0*" PRIu64 ".json", cluster,
             SEQUENCE_DIGITS, sequence);
}

void record_signature_key(const char *cluster, const struct record_link *at,
                          char out[static RECORD_KEY_SIZE])
{
    char hash[HASH_DIGITS + 1];

    str_hex(hash, at->sha256, HASH_DIGITS / 2);
    snprintf(out, RECORD_KEY_SIZE, "%s/records/%0*" PRIu64 ".%s.minisig", cluster,
             SEQUENCE_DIGITS, at->sequence, hash);
}

void record_objects(const char *cluster, char out[static RECORD_KEY_SIZE])
{
    snprintf(out, RECORD_KEY_SIZE, "%s/backups/", cluster);
}

/* One part of a key, which ends at `end`. */
static bool part_valid(const char *part, const char *end)
{
    char held[RECORD_KEY_SIZE];

    snprintf(held, sizeof held, "%.*s", (int)(end - part), part);
    return held[0] != '.' && field_plain(held, sizeof held, "._-");
}

bool record_object_key_valid(const char *cluster, const char *key)
{
    char prefix[RECORD_KEY_SIZE];
    const char *id, *slash;

    record_objects(cluster, prefix);
    if (strlen(key) >= RECORD_KEY_SIZE || strncmp(key, prefix, strlen(prefix)) != 0)
        return false;
    id = key + strlen(prefix);
    slash = strchr(id, '/');
    return slash != NULL && part_valid(id, slash) &&
           part_valid(slash + 1, key + strlen(key));
}

enum rc record_object_new(const char *cluster, const char *file,
                          char out[static RECORD_KEY_SIZE], struct err *e)
{
    char hex[RECORD_OBJECT_ID_SIZE];
    uint8_t id[(RECORD_OBJECT_ID_SIZE - 1) / 2];

    TRY(os_random(id, sizeof id, e));
    str_hex(hex, id, sizeof id);
    snprintf(out, RECORD_KEY_SIZE, "%s/backups/%s/%s", cluster, hex, file);
    return record_object_key_valid(cluster, out)
               ? RC_OK
               : err_set(e, RC_USAGE, "'%s' names no object", out);
}

enum record_file record_key_parse(const char *cluster, const char *key,
                                  uint64_t *sequence)
{
    char prefix[RECORD_KEY_SIZE], digits[SEQUENCE_DIGITS + 1], wanted[RECORD_KEY_SIZE];
    struct record_link at = { 0 };
    const char *name = key + strlen(cluster) + strlen("/records/");

    record_prefix(cluster, prefix);
    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return RECORD_FILE_OTHER;
    snprintf(digits, sizeof digits, "%s", name);
    if (!str_to_u64(digits, sequence) || *sequence == 0)
        return RECORD_FILE_OTHER;
    record_key(cluster, *sequence, wanted);
    if (strcmp(key, wanted) == 0)
        return RECORD_FILE_RECORD;
    at.sequence = *sequence;
    if (strlen(name) != SEQUENCE_DIGITS + 1 + HASH_DIGITS + strlen(".minisig") ||
        name[SEQUENCE_DIGITS] != '.' || !str_ends(name, ".minisig"))
        return RECORD_FILE_OTHER;
    snprintf(wanted, sizeof wanted, "%.*s", HASH_DIGITS, name + SEQUENCE_DIGITS + 1);
    if (!str_unhex(wanted, at.sha256, HASH_DIGITS / 2))
        return RECORD_FILE_OTHER;
    record_signature_key(cluster, &at, wanted);
    return strcmp(key, wanted) == 0 ? RECORD_FILE_SIGNATURE : RECORD_FILE_OTHER;
}
