#include "storage/s3_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

static enum rc parse(const char *text, const char *profile, struct s3_keys *out,
                     struct err *e)
{
    *out = (struct s3_keys){ 0 };
    return s3_keys_parse(bytes_str(text), "FILE", profile, out, e);
}

CASE(s3_keys, reads_what_the_aws_tools_write)
{
    static const char text[] = "# comment\r\n"
                               "[default]\r\n"
                               "aws_access_key_id = AK1\r\n"
                               "aws_secret_access_key=S/K+1==\r\n"
                               "region = eu-west-1\n"
                               "\n"
                               "; another\n"
                               "[ backup ]\n"
                               "\taws_secret_access_key = SK2\t\n"
                               "aws_access_key_id = AK2\n"
                               "aws_session_token = TOKEN2\n"
                               "[profile third]\n"
                               "aws_access_key_id=AK3\n"
                               "aws_secret_access_key=SK3";
    static const struct {
        const char *profile, *access, *secret, *token;
    } rows[] = { { NULL, "AK1", "S/K+1==", "" },
                 { "default", "AK1", "S/K+1==", "" },
                 { "backup", "AK2", "SK2", "TOKEN2" },
                 { "third", "AK3", "SK3", "" } };

    for (size_t i = 0; i < 4; i++) {
        struct s3_keys k;
        struct err e = { 0 };

        OK(parse(text, rows[i].profile, &k, &e), &e);
        cr_assert_str_eq(k.access, rows[i].access);
        cr_assert_str_eq(k.secret, rows[i].secret);
        cr_assert_str_eq(k.token, rows[i].token);
    }
}

CASE(s3_keys, says_what_is_wrong_and_never_the_secret)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", "'FILE' has no section [default]" },
        { "aws_access_key_id=CANARY\n", "'FILE' has no section [default]" },
        { "[default\nx=y\n", "'FILE' line 1: a section ends with ']'" },
        { "[default]\nCANARY\n", "'FILE' line 2 has no '='" },
        { "[default]\naws_access_key_id=A\n",
          "'FILE' has no aws_secret_access_key in [default]" },
        { "[default]\naws_secret_access_key=CANARY\n",
          "'FILE' has no aws_access_key_id in [default]" },
        { "[default]\n\naws_secret_access_key=CANARY CANARY\n",
          "'FILE' line 3: aws_secret_access_key is empty, too long, or has characters "
          "that it cannot have" },
        { "[default]\naws_session_token=\n",
          "'FILE' line 2: aws_session_token is empty, too long, or has characters that "
          "it cannot have" },
        { "[default]\naws_access_key_id=CAN\x01RY\n",
          "'FILE' line 2: aws_access_key_id is empty, too long, or has characters that "
          "it cannot have" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct s3_keys k;
        struct err e = { 0 };

        cr_assert_eq(parse(rows[i].text, NULL, &k, &e), RC_USAGE);
        cr_assert_str_eq(e.why, rows[i].why);
        cr_assert_null(strstr(e.hint, "CANARY"));
    }
}

static void write_keys(const char *path, const char *access)
{
    FILE *f = fopen(path, "w");

    fprintf(f, "[p]\naws_access_key_id=%s\naws_secret_access_key=SK\n", access);
    fclose(f);
}

CASE(s3_keys, come_from_the_first_place_that_has_them)
{
    const char *dir = tmpdir_new();
    char file[512], other[512];
    struct s3_keys k;
    struct err e = { 0 };

    snprintf(file, sizeof file, "%s", path_in(dir, "file"));
    snprintf(other, sizeof other, "%s", path_in(dir, "other"));
    write_keys(file, "FILE");
    write_keys(other, "OTHER");
    setenv("HOME", dir, 1);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    unsetenv("AWS_PROFILE");
    cr_assert_eq(s3_keys_load(NULL, NULL, &k, &e), RC_NOTFOUND, "%s", e.why);
    cr_assert(strstr(e.hint, "AWS_ACCESS_KEY_ID") != NULL);
    setenv("AWS_SHARED_CREDENTIALS_FILE", other, 1);
    cr_assert_eq(s3_keys_load(NULL, NULL, &k, &e), RC_USAGE, "there is no [default]");
    setenv("AWS_PROFILE", "p", 1);
    OK(s3_keys_load(NULL, NULL, &k, &e), &e);
    cr_assert_str_eq(k.access, "OTHER");
    setenv("AWS_ACCESS_KEY_ID", "ENV", 1);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    cr_assert_eq(s3_keys_load(NULL, NULL, &k, &e), RC_USAGE, "half of them");
    setenv("AWS_SECRET_ACCESS_KEY", "SECRET", 1);
    setenv("AWS_SESSION_TOKEN", "TOKEN", 1);
    OK(s3_keys_load(NULL, NULL, &k, &e), &e);
    cr_assert_str_eq(k.access, "ENV");
    cr_assert_str_eq(k.token, "TOKEN");
    OK(s3_keys_load(file, "p", &k, &e), &e);
    cr_assert_str_eq(k.access, "FILE");
    cr_assert_str_eq(k.token, "");
}
