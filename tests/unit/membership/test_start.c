#include "membership/start.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/unit/membership/sample.h"
#include "util/mem.h"

static char *start_text(const struct membership_look *l, const char *name,
                        const char *url, enum membership_form form)
{
    AT_END(str_list_clear) struct str_list urls = { 0 };
    const struct membership_place place = { .form = form, .data_dir = "/var/lib/etcd" };
    struct membership_new who = { .name = name };
    struct err e = { 0 };
    char *text = NULL;

    OK(str_list_add(&urls, url, &e), &e);
    who.peer_urls = urls;
    OK(membership_start_text(l, &who, &place, &text, &e), &e);
    return text;
}

CASE(start, flags_are_whole)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(mem_end) char *text = NULL;

    sample_look(&l, 2);
    text = start_text(&l, "m2", "http://10.0.0.3:2380", MEMBERSHIP_FLAGS);
    cr_assert_str_eq(
        text, "etcd \\\n  --name m2 \\\n  --data-dir /var/lib/etcd \\\n"
              "  --listen-peer-urls http://10.0.0.3:2380 \\\n"
              "  --initial-advertise-peer-urls http://10.0.0.3:2380 \\\n"
              "  --listen-client-urls http://10.0.0.3:2379 \\\n"
              "  --advertise-client-urls http://10.0.0.3:2379 \\\n"
              "  --initial-cluster m0=http://10.0.0.1:2380,m1=http://10.0.0.2:2380,"
              "m2=http://10.0.0.3:2380 \\\n"
              "  --initial-cluster-state existing\n");
}

/* etcd does not listen on names; and one that never started has no place in the list. */
CASE(start, names_of_hosts_are_only_told_to_others)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(mem_end) char *text = NULL;

    sample_look(&l, 2);
    sample_name(&l, 1, "");
    text = start_text(&l, "m2", "https://c.example:2380", MEMBERSHIP_ENV);
    cr_assert_str_eq(
        text, "# the certificates of this host, from the other members' authorities, in "
              "/etc/etcd/pki\n"
              "ETCD_NAME=m2\nETCD_DATA_DIR=/var/lib/etcd\n"
              "ETCD_LISTEN_PEER_URLS=https://0.0.0.0:2380\n"
              "ETCD_INITIAL_ADVERTISE_PEER_URLS=https://c.example:2380\n"
              "ETCD_LISTEN_CLIENT_URLS=https://0.0.0.0:2379\n"
              "ETCD_ADVERTISE_CLIENT_URLS=https://c.example:2379\n"
              "ETCD_INITIAL_CLUSTER=m0=http://10.0.0.1:2380,m2=https://c.example:2380\n"
              "ETCD_INITIAL_CLUSTER_STATE=existing\n"
              "ETCD_CERT_FILE=/etc/etcd/pki/server.crt\n"
              "ETCD_KEY_FILE=/etc/etcd/pki/server.key\n"
              "ETCD_TRUSTED_CA_FILE=/etc/etcd/pki/ca.crt\nETCD_CLIENT_CERT_AUTH=true\n"
              "ETCD_PEER_CERT_FILE=/etc/etcd/pki/peer.crt\n"
              "ETCD_PEER_KEY_FILE=/etc/etcd/pki/peer.key\n"
              "ETCD_PEER_TRUSTED_CA_FILE=/etc/etcd/pki/ca.crt\n"
              "ETCD_PEER_CLIENT_CERT_AUTH=true\n");
}

/* etcd takes `--client-cert-auth true` for the switch and a word that it does not know.
 */
CASE(start, each_side_has_its_own_certificates)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(mem_end) char *text = NULL;
    struct err e = { 0 };

    sample_look(&l, 1);
    OK(str_list_add(&l.list.items[0].client_urls, "https://10.0.0.1:2379", &e), &e);
    text = start_text(&l, "m1", "http://10.0.0.2:2380", MEMBERSHIP_FLAGS);
    cr_assert(strstr(text, "--advertise-client-urls https://10.0.0.2:2379 ") != NULL,
              "%s", text);
    cr_assert(strstr(text, "  --cert-file /etc/etcd/pki/server.crt \\\n"
                           "  --key-file /etc/etcd/pki/server.key \\\n"
                           "  --trusted-ca-file /etc/etcd/pki/ca.crt \\\n"
                           "  --client-cert-auth\n") != NULL,
              "%s", text);
    cr_assert_null(strstr(text, "--peer-cert"), "%s", text);
}

