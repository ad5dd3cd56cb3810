#include <stdio.h>
#include <string.h>

#include "http/transfer.h"
#include "util/str.h"

/* What went wrong with TLS, by a piece of OpenSSL's or libcurl's text; the texts are
 * the only place where both tell a missing client certificate from an unknown CA. */
struct reason {
    const char *text;
    enum http_end end;
    enum rc rc;
    const char *why, *hint;
};

static const struct reason reasons[] = {
    { "unable to get local issuer certificate", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate comes from a CA that is not trusted here",
      "give the cluster's CA certificate with --cacert" },
    { "unable to get issuer certificate", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate comes from a CA that is not trusted here",
      "give the cluster's CA certificate with --cacert" },
    { "self-signed certificate", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate comes from a CA that is not trusted here",
      "give the cluster's CA certificate with --cacert" },
    { "certificate signature failure", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate was not signed by the CA given",
      "give the cluster's own CA certificate with --cacert; another CA may have the "
      "same name" },
    { "certificate has expired", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate, or that of its CA, has expired",
      "renew the member's certificate, and check this machine's clock" },
    { "certificate is not yet valid", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate is not valid yet",
      "check this machine's clock, and the certificate's start date" },
    { "certificate revoked", HTTP_UNTRUST, RC_AUTH, "the server's certificate is revoked",
      "give the member a new certificate" },
    { "no alternative certificate subject name", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate is for another host name",
      "use a name or address that the certificate lists, or give the expected one as "
      "server name" },
    { "does not match target host name", HTTP_UNTRUST, RC_AUTH,
      "the server's certificate is for another host name",
      "use a name or address that the certificate lists, or give the expected one as "
      "server name" },
    { "alert certificate required", HTTP_UNTRUST, RC_AUTH,
      "the server requires a client certificate", "give one with --cert and --key" },
    { "alert bad certificate", HTTP_UNTRUST, RC_AUTH,
      "the server refuses the client certificate, or requires one",
      "give one that the cluster's client CA signed, with --cert and --key" },
    { "alert handshake failure", HTTP_UNTRUST, RC_AUTH,
      "the server refuses the TLS handshake; it may require a client certificate",
      "give one with --cert and --key" },
    { "alert unknown ca", HTTP_UNTRUST, RC_AUTH,
      "the server does not know the CA of the client certificate",
      "give one that the cluster's client CA signed, with --cert and --key" },
    { "alert certificate expired", HTTP_UNTRUST, RC_AUTH,
      "the client certificate has expired", "renew it" },
    { "alert certificate unknown", HTTP_UNTRUST, RC_AUTH,
      "the server does not accept the client certificate",
      "give one that the cluster's client CA signed, with --cert and --key" },
    { "alert", HTTP_UNTRUST, RC_AUTH, "the server ended the TLS connection", "" },
    { "wrong version number", HTTP_UNTRUST, RC_NET, "the server does not speak TLS",
      "use http:// if the cluster runs without TLS" },
    { "unable to set private key file", HTTP_UNSENT, RC_USAGE,
      "the client key is no usable key, or belongs to another certificate",
      "it must be PEM, without a passphrase, and the one the certificate was made for" },
};

static const struct reason *find_reason(const char *text)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strstr(text, reasons[i].text) != NULL)
            return &reasons[i];
    return NULL;
}

static bool has_begun(const struct transfer *t)
{
    curl_off_t us = 0;

    return curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &us) == CURLE_OK &&
           us > 0;
}

static bool is_hang_up(CURLcode code)
{
    return code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_HTTP2;
}

/* With TLS 1.3 the server judges a client's certificate after the handshake, and its
 * verdict comes as a failure to read or write. */
static bool is_about_tls(const struct transfer *t, CURLcode code, const char *said)
{
    switch ((int)code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
        return true;
    default:
        return is_hang_up(code) && strncmp(t->q->url, "https:", 6) == 0 &&
               find_reason(said) != NULL;
    }
}

