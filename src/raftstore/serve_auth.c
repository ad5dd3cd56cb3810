/* Passwords. They are hashed by the member that is asked, away from the loop, and only
 * the hash enters the log, as in etcd from 3.5 on. */
#include <crypt.h>

#include "codec/message.h"
#include "crypto/base64.h"
#include "raftstore/node_priv.h"
#include "raftstore/serve.h"
#include "util/mem.h"
#include "util/os.h"

enum {
    FIELD_USER_ADD = 1100,
    FIELD_CHANGE_PASSWORD = 1103,
    FIELD_AUTHENTICATE = 1012,
    COST = 10, /* of bcrypt: etcd's default */
    SALT = 16,
    HASH_SIZE = 128,
};

/* One hashing on a thread of the pool. */
struct hashing {
    uv_work_t work; /* first */
    struct node *n;
    struct grpcd_call *call;
    void *request; /* the message, ours */
    unsigned field;
    char *password;
    char setting[HASH_SIZE], hash[HASH_SIZE];
};

static void hashing_free(struct hashing *h)
{
    if (h->password != NULL)
        mem_wipe(h->password, strlen(h->password));
    mem_free(h->password);
    codec_free(h->request);
    mem_free(h);
}

static void do_hash(uv_work_t *work)
{
    struct hashing *h = (struct hashing *)work;
    struct crypt_data *data = mem_zero(sizeof *data);
    const char *made;

    if (data == NULL)
        return;
    made = crypt_r(h->password, h->setting, data);
    if (made != NULL && made[0] != '*' && strlen(made) < sizeof h->hash)
        memcpy(h->hash, made, strlen(made) + 1);
    mem_free(data);
}

static bool new_setting(char out[static HASH_SIZE])
{
    char random[SALT];
    struct err e;

    return os_random(random, sizeof random, &e) == RC_OK &&
           crypt_gensalt_rn("$2a$", COST, random, sizeof random, out, HASH_SIZE) != NULL;
}

