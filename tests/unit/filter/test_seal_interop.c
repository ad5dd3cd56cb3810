/* Against the age and age-keygen programs: each side opens what the other made. */
#include "tests/unit/filter/test_seal.h"

#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

#define AGE "/usr/bin/age"
#define AGE_KEYGEN "/usr/bin/age-keygen"

static void need_programs(void)
{
    cr_assert(access(AGE, X_OK) == 0 && access(AGE_KEYGEN, X_OK) == 0,
              "this test needs the Debian package 'age'");
}

static void write_file(const char *path, struct bytes data)
{
    OWNED_FD int fd = -1;
    struct err e = { 0 };

    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &e), &e);
    OK(os_write_full(fd, data.p, data.n, path, &e), &e);
}

static void assert_file(const char *path, struct bytes data)
{
    AT_END(mem_end) uint8_t *got = NULL;
    struct err e = { 0 };
    size_t n = 0;

    OK(os_read_file(path, 1 << 24, &got, &n, &e), &e);
    cr_assert(bytes_equal((struct bytes){ got, n }, data), "%s: %zu bytes", path, n);
}

static const size_t lengths[] = { 0, 1, 65535, 65536, 65537, 200000 };
static uint8_t plain[200000];

CASE(filter_seal_interop, age_opens_what_we_seal)
{
    need_programs();
    fill_pattern(plain, sizeof plain);
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof lengths[0]; i++) {
        struct bytes data = { plain, lengths[i / 2] };
        const char *dir = tmpdir_new();
        const char *key = path_in(dir, "key"), *file = path_in(dir, "file.age");
        COLLECTED sealed = { 0 };
        struct err e = { 0 };

        OK(seal_bytes(&sealed, data, 65536, i % 2 == 1, &e), &e);
        write_file(key, bytes_str(TEST_IDENTITY "\n"));
        write_file(file, collected_bytes(&sealed));
        RUN(p, AGE, "-d", "-i", key, file);
        cr_assert_eq(p.status, 0, "%zu bytes: %s", data.n, p.err);
        cr_assert(bytes_equal((struct bytes){ (uint8_t *)p.out, p.out_size }, data),
                  "%zu bytes", data.n);
    }
}

CASE(filter_seal_interop, we_open_what_age_seals)
{
    static const char *const armor[] = { "-a", "-e" };

    need_programs();
    fill_pattern(plain, sizeof plain);
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof lengths[0]; i++) {
        struct bytes data = { plain, lengths[i / 2] };
        const char *dir = tmpdir_new();
        const char *file = path_in(dir, "file.age"), *in = path_in(dir, "in");
        AT_END(mem_end) uint8_t *sealed = NULL;
        COLLECTED back = { 0 };
        struct err e = { 0 };
        size_t n = 0;

        write_file(in, data);
        RUN(p, AGE, armor[i % 2], "-r", TEST_RECIPIENT, "-o", file, in);
        cr_assert_eq(p.status, 0, "%zu bytes: %s", data.n, p.err);
        OK(os_read_file(file, 1 << 24, &sealed, &n, &e), &e);
        OK(unseal_bytes(&back, (struct bytes){ sealed, n }, 65536, &e), &e);
        cr_assert(bytes_equal(collected_bytes(&back), data), "%zu bytes", data.n);
    }
}

CASE(filter_seal_interop, age_keygen_knows_our_keys_and_we_know_its)
{
    const char *dir = tmpdir_new();
    const char *ours = path_in(dir, "ours"), *its = path_in(dir, "its");
    char file[AGE_KEYGEN_SIZE], recipient[AGE_RECIPIENT_SIZE];
    OWNED(age_identities) ids = NULL;
    struct err e = { 0 };

    need_programs();
    OK(age_keygen(file, recipient, &e), &e);
    write_file(ours, bytes_str(file));
    RUN(asked, AGE_KEYGEN, "-y", ours);
    cr_assert_eq(asked.status, 0, "%s", asked.err);
    cr_assert(strncmp(asked.out, recipient, strlen(recipient)) == 0, "%s", asked.out);

    RUN(made, AGE_KEYGEN, "-o", its);
    cr_assert_eq(made.status, 0, "%s", made.err);
    OK(age_identities_new(&ids, &e), &e);
    OK(age_identities_add_file(ids, its, &e), &e);
    age_identity_recipient(ids->first, recipient);
    cr_assert_not_null(strstr(made.err, recipient), "%s", made.err);
}

/* age asks for passphrases on a terminal and nowhere else. */
static void type_to_age(const char *out, const char *file)
{
    char seen[1024] = "";
    int tty = -1, status = 0;
    size_t n = 0;
    pid_t child = forkpty(&tty, NULL, NULL, NULL);

    cr_assert_geq(child, 0);
    if (child == 0) {
        execl(AGE, "age", "-d", "-o", out, file, (char *)NULL);
        _exit(127);
    }
    while (strstr(seen, "passphrase") == NULL) {
        ssize_t got = read(tty, seen + n, sizeof seen - n - 1);

        cr_assert_gt(got, 0, "age said '%s'", seen);
        n += (size_t)got;
        seen[n] = '\0';
    }
    cr_assert_eq(write(tty, "correct horse\n", 14), 14);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    close(tty);
}

CASE(filter_seal_interop, age_opens_what_we_seal_with_a_passphrase)
{
    const char *dir = tmpdir_new();
    const char *file = path_in(dir, "file.age"), *out = path_in(dir, "out");
    OWNED(age_recipients) to = NULL;
    OWNED(secret) word = NULL;
    COLLECTED sealed = { 0 };
    OWNED(sink) chain = NULL;
    struct err e = { 0 };

    need_programs();
    OK(secret_new(bytes_str("correct horse"), &word, &e), &e);
    OK(age_recipients_new(&to, &e), &e);
    OK(age_recipients_set_passphrase(to, word, &e), &e);
    OK(collect_new(&sealed, &chain, &e), &e);
    OK(seal_sink_new(GIVE(chain), to, &chain, &e), &e);
    OK(sink_write(chain, "hello", 5, &e), &e);
    OK(sink_finish(chain, &e), &e);
    write_file(file, collected_bytes(&sealed));
    type_to_age(out, file);
    assert_file(out, bytes_str("hello"));
}
