#include "drill/boot.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/port.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "wire/kv.h"

enum {
    BOOT_MS = 120 * 1000,
    TRY_MS = 2000,
    PAUSE_MS = 100,
    LOG_MAX = 64 << 20,
    TAIL = 300
};

/* ---- which ---------------------------------------------------------------------------
 */

enum rc boot_choose(const char *etcd, struct boot *b, struct err *e)
{
    struct err none = { 0 };

    *b = (struct boot){ .fds = { -1, -1 }, .etcd = true };
    if (etcd != NULL && access(etcd, X_OK) != 0)
        return err_sys(e, RC_NOTFOUND, "'%s' is no program", etcd);
    if (etcd != NULL) {
        b->program = mem_str(etcd);
        b->etcd = !str_ends(etcd, "holdfast-lab");
        return b->program == NULL ? err_set(e, RC_NOMEM, "out of memory") : RC_OK;
    }
    if (lab_program_find("etcd", &b->program, &none) == RC_OK)
        return RC_OK;
    b->etcd = false;
    if (lab_program_find("holdfast-lab", &b->program, &none) == RC_OK)
        return RC_OK;
    return err_set(e, RC_NOTFOUND,
                   "there is neither an etcd nor holdfast-lab to boot the backup on" HINT
                   "name one with --etcd, or install the package holdfast-lab");
}

/* ---- start ---------------------------------------------------------------------------
 */

static enum rc take_ports(struct boot *b, uint16_t *client, uint16_t *peer, struct err *e)
{
    TRY(lab_port_take(client, &b->fds[0], e));
    TRY(lab_port_take(peer, &b->fds[1], e));
    snprintf(b->url, sizeof b->url, "http://127.0.0.1:%u", *client);
    return RC_OK;
}

enum { ARGUMENTS = 9, ARGUMENT_SIZE = 4200 };

enum rc boot_start(struct boot *b, const char *data_dir, const char *peer_url,
                   const char *log, struct err *e)
{
    AT_END(mem_end) char(*text)[ARGUMENT_SIZE] = NULL;
    const char *argv[ARGUMENTS + 1] = { b->program };
    uint16_t client, peer;

    TRY(take_ports(b, &client, &peer, e));
    TRY(mem_new(&text, ARGUMENTS * sizeof *text, "a server's arguments", e));
    snprintf(text[1], sizeof *text, "--name=drill");
    snprintf(text[2], sizeof *text, "--data-dir=%s", data_dir);
    snprintf(text[3], sizeof *text, "--listen-client-urls=%s", b->url);
    snprintf(text[4], sizeof *text, "--advertise-client-urls=%s", b->url);
    snprintf(text[5], sizeof *text, "--listen-peer-urls=http://127.0.0.1:%u", peer);
    snprintf(text[6], sizeof *text, "--initial-advertise-peer-urls=%s", peer_url);
    snprintf(text[7], sizeof *text, "--initial-cluster=drill=%s", peer_url);
    snprintf(text[8], sizeof *text, "--quota-backend-bytes=%lld", 64LL << 30);
    for (size_t i = 1; i < ARGUMENTS; i++)
        argv[i] = text[i];
    return lab_child_start(argv, &(struct lab_child_options){ log, true }, &b->child, e);
}

void boot_end(struct boot *b)
{
    struct err e = { 0 };

    if (b->child.pid != 0)
        (void)lab_child_end(&b->child, SIGKILL, &e);
    os_fd_end(&b->fds[0]);
    os_fd_end(&b->fds[1]);
    mem_free(b->program);
    b->program = NULL;
}

/* ---- wait ----------------------------------------------------------------------------
 */

/* The end of what it said, on one line. */
static void last_words(const char *log, char out[static TAIL + 1])
{
    AT_END(mem_end) uint8_t *text = NULL;
    struct err e = { 0 };
    size_t n = 0;

    out[0] = '\0';
    if (os_read_file(log, LOG_MAX, &text, &n, &e) != RC_OK)
        return;
    const size_t from = n > TAIL ? n - TAIL : 0;

    str_printable(out, TAIL + 1, (struct bytes){ text + from, n - from });
}

static enum rc answers(struct wire_client *c, struct err *e)
{
    struct wire_kvs k = { 0 };
    const struct wire_range q = { .key = bytes_str("drill"), .count_only = true };
    const enum rc rc = wire_range_get(c, &q, &k, e);

    wire_kvs_clear(&k);
    return rc;
}

/* Will asking again help? */
static bool not_yet(const struct wire_client *c)
{
    const enum wire_detail d = wire_last(c)->detail;

    return d == WIRE_UNREACHABLE || d == WIRE_TIMEOUT || d == WIRE_NO_LEADER ||
           d == WIRE_UNAVAILABLE || d == WIRE_BUSY;
}

static enum rc gone(const struct boot *b, const char *log, const char *how, struct err *e)
{
    char words[TAIL + 1];

    last_words(log, words);
    return err_set(e, RC_NET, "%s %s; its last words: %s", b->program, how, words);
}

enum rc boot_wait(struct boot *b, const struct drill_request *q, uint64_t cluster,
                  const char *log, struct wire_client **out, struct err *e)
{
    const uint64_t limit = q->boot_timeout_ms != 0 ? q->boot_timeout_ms : BOOT_MS;
    const uint64_t until = clock_ms() + limit;
    OWNED(wire_client) c = NULL;

    TRY(wire_client_new(&(struct wire_options){ .endpoints = b->url,
                                                .user = q->user,
                                                .password = q->password,
                                                .password_arg = q->password_arg,
                                                .cluster_id = cluster,
                                                .command_timeout_ms = TRY_MS },
                        &c, e));
    while (answers(c, e) != RC_OK) {
        if (lab_child_state(&b->child) == LAB_CHILD_GONE)
            return gone(b, log, "ended at once", e);
        if (!not_yet(c))
            return e->code;
        if (clock_ms() > until)
            return gone(b, log, "does not answer", e);
        TRY(stop_check(e));
        clock_sleep_ms(PAUSE_MS);
    }
    *out = GIVE(c);
    return RC_OK;
}