/* Takes `request` over; `setting` NULL: a new one. */
static void hash(struct node *n, struct grpcd_call *call, void *request, unsigned field,
                 const char *password, const char *setting, uv_after_work_cb after)
{
    struct hashing *h = mem_zero(sizeof *h);
    bool good = h != NULL;

    if (good) {
        *h = (struct hashing){ .n = n, .call = call, .field = field };
        h->password = mem_str(password);
        if (setting != NULL && strlen(setting) < sizeof h->setting)
            memcpy(h->setting, setting, strlen(setting) + 1);
        good = h->password != NULL && (setting != NULL || new_setting(h->setting)) &&
               uv_queue_work(&n->loop, &h->work, do_hash, after) == 0;
    }
    if (good) {
        h->request = request;
        return;
    }
    codec_free(request);
    if (h != NULL)
        hashing_free(h);
    grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- users ------------------------------------------------------------------------ */

static void write_user(struct node *n, struct grpcd_call *call, unsigned field,
                       const void *request)
{
    AT_END(buf_clear) struct buf b = { 0 };
    struct caller who;
    struct err e;

    if (!serve_enter(n, call, 0, &who))
        return;
    if (codec_pack(request, &b, &e) != RC_OK)
        serve_broken(call, &e);
    else
        serve_write(n, call, field, (struct bytes){ b.p, b.n }, &who);
    buf_wipe(&b);
}

/* The hash takes the password's place, as base64, in a copy that owns nothing. A 3.4 that
 * reads the log knows no hashes, and makes its own from the password. */
static void write_hashed(struct hashing *h)
{
    char empty[] = "", coded[2 * HASH_SIZE];
    bool keep = h->n->o.minor < 5;
    size_t n = base64_encode_padded(bytes_str(h->hash), coded);

    coded[n] = 0;
    if (h->field == FIELD_USER_ADD) {
        Etcdrpc__UserAddRequest r = *(Etcdrpc__UserAddRequest *)h->request;

        r.hashed_password = coded;
        r.password = keep ? r.password : empty;
        write_user(h->n, h->call, h->field, &r);
    } else {
        Etcdrpc__UserChangePasswordRequest r =
            *(Etcdrpc__UserChangePasswordRequest *)h->request;

        r.hashed_password = coded;
        r.password = keep ? r.password : empty;
        write_user(h->n, h->call, h->field, &r);
    }
}

static void after_user(uv_work_t *work, int status)
{
    struct hashing *h = (struct hashing *)work;

    if (status != 0 || h->hash[0] == 0)
        grpcd_finish(h->call, GRPCD_INTERNAL, "the password could not be hashed");
    else
        write_hashed(h);
    hashing_free(h);
}

void serve_user_add(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    Etcdrpc__UserAddRequest *r = NULL;
    struct caller who;
    struct err e;

    if (!serve_enter(n, call, 0, &who))
        return;
    if (codec_unpack(&etcdrpc__user_add_request__descriptor, request, &r, &e) != RC_OK) {
        serve_broken(call, &e);
    } else if (r->options != NULL && r->options->no_password) {
        write_user(n, call, FIELD_USER_ADD, r);
        codec_free(r);
    } else {
        hash(n, call, r, FIELD_USER_ADD, r->password, NULL, after_user);
    }
}

void serve_change_password(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    Etcdrpc__UserChangePasswordRequest *r = NULL;
    struct caller who;
    struct err e;

    if (!serve_enter(n, call, 0, &who))
        return;
    if (codec_unpack(&etcdrpc__user_change_password_request__descriptor, request, &r,
                     &e) != RC_OK) {
        serve_broken(call, &e);
    } else if (r->password[0] == 0) {
        write_user(n, call, FIELD_CHANGE_PASSWORD, r);
        codec_free(r);
    } else {
        hash(n, call, r, FIELD_CHANGE_PASSWORD, r->password, NULL, after_user);
    }
}

/* ---- logging in ------------------------------------------------------------------- */

static void give_token(struct node *n, struct grpcd_call *call, char *name)
{
    Raftreq__InternalAuthenticate r;
    AT_END(buf_clear) struct buf b = { 0 };
    const struct caller nobody = { 0 };
    char token[TOKEN_SIZE];
    struct err e;

    raftreq__internal_authenticate__init(&r);
    if (!tokens_make(n, token)) {
        grpcd_finish(call, GRPCD_INTERNAL, "no randomness for a token");
        return;
    }
    r.name = name;
    r.simple_token = token;
    if (codec_pack(&r, &b, &e) != RC_OK) {
        serve_broken(call, &e);
        return;
    }
    tokens_touch(n, token);
    serve_write(n, call, FIELD_AUTHENTICATE, (struct bytes){ b.p, b.n }, &nobody);
}

static void after_login(uv_work_t *work, int status)
{
    struct hashing *h = (struct hashing *)work;
    Etcdrpc__AuthenticateRequest *r = h->request;

    if (status != 0 || h->hash[0] == 0 || strcmp(h->hash, h->setting) != 0)
        grpcd_finish(h->call, GRPCD_INVALID_ARGUMENT,
                     "etcdserver: authentication failed, invalid user ID or password");
    else
        give_token(h->n, h->call, r->name);
    hashing_free(h);
}

struct login {
    struct node *n;
    struct grpcd_call *call;
    Etcdrpc__AuthenticateRequest *r;
};

static void on_login_readable(void *arg, int code, const char *message)
{
    struct login l = *(struct login *)arg;
    const char *stored = machine_password(l.n->fsm.machine, l.r->name);

    mem_free(arg);
    if (code == 0 && !machine_auth_enabled(l.n->fsm.machine)) {
        code = GRPCD_FAILED_PRECONDITION;
        message = "etcdserver: authentication is not enabled";
    } else if (code == 0 && machine_without_password(l.n->fsm.machine, l.r->name)) {
        code = GRPCD_UNKNOWN;
        message = "auth: authentication failed, password was given for no password user";
    } else if (code == 0 && (stored == NULL || stored[0] == 0)) {
        code = GRPCD_INVALID_ARGUMENT;
        message = "etcdserver: authentication failed, invalid user ID or password";
    }
    if (code == 0) {
        hash(l.n, l.call, l.r, FIELD_AUTHENTICATE, l.r->password, stored, after_login);
        return;
    }
    grpcd_finish(l.call, (enum grpcd_code)code, message);
    codec_free(l.r);
}

void serve_authenticate(struct grpcd_call *call, struct bytes request, void *arg)
{
    struct node *n = arg;
    Etcdrpc__AuthenticateRequest *r = NULL;
    struct login *l;
    struct err e;

    if (n->stopping || node_is_learner(n)) {
        grpcd_finish(call, GRPCD_FAILED_PRECONDITION,
                     "etcdserver: rpc not supported for learner");
        return;
    }
    if (codec_unpack(&etcdrpc__authenticate_request__descriptor, request, &r, &e) !=
        RC_OK) {
        serve_broken(call, &e);
        return;
    }
    l = mem_zero(sizeof *l);
    if (l == NULL) {
        codec_free(r);
        grpcd_finish(call, GRPCD_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *l = (struct login){ n, call, r };
    read_linearizable(n, on_login_readable, l);
}
