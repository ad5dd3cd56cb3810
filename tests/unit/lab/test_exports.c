#include <string.h>

#include "lab/reach.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/unit/lab/fixture.h"
#include "util/mem.h"

static void joined(const struct str_list *l, char *out, size_t n)
{
    out[0] = '\0';
    for (size_t i = 0; i < l->count; i++) {
        strncat(out, l->items[i], n - strlen(out) - 1);
        strncat(out, "\n", n - strlen(out) - 1);
    }
}

CASE(lab_exports, are_what_etcdctl_and_holdfast_read)
{
    OWNED(lab) l = fixture_lab("/tmp/x", 2);
    AT_END(str_list_clear) struct str_list plain = { 0 };
    AT_END(str_list_clear) struct str_list all = { 0 };
    char text[4096];
    struct err e = { 0 };

    OK(lab_exports(l, &plain, &e), &e);
    joined(&plain, text, sizeof text);
    cr_assert_str_eq(
        text,
        "export ETCDCTL_ENDPOINTS='http://127.0.0.1:20001,http://127.0.0.1:20003'\n"
        "export HOLDFAST_ENDPOINTS='http://127.0.0.1:20001,http://127.0.0.1:20003'\n");
    l->tls = l->auth = true;
    OK(lab_exports(l, &all, &e), &e);
    joined(&all, text, sizeof text);
    cr_assert_str_eq(
        text,
        "export ETCDCTL_ENDPOINTS='https://127.0.0.1:20001,https://127.0.0.1:20003'\n"
        "export HOLDFAST_ENDPOINTS='https://127.0.0.1:20001,https://127.0.0.1:20003'\n"
        "export ETCDCTL_CACERT='/tmp/x/lab/pki/ca.crt'\n"
        "export HOLDFAST_CACERT='/tmp/x/lab/pki/ca.crt'\n"
        "export ETCDCTL_CERT='/tmp/x/lab/pki/client.crt'\n"
        "export HOLDFAST_CERT='/tmp/x/lab/pki/client.crt'\n"
        "export ETCDCTL_KEY='/tmp/x/lab/pki/client.key'\n"
        "export HOLDFAST_KEY='/tmp/x/lab/pki/client.key'\n"
        "export ETCDCTL_USER='root'\n"
        "export HOLDFAST_USER='root'\n"
        "export ETCDCTL_PASSWORD=\"$(cat '/tmp/x/lab/root.password')\"\n"
        "export HOLDFAST_PASSWORD_FILE='/tmp/x/lab/root.password'\n");
}

/* A shell must read back what the directory is called, whatever that is. */
CASE(lab_exports, survive_the_shell)
{
    static const char dir[] = "/tmp/it's $HOME `date` \"q\" \\ *";
    OWNED(lab) l = fixture_lab(dir, 1);
    AT_END(str_list_clear) struct str_list lines = { 0 };
    char script[8192];
    struct err e = { 0 };

    l->tls = true;
    OK(lab_exports(l, &lines, &e), &e);
    joined(&lines, script, sizeof script);
    strncat(script, "printf %s \"$HOLDFAST_CACERT\"", sizeof script - strlen(script) - 1);
    RUN(p, "/bin/sh", "-c", script);
    cr_assert_str_eq(p.out, "/tmp/it's $HOME `date` \"q\" \\ */lab/pki/ca.crt");
}

CASE(lab_exports, any_failing_allocation_is_told)
{
    OWNED(lab) l = fixture_lab("/tmp/x", 2);
    unsigned runs = 0;

    l->tls = l->auth = true;
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(str_list_clear) struct str_list all = { 0 };
        struct err e = { 0 };
        enum rc rc = lab_exports(l, &all, &e);

        runs = nth;
        cr_assert(rc == RC_OK ? all.count == 12 : rc == RC_NOMEM);
    }
    cr_assert_geq(runs, 24);
}

CASE(lab_reach, the_members_of_a_choice)
{
    OWNED(lab) l = fixture_lab("/tmp/x", 3);
    AT_END(mem_end) char *some = NULL;
    AT_END(mem_end) char *none = NULL;
    AT_END(mem_end) char *all = NULL;
    const bool which[LAB_MEMBERS_MAX] = { true, false, true },
               nobody[LAB_MEMBERS_MAX] = { 0 };
    struct err e = { 0 };

    OK(lab_endpoints(l, which, &some, &e), &e);
    cr_assert_str_eq(some, "http://127.0.0.1:20001,http://127.0.0.1:20005");
    OK(lab_endpoints(l, nobody, &none, &e), &e);
    cr_assert_null(none);
    OK(lab_initial_cluster(l, &all, &e), &e);
    cr_assert_str_eq(all, "m1=http://127.0.0.1:20002,m2=http://127.0.0.1:20004,"
                          "m3=http://127.0.0.1:20006");
}