CASE(start, units_and_pods)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(mem_end) char *unit = NULL, *pod = NULL;

    sample_look(&l, 1);
    unit = start_text(&l, "50%", "https://[::1]:2380", MEMBERSHIP_UNIT);
    cr_assert(strstr(unit, "--name \"50%%\"") != NULL, "%s", unit);
    cr_assert(strstr(unit, "--listen-peer-urls \"https://[::1]:2380\"") != NULL, "%s",
              unit);
    cr_assert(strstr(unit, "[Install]\nWantedBy=multi-user.target\n") != NULL);
    pod = start_text(&l, "a\"b", "https://10.0.0.3:2380", MEMBERSHIP_POD);
    cr_assert(strstr(pod, "    - \"--name=a\\\"b\"\n") != NULL, "%s", pod);
    cr_assert(strstr(pod, "registry.k8s.io/etcd:3.6.5-0") != NULL, "%s", pod);
    cr_assert(strstr(pod, "--peer-client-cert-auth=true") != NULL, "%s", pod);
    cr_assert(strstr(pod, "--initial-cluster-state=existing") != NULL, "%s", pod);
}

/* A member's name comes from the cluster; a shell must take it for what it is. */
CASE(start, a_shell_reads_back_any_name)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(mem_end) char *text = NULL;

    sample_look(&l, 1);
    sample_name(&l, 0, "x'; echo $HOME `id` #");
    text = start_text(&l, "m1", "http://10.0.0.3:2380", MEMBERSHIP_ENV);
    RUN(p, "sh", "-c", "eval \"$1\"; printf %s \"$ETCD_INITIAL_CLUSTER\"", "sh", text);
    cr_assert_str_eq(p.out, "x'; echo $HOME `id` #=http://10.0.0.1:2380,"
                            "m1=http://10.0.0.3:2380");
}

CASE(start, the_place_of_the_same_name_is_taken)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(mem_end) char *text = NULL;

    sample_look(&l, 2);
    text = start_text(&l, "m1", "http://10.0.0.9:2380", MEMBERSHIP_FLAGS);
    cr_assert(strstr(text, "--initial-cluster m0=http://10.0.0.1:2380,"
                           "m1=http://10.0.0.9:2380 ") != NULL,
              "%s", text);
}

CASE(start, addresses_are_checked)
{
    static const char *const bad[] = { "",
                                       "10.0.0.1:2380",
                                       "http://10.0.0.1",
                                       "http://:2380",
                                       "http://a:0",
                                       "http://a:65536",
                                       "http://a:23 80",
                                       "http://a/b:2380",
                                       "http://a,b:2380",
                                       "ftp://a:2380" };
    struct err e = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(membership_check_url(bad[i], &e), RC_USAGE, "'%s'", bad[i]);
    OK(membership_check_url("https://[::1]:2380", &e), &e);
    OK(membership_check_url("http://node-1.example:1", &e), &e);
}

static enum rc parse(const char *text, char **name, struct str_list *urls)
{
    struct err e = { 0 };

    return membership_parse_new(text, name, urls, &e);
}

CASE(start, a_new_member_is_a_name_and_addresses)
{
    static const char *const bad[] = { "",       ",",
                                       "m3",     "=http://a:1",
                                       "m3=a:1", "m3=http://a:1,m4=http://a:2" };
    AT_END(str_list_clear) struct str_list urls = { 0 };
    AT_END(mem_end) char *name = NULL;

    cr_assert_eq(parse("m3=http://a:1,m3=http://b:2", &name, &urls), RC_OK);
    cr_assert_str_eq(name, "m3");
    cr_assert(urls.count == 2 && strcmp(urls.items[1], "http://b:2") == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        AT_END(str_list_clear) struct str_list none = { 0 };
        AT_END(mem_end) char *nobody = NULL;

        cr_assert_eq(parse(bad[i], &nobody, &none), RC_USAGE, "'%s'", bad[i]);
    }
}

CASE(start, without_memory_there_is_no_text)
{
    AT_END(membership_look_clear) struct membership_look l;
    AT_END(str_list_clear) struct str_list urls = { 0 };
    const struct membership_place place = { .form = MEMBERSHIP_POD, .data_dir = "/d" };
    struct membership_new who = { .name = "m3" };
    struct err e = { 0 };
    unsigned runs = 0;

    sample_look(&l, 3);
    OK(str_list_add(&urls, "http://10.0.0.3:2380", &e), &e);
    who.peer_urls = urls;
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(mem_end) char *text = NULL;
        enum rc rc = membership_start_text(&l, &who, &place, &text, &e);

        runs = nth;
        cr_assert((rc == RC_OK) == (text != NULL));
        cr_assert(rc == RC_OK || rc == RC_NOMEM);
    }
    cr_assert_gt(runs, 5);
}
