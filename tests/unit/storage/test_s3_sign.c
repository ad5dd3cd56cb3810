#include "storage/s3_sign.h"

#include "tests/lib/case.h"

/* The examples of "Authenticating Requests: Using the Authorization Header" of the Amazon
 * S3 API reference: one bucket, one pair of keys, one time. */
static const struct s3_keys example = { .access = "AKIAIOSFODNN7EXAMPLE",
                                        .secret =
                                            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };

static void sign(const char *method, const char *key, const struct s3_param *query,
                 const char *const headers[], struct bytes body, struct str_list *lines)
{
    AT_END(s3_place_clear) struct s3_place p = { 0 };
    AT_END(s3_target_clear) struct s3_target target = { 0 };
    struct err e = { 0 };
    char hash[65];
    struct s3_signing q = { .method = method,
                            .region = "us-east-1",
                            .target = &target,
                            .now = 1369353600,
                            .headers = lines,
                            .payload = hash };

    OK(s3_place_parse("s3://examplebucket?region=us-east-1", &p, &e), &e);
    mem_free(p.host);
    p.host = mem_str("s3.amazonaws.com");
    OK(s3_target_make(&p, key, query, &target, &e), &e);
    for (size_t i = 0; headers != NULL && headers[i] != NULL; i++)
        OK(str_list_add(lines, headers[i], &e), &e);
    OK(s3_payload_hash(body, hash, &e), &e);
    OK(s3_sign(&q, &example, &e), &e);
}

static void ends_with(const struct str_list *lines, const char *names,
                      const char *signature)
{
    AT_END(mem_end) char *expected = NULL;
    struct err e = { 0 };

    OK(str_format(&expected, &e,
                  "authorization:AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"
                  "20130524/us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s",
                  names, signature),
       &e);
    cr_assert_str_eq(lines->items[lines->count - 1], expected);
}

CASE(s3_sign, get_object)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };

    sign("GET", "test.txt", NULL, (const char *const[]){ "range:bytes=0-9", NULL },
         (struct bytes){ 0 }, &lines);
    ends_with(&lines, "host;range;x-amz-content-sha256;x-amz-date",
              "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

CASE(s3_sign, put_object)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };

    sign("PUT", "test$file.text", NULL,
         (const char *const[]){ "x-amz-storage-class:REDUCED_REDUNDANCY",
                                "date:Fri, 24 May 2013 00:00:00 GMT", NULL },
         bytes_str("Welcome to Amazon S3."), &lines);
    ends_with(&lines, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
              "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

CASE(s3_sign, a_parameter_without_value)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };
    const struct s3_param query[] = { { "lifecycle", "" }, { NULL, NULL } };

    sign("GET", "", query, NULL, (struct bytes){ 0 }, &lines);
    ends_with(&lines, "host;x-amz-content-sha256;x-amz-date",
              "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

CASE(s3_sign, a_list_of_objects)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };
    const struct s3_param query[] = { { "prefix", "J" },
                                      { "max-keys", "2" },
                                      { NULL, NULL } };

    sign("GET", "", query, NULL, (struct bytes){ 0 }, &lines);
    ends_with(&lines, "host;x-amz-content-sha256;x-amz-date",
              "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

CASE(s3_sign, headers_are_sorted_by_name_alone)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };
    AT_END(mem_end) char *text = NULL, *names = NULL;
    char host[] = "h", path[] = "/", query[] = "";
    struct s3_target target = { .host = host, .path = path, .query = query };
    struct s3_signing q = { .method = "PUT",
                            .region = "r",
                            .target = &target,
                            .headers = &lines,
                            .payload = "P" };
    struct err e = { 0 };

    OK(str_list_add(&lines, "x-amz-copy-source-range:1", &e), &e);
    OK(str_list_add(&lines, "x-amz-copy-source:2", &e), &e);
    OK(s3_canonical(&q, &text, &names, &e), &e);
    cr_assert_str_eq(names, "host;x-amz-copy-source;x-amz-copy-source-range");
    cr_assert_str_eq(text, "PUT\n/\n\nhost:h\nx-amz-copy-source:2\n"
                           "x-amz-copy-source-range:1\n\n"
                           "host;x-amz-copy-source;x-amz-copy-source-range\nP");
}

CASE(s3_sign, temporary_credentials_sign_their_token)
{
    AT_END(str_list_clear) struct str_list lines = { 0 };
    struct s3_keys keys = { "AK", "SK", "TOKEN" };
    char host[] = "h", path[] = "/", query[] = "";
    struct s3_target target = { .host = host, .path = path, .query = query };
    struct s3_signing q = { .method = "GET",
                            .region = "r",
                            .target = &target,
                            .headers = &lines,
                            .payload = "P" };
    struct err e = { 0 };

    OK(s3_sign(&q, &keys, &e), &e);
    cr_assert(str_list_has(&lines, "x-amz-security-token:TOKEN"));
    cr_assert(strstr(lines.items[lines.count - 1], ";x-amz-security-token,") != NULL);
}