static enum rc tls_failure(struct transfer *t, CURLcode code, const char *said,
                           struct err *e)
{
    const struct reason *r = find_reason(said);

    if (r == NULL && code == CURLE_SSL_CONNECT_ERROR) {
        t->told.end = HTTP_UNSENT;
        return err_set(e, RC_NET,
                       "the TLS handshake failed: %s" HINT
                       "use http:// if the cluster runs without TLS",
                       said);
    }
    if (code == CURLE_SSL_CACERT_BADFILE ||
        (r == NULL && code == CURLE_SSL_CERTPROBLEM)) {
        t->told.end = HTTP_UNSENT;
        return err_set(e, RC_USAGE,
                       "a certificate or key file is not usable: %s" HINT
                       "the files must be PEM, the key without a passphrase",
                       said);
    }
    if (r == NULL) {
        t->told.end = HTTP_UNTRUST;
        return err_set(e, RC_AUTH, "the server's certificate is refused: %s", said);
    }
    t->told.end = r->end;
    return err_set(e, r->rc, "%s (%s)" HINT "%s", r->why, said, r->hint);
}

/* A server that refuses a client's certificate under TLS 1.3 says so after the
 * handshake, and when our first bytes cross its word the kernel drops that word. */
#define NO_ALERT                                                                     \
    "it probably does not accept the client certificate, or requires one: give one " \
    "that the cluster's client CA signed, with --cert and --key"

static enum rc unsent(struct transfer *t, CURLcode code, const char *said, struct err *e)
{
    bool tls = strncmp(t->q->url, "https:", 6) == 0;
    long cause = 0;

    t->told.end = HTTP_UNSENT;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(e, RC_NET, "no connection within %llu ms",
                       (unsigned long long)t->http->dial_timeout_ms);
    if (code == CURLE_COULDNT_RESOLVE_HOST)
        return err_set(e, RC_NET, "the host name is unknown: %s", said);
    if (tls && is_hang_up(code)) {
        t->told.end = HTTP_UNTRUST;
        return err_set(e, RC_AUTH,
                       "the server hung up right after the TLS handshake (%s)" HINT "%s",
                       said, NO_ALERT);
    }
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &cause);
    if (code == CURLE_COULDNT_CONNECT && cause != 0)
        return err_set(e, RC_NET, "cannot connect: %s", strerrordesc_np((int)cause));
    return err_set(e, RC_NET, "%s", said);
}

static enum rc broken(struct transfer *t, const char *said, struct err *e)
{
    bool tls = strncmp(t->q->url, "https:", 6) == 0;

    t->told.end = HTTP_BROKEN;
    if (t->told.status != 0)
        return err_set(e, RC_NET, "the connection broke: %s", said);
    return err_set(e, RC_NET, "the connection broke: %s" HINT "%s", said,
                   tls ? "the server sent no answer at all: if that repeats, " NO_ALERT
                       : "the server sent no answer at all: use https:// if it expects "
                         "TLS");
}

/* Our own failure is the cause; libcurl's is only what followed from it. */
static enum rc own_failure(struct transfer *t, struct err *e)
{
    *e = t->err;
    if (!t->stuck)
        t->told.end = HTTP_ABORTED;
    else if (!has_begun(t))
        t->told.end = HTTP_UNSENT;
    return t->rc;
}

enum rc transfer_failure(struct transfer *t, CURLcode code, struct err *e)
{
    const char *text = t->curl_says[0] == '\0' ? curl_easy_strerror(code) : t->curl_says;
    char said[CURL_ERROR_SIZE];

    if (t->rc != RC_OK)
        return own_failure(t, e);
    str_printable(said, sizeof said, bytes_str(text));
    if (code == CURLE_OUT_OF_MEMORY)
        return err_set(e, RC_NOMEM, "no memory for a request");
    if (code == CURLE_URL_MALFORMAT)
        return err_set(e, RC_USAGE, "%s is no valid URL", t->q->url);
    if (is_about_tls(t, code, said))
        return tls_failure(t, code, said, e);
    return has_begun(t) ? broken(t, said, e) : unsent(t, code, said, e);
}
