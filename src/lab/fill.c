#include "lab/fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/issue.h"
#include "lab/place.h"
#include "lab/reach.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "wire/auth.h"
#include "wire/kv.h"

enum { PKI_DAYS = 30, BATCH = 100, PATIENCE_MS = 30000, VALUE_SIZE = 256 };

/* ---- certificates --------------------------------------------------------------------
 */

static enum rc put_pair(const struct lab *l, const struct issuer *ca, const char *name,
                        const char *hosts, struct err *e)
{
    AT_END(issued_clear) struct issued made = { 0 };
    char file[64];

    TRY(issuer_sign(ca, name, hosts, &made, e));
    snprintf(file, sizeof file, "pki/%s.crt", name);
    TRY(lab_place_write(l, file, made.cert, e));
    snprintf(file, sizeof file, "pki/%s.key", name);
    return lab_place_write(l, file, made.key, e);
}

enum rc lab_fill_pki(const struct lab *l, struct err *e)
{
    OWNED(issuer) ca = NULL;
    AT_END(mem_end) char *text = NULL;

    TRY(os_mkdir(l->fd, "pki", e));
    TRY(issuer_new("holdfast lab", PKI_DAYS, &ca, e));
    TRY(issuer_certificate(ca, &text, e));
    TRY(lab_place_write(l, "pki/ca.crt", text, e));
    TRY(put_pair(l, ca, "server", "DNS:localhost,IP:127.0.0.1", e));
    return put_pair(l, ca, "client", NULL, e);
}

/* ---- keys ----------------------------------------------------------------------------
 */

struct one {
    Etcdrpc__RequestOp op;
    Etcdrpc__PutRequest put;
    char key[64], value[VALUE_SIZE + 1];
};

static void fill_one(struct one *o, uint64_t number)
{
    int n;

    etcdrpc__request_op__init(&o->op);
    etcdrpc__put_request__init(&o->put);
    n = snprintf(o->key, sizeof o->key, "/registry/pods/lab/pod-%06" PRIu64, number);
    o->put.key = (ProtobufCBinaryData){ (size_t)n, (uint8_t *)o->key };
    n = snprintf(o->value, sizeof o->value, "{\"kind\":\"Pod\",\"number\":%" PRIu64 ",",
                 number);
    for (; n < VALUE_SIZE; n++)
        o->value[n] = (char)('a' + (number + (uint64_t)n * 7) % 26);
    o->value[n - 1] = '}';
    o->put.value = (ProtobufCBinaryData){ VALUE_SIZE, (uint8_t *)o->value };
    o->op.op_case = ETCDRPC__REQUEST_OP__OP_PUT;
    o->op.put = &o->put;
}

static enum rc put_batch(struct wire_client *c, struct one *all, uint64_t first, size_t n,
                         struct err *e)
{
    Etcdrpc__RequestOp *ops[BATCH];
    Etcdrpc__TxnResponse *answer = NULL;
    Etcdrpc__TxnRequest q;
    enum rc rc;

    etcdrpc__txn_request__init(&q);
    for (size_t i = 0; i < n; i++) {
        fill_one(&all[i], first + i);
        ops[i] = &all[i].op;
    }
    q.n_success = n;
    q.success = ops;
    rc = wire_txn(c, &q, &answer, NULL, e);
    codec_free(answer);
    return rc;
}

enum rc lab_fill_keys(const struct lab *l, uint64_t keys, struct err *e)
{
    OWNED(wire_client) c = NULL;
    AT_END(mem_end) struct one *batch = NULL;

    TRY(mem_new(&batch, BATCH * sizeof *batch, "keys to write", e));
    TRY(lab_client(l, NULL, PATIENCE_MS, &c, e));
    for (uint64_t done = 0; done < keys; done += BATCH) {
        uint64_t n = keys - done < BATCH ? keys - done : BATCH;

        TRY(stop_check(e));
        if (put_batch(c, batch, done + 1, (size_t)n, e) != RC_OK)
            return err_wrap(e, "writing keys");
    }
    return RC_OK;
}

/* ---- authentication ------------------------------------------------------------------
 */

enum rc lab_fill_auth(struct lab *l, struct err *e)
{
    OWNED(wire_client) c = NULL;
    uint8_t random[12];
    char password[2 * sizeof random + 1];
    enum rc rc;

    TRY(os_random(random, sizeof random, e));
    str_hex(password, random, sizeof random);
    TRY(lab_client(l, NULL, PATIENCE_MS, &c, e));
    rc = lab_place_write(l, "root.password", password, e);
    if (rc == RC_OK)
        rc = wire_user_add(c, "root", password, e);
    mem_wipe(password, sizeof password);
    mem_wipe(random, sizeof random);
    TRY(rc);
    TRY(wire_role_add(c, "root", e));
    TRY(wire_user_grant(c, "root", "root", e));
    TRY(wire_auth_enable(c, e));
    l->auth = true;
    return lab_place_save(l, e);
}
