#include "crypto/tls_engine.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "util/mem.h"

struct tls_server {
    SSL_CTX *ctx;
};

struct tls_engine {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool closed;
};

static enum rc refused(struct err *e, enum rc rc, const char *what, const char *name)
{
    char text[256];
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);

    if (reason == NULL)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return err_set(e, rc, "%s '%s': %s", what, name, reason == NULL ? text : reason);
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
                           const unsigned char *offered, unsigned offered_n, void *arg)
{
    static const unsigned char known[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, n, known, sizeof known - 1, offered, offered_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static enum rc load(SSL_CTX *ctx, const struct tls_files *files, struct err *e)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
        return refused(e, RC_USAGE, "the certificate", files->cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return refused(e, RC_USAGE, "the private key", files->key);
    if (files->client_ca == NULL)
        return RC_OK;
    if (SSL_CTX_load_verify_file(ctx, files->client_ca) != 1)
        return refused(e, RC_USAGE, "the clients' CA", files->client_ca);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return RC_OK;
}

enum rc tls_server_new(const struct tls_files *files, struct tls_server **out,
                       struct err *e)
{
    static const unsigned char session_context[] = "holdfast";
    OWNED(tls_server) s = NULL;

    TRY(mem_new(&s, sizeof *s, "a TLS server", e));
    s->ctx = SSL_CTX_new(TLS_server_method());
    if (s->ctx == NULL)
        return err_set(e, RC_NOMEM, "no memory for a TLS server");
    if (SSL_CTX_set_min_proto_version(s->ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_session_id_context(s->ctx, session_context,
                                       sizeof session_context - 1) != 1)
        return err_set(e, RC_INTERNAL, "OpenSSL cannot speak TLS 1.2");
    SSL_CTX_set_options(s->ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(s->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(s->ctx, choose_protocol, NULL);
    TRY(load(s->ctx, files, e));
    *out = GIVE(s);
    return RC_OK;
}

void tls_server_free(struct tls_server *s)
{
    if (s == NULL)
        return;
    SSL_CTX_free(s->ctx);
    mem_free(s);
}

enum rc tls_engine_new(const struct tls_server *s, struct tls_engine **out, struct err *e)
{
    OWNED(tls_engine) t = NULL;

    TRY(mem_new(&t, sizeof *t, "a TLS connection", e));
    t->ssl = SSL_new(s->ctx);
    t->in = t->ssl == NULL ? NULL : BIO_new(BIO_s_mem());
    t->out = t->in == NULL ? NULL : BIO_new(BIO_s_mem());
    if (t->out == NULL) {
        BIO_free(t->in);
        return err_set(e, RC_NOMEM, "no memory for a TLS connection");
    }
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_accept_state(t->ssl);
    *out = GIVE(t);
    return RC_OK;
}

void tls_engine_free(struct tls_engine *t)
{
    if (t == NULL)
        return;
    SSL_free(t->ssl);
    mem_free(t);
}

enum rc tls_engine_feed(struct tls_engine *t, struct bytes cipher, struct err *e)
{
    size_t done;

    if (cipher.n > 0 && BIO_write_ex(t->in, cipher.p, cipher.n, &done) != 1)
        return err_set(e, RC_NOMEM, "no memory for what a TLS client sent");
    return RC_OK;
}

enum rc tls_engine_read(struct tls_engine *t, uint8_t *to, size_t room, size_t *got,
                        struct err *e)
{
    *got = 0;
    ERR_clear_error();
    if (t->closed || SSL_read_ex(t->ssl, to, room, got) == 1)
        return RC_OK;
    switch (SSL_get_error(t->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return RC_OK;
    case SSL_ERROR_ZERO_RETURN:
        t->closed = true;
        return RC_OK;
    default:
        return refused(e, RC_AUTH, "TLS with", "a client");
    }
}

enum rc tls_engine_write(struct tls_engine *t, struct bytes plain, struct err *e)
{
    size_t done;

    ERR_clear_error();
    if (plain.n > 0 && SSL_write_ex(t->ssl, plain.p, plain.n, &done) != 1)
        return refused(e, RC_AUTH, "TLS with", "a client");
    return RC_OK;
}

size_t tls_engine_out(struct tls_engine *t, uint8_t *to, size_t room)
{
    size_t n;

    return BIO_read_ex(t->out, to, room, &n) == 1 ? n : 0;
}

bool tls_engine_ready(const struct tls_engine *t)
{
    return SSL_is_init_finished(t->ssl) == 1;
}

bool tls_engine_closed(const struct tls_engine *t)
{
    return t->closed;
}

bool tls_engine_peer(const struct tls_engine *t, char *name, size_t size)
{
    X509 *peer = SSL_get0_peer_certificate(t->ssl);
    X509_NAME *subject = peer == NULL ? NULL : X509_get_subject_name(peer);
    int at =
        subject == NULL ? -1 : X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;

    if (at < 0 || SSL_get_verify_result(t->ssl) != X509_V_OK)
        return false;

    int n = ASN1_STRING_to_UTF8(
        &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool usable = n > 0 && (size_t)n < size && memchr(text, '\0', (size_t)n) == NULL;

    if (usable) {
        memcpy(name, text, (size_t)n);
        name[n] = '\0';
    }
    OPENSSL_free(text);
    return usable;
}
