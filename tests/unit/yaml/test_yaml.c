#include "yaml/yaml.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"

struct door {
    char *name;
    enum yaml_switch locked;
    char **keys;
    unsigned keys_count;
};

struct house {
    char *owner;
    struct door *front;
};

static const cyaml_schema_value_t key_schema = { CYAML_VALUE_STRING(
    CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED) };
static const cyaml_schema_field_t door_fields[] = {
    YAML_STRING("name", struct door, name),
    YAML_SWITCH("locked", struct door, locked),
    CYAML_FIELD_SEQUENCE("keys", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct door,
                         keys, &key_schema, 0, 4),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t house_fields[] = {
    YAML_STRING("owner", struct house, owner),
    CYAML_FIELD_MAPPING_PTR("front", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct house, front, door_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = { CYAML_VALUE_MAPPING(
    CYAML_FLAG_POINTER, struct house, house_fields) };

static void house_end(void *held)
{
    yaml_unload(&schema, *(void **)held);
}
#define HOUSE AT_END(house_end) void *

static enum rc load(const char *text, void **out, struct err *e)
{
    static const struct yaml_options o = { .name = "h.yaml" };

    return yaml_load(bytes_str(text), &o, &schema, out, e);
}

CASE(yaml_load, reads_what_the_schema_names)
{
    HOUSE data = NULL;
    struct err e = { 0 };

    OK(load("owner: ann\nfront:\n  name: green\n  locked: Yes\n  keys: [a, \"b c\"]\n",
            &data, &e),
       &e);
    const struct house *h = data;

    cr_assert_str_eq(h->owner, "ann");
    cr_assert_str_eq(h->front->name, "green");
    cr_assert_eq(h->front->locked, YAML_YES);
    cr_assert_eq(h->front->keys_count, 2);
    cr_assert_str_eq(h->front->keys[1], "b c");
}

CASE(yaml_load, what_is_left_out_or_null_is_null)
{
    HOUSE data = NULL;
    struct err e = { 0 };

    OK(load("owner: ~\nfront: {name: null}\n", &data, &e), &e);
    const struct house *h = data;

    cr_assert_null(h->owner);
    cr_assert_null(h->front->name);
    cr_assert_eq(h->front->locked, YAML_UNSET);
}

CASE(yaml_load, nothing_is_no_house)
{
    static const char *const texts[] = { "", "# only words\n", "---\n", "---\n...\n" };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        HOUSE data = NULL;
        struct err e = { 0 };

        OK(load(texts[i], &data, &e), &e);
        cr_assert_null(data, "text %zu", i);
    }
}

CASE(yaml_load, a_refusal_names_file_line_and_cause)
{
    static const struct {
        const char *text;
        enum rc rc;
        const char *why, *hint;
    } cases[] = {
        { "owner: ann\nfront:\n  name: x\n\n  lockd: no\n", RC_USAGE,
          "'h.yaml' line 5: unknown key 'lockd'", "did you mean 'locked'?" },
        { "owner: ann\nzebra: 1\n", RC_USAGE, "'h.yaml' line 2: unknown key 'zebra'",
          "" },
        { "a\x7f: 1\n", RC_USAGE,
          "'h.yaml' is no YAML: at byte 1: control characters "
          "are not allowed",
          "" },
        { "front:\n  locked: maybe\n", RC_USAGE,
          "'h.yaml' line 2: locked: it cannot be maybe", "" },
        { "front:\n  locked: 1\n", RC_USAGE, "'h.yaml' line 2: locked: it cannot be 1",
          "" },
        { "front: [1]\n", RC_USAGE,
          "'h.yaml' line 1: front: keys with values are expected here", "" },
        { "front: {keys: a}\n", RC_USAGE,
          "'h.yaml' line 1: keys: a list is expected here", "" },
        { "front: {keys: [{}]}\n", RC_USAGE,
          "'h.yaml' line 1: one value is expected here", "" },
        { "front: {keys: [1, 2, 3, 4, 5]}\n", RC_USAGE,
          "'h.yaml' line 1: "
          "Excessive entries (4 max) in sequence.",
          "" },
        { "owner: a\nowner: b\n", RC_USAGE,
          "'h.yaml' line 1: owner: the key is there twice", "" },
        { "owner: &a ann\nfront: {name: *a}\n", RC_REFUSED,
          "'h.yaml' line 2: an alias (*name) is not accepted", "write the value out" },
        { "owner: a\n---\nowner: b\n", RC_USAGE,
          "'h.yaml' line 2: a second document begins", "one file holds one" },
        { "owner: [a\n", RC_USAGE,
          "'h.yaml' line 2: it is no YAML: did not find expected ',' or ']'", "" },
        { "owner: \"a\\0b\"\n", RC_USAGE,
          "'h.yaml' line 1: a value holds a NUL character", "" },
        { "? [a]\n: b\n", RC_USAGE, "'h.yaml' line 1: a key is a list or a mapping", "" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        HOUSE data = NULL;
        struct err e = { 0 };

        cr_expect_eq(load(cases[i].text, &data, &e), cases[i].rc, "case %zu: %s", i,
                     e.why);
        cr_expect_str_eq(e.why, cases[i].why, "case %zu: %s", i, e.why);
        cr_expect_str_eq(e.hint, cases[i].hint, "case %zu", i);
    }
}

CASE(yaml_load, unknown_keys_are_passed_over_when_asked)
{
    static const struct yaml_options o = { .name = "h",
                                           .unknown_keys = true,
                                           .case_insensitive = true };
    HOUSE data = NULL;
    struct err e = { 0 };

    OK(yaml_load(bytes_str("roof: {tiles: [1, 2]}\nOwner: ann\n"), &o, &schema, &data,
                 &e),
       &e);
    cr_assert_str_eq(((struct house *)data)->owner, "ann");
}

CASE(yaml_load, bounds_hold)
{
    static const struct yaml_options shallow = {
        .name = "h", .depth_max = 3, .nodes_max = 8, .size_max = 64, .unknown_keys = true
    };
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "x: [[[[1]]]]\n", "'h' line 1: it is nested too deeply" },
        { "x: [1, 2, 3, 4, 5, 6, 7]\n", "'h' line 1: it has too many values" },
        { "# ...............................................................\n",
          "'h' is longer than 64 bytes" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        HOUSE data = NULL;
        struct err e = { 0 };

        cr_expect_eq(yaml_load(bytes_str(cases[i].text), &shallow, &schema, &data, &e),
                     RC_REFUSED);
        cr_expect_str_eq(e.why, cases[i].why);
    }
}

/* Deep enough to end a parser that recurses. */
CASE(yaml_load, a_million_brackets_end_early)
{
    static char text[1 << 20];
    static const struct yaml_options o = { .name = "h", .unknown_keys = true };
    HOUSE data = NULL;
    struct err e = { 0 };

    memset(text, '[', sizeof text);
    cr_assert_eq(yaml_load(BYTES_OF(text), &o, &schema, &data, &e), RC_REFUSED);
}

CASE(yaml_load, loose_types_are_no_schema)
{
    static const cyaml_schema_field_t fields[] = {
        CYAML_FIELD_UINT("keys", CYAML_FLAG_OPTIONAL, struct door, keys_count),
        CYAML_FIELD_END,
    };
    static const cyaml_schema_value_t loose = { CYAML_VALUE_MAPPING(
        CYAML_FLAG_POINTER, struct door, fields) };
    static const struct yaml_options o = { .name = "h" };
    struct err e = { 0 };
    void *data = NULL;

    cr_assert_eq(yaml_load(bytes_str("keys: 7x\n"), &o, &loose, &data, &e), RC_INTERNAL);
}

CASE(yaml_load, every_allocation_that_fails_leaves_nothing)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        HOUSE data = NULL;
        struct err e = { 0 };
        enum rc rc = load("owner: ann\nfront: {name: a, keys: [x, y]}\n", &data, &e);

        runs = nth;
        cr_assert(rc == RC_OK || (rc == RC_NOMEM && data == NULL), "%s", e.why);
    }
    cr_assert_gt(runs, 6);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

CASE(yaml_load_file, the_path_is_the_name)
{
    static const struct yaml_options o = { .name = NULL };
    const char *path = path_in(tmpdir_new(), "house.yaml");
    HOUSE data = NULL;
    struct err e = { 0 };

    write_file(path, "ownr: ann\n");
    cr_assert_eq(yaml_load_file(path, &o, &schema, &data, &e), RC_USAGE);
    cr_assert(strstr(e.why, path) != NULL && strstr(e.why, "line 1") != NULL, "%s",
              e.why);
    write_file(path, "owner: ann\n");
    OK(yaml_load_file(path, &o, &schema, &data, &e), &e);
}

CASE(yaml_load_file, a_fifo_does_not_hang)
{
    static const struct yaml_options o = { .name = NULL };
    const char *path = path_in(tmpdir_new(), "fifo");
    HOUSE data = NULL;
    struct err e = { 0 };

    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(yaml_load_file(path, &o, &schema, &data, &e), RC_USAGE);
}
