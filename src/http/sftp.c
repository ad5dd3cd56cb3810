#include "http/sftp.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "http/sftp_call.h"
#include "http/transfer.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

enum {
    PORT = 22,
    DIAL_TIMEOUT_MS = 15000,
    STALL_MS = 60000,
    POLL_MS = 100,
    MARK = 64 << 10, /* less than this is no progress */
    CONNECTIONS_KEPT = 4,
    UPLOAD_BUFFER = 512 << 10,
};

/* ---- the session
 * ------------------------------------------------------------------------ */

static enum rc check_file(const char *path, const char *what, const char *hint,
                          struct err *e)
{
    OWNED_FD int fd = -1;
    uint64_t size;

    if (path == NULL)
        return err_set(e, RC_USAGE, "SFTP needs a %s" HINT "%s", what, hint);
    if (os_open_regular(path, &fd, &size, e) == RC_OK)
        return RC_OK;
    e->code = RC_USAGE;
    return err_wrap(e, "cannot use the %s %s", what, path);
}

static enum rc set_up(struct sftp *s, const struct sftp_options *o, struct err *e)
{
    TRY(str_format(&s->base, e, "sftp://%s:%u", o->host, o->port == 0 ? PORT : o->port));
    TRY(str_format(&s->user, e, "%s", o->user));
    TRY(str_format(&s->identity_file, e, "%s", o->identity_file));
    TRY(str_format(&s->known_hosts, e, "%s", o->known_hosts));
    s->dial_timeout_ms = o->dial_timeout_ms == 0 ? DIAL_TIMEOUT_MS : o->dial_timeout_ms;
    s->stall_ms = o->stall_ms == 0 ? STALL_MS : o->stall_ms;
    s->multi = curl_multi_init();
    if (s->multi == NULL)
        return err_set(e, RC_NOMEM, "no memory for SFTP connections");
    curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    return RC_OK;
}

enum rc sftp_new(const struct sftp_options *o, struct sftp **out, struct err *e)
{
    OWNED(sftp) s = NULL;

    TRY(check_file(o->known_hosts, "known_hosts file",
                   "a host is trusted only when its key stands there", e));
    TRY(check_file(o->identity_file, "private key", "there is no other way to log in",
                   e));
    transfer_start_libcurl();
    TRY(mem_new(&s, sizeof *s, "SFTP", e));
    TRY(set_up(s, o, e));
    *out = GIVE(s);
    return RC_OK;
}

void sftp_free(struct sftp *s)
{
    if (s == NULL)
        return;
    curl_multi_cleanup(s->multi);
    mem_free(s->base);
    mem_free(s->user);
    mem_free(s->identity_file);
    mem_free(s->known_hosts);
    mem_free(s);
}

void sftp_limit(struct sftp *s, uint64_t total_ms)
{
    s->limit_ms = total_ms;
}

/* ---- callbacks of libcurl
 * --------------------------------------------------------------- */

static int on_host_key(CURL *easy, const struct curl_khkey *known,
                       const struct curl_khkey *shown, enum curl_khmatch match, void *arg)
{
    struct sftp_call *c = arg;

    (void)easy;
    (void)known;
    (void)shown;
    c->host_key = match;
    return match == CURLKHMATCH_OK ? CURLKHSTAT_FINE : CURLKHSTAT_REJECT;
}

static size_t hand_on(struct sftp_call *c, http_body_fn *fn, const char *p, size_t n)
{
    c->moved += n;
    if (c->rc == RC_OK && fn != NULL)
        c->rc = fn(c->arg, (struct bytes){ (const uint8_t *)p, n }, &c->err);
    return c->rc == RC_OK ? n : 0;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct sftp_call *c = arg;

    return hand_on(c, c->on_body, p, size * count);
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct sftp_call *c = arg;

    return hand_on(c, c->on_header, p, size * count);
}

static size_t on_read(char *p, size_t size, size_t count, void *arg)
{
    struct sftp_call *c = arg;
    size_t n = size * count < c->piece.n ? size * count : c->piece.n;

    if (n == 0)
        return c->ending ? 0 : CURL_READFUNC_PAUSE;
    memcpy(p, c->piece.p, n);
    c->piece = (struct bytes){ c->piece.p + n, c->piece.n - n };
    c->moved += n;
    return n;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct sftp_sockets *s = arg;
    curl_socket_t fd;

    (void)purpose;
    if (s->count == sizeof s->fd / sizeof s->fd[0])
        return CURL_SOCKET_BAD;
    fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    if (fd != CURL_SOCKET_BAD)
        s->fd[s->count++] = fd;
    return fd;
}

static int on_socket_end(void *arg, curl_socket_t fd)
{
    struct sftp_sockets *s = arg;

    for (size_t i = 0; i < s->count; i++)
        if (s->fd[i] == fd) {
            s->fd[i] = s->fd[--s->count];
            break;
        }
    return os.close(fd);
}

/* ---- one call
 * --------------------------------------------------------------------------- */

static enum rc make_url(struct sftp_call *c, struct err *e)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789/._-";
    size_t base = strlen(c->session->base), at = base;

    TRY(mem_new(&c->url, base + 3 * strlen(c->path) + 1, "a URL", e));
    memcpy(c->url, c->session->base, base);
    for (const char *p = c->path; *p != '\0'; p++)
        if (strchr(plain, *p) != NULL)
            c->url[at++] = *p;
        else
            at += (size_t)snprintf(c->url + at, 4, "%%%02X", (unsigned char)*p);
    return RC_OK;
}

static void set_trust(struct sftp_call *c)
{
    const struct sftp *s = c->session;

    SFTP_SET(c, CURLOPT_SSH_KNOWNHOSTS, s->known_hosts);
    SFTP_SET(c, CURLOPT_SSH_KEYFUNCTION, on_host_key);
    SFTP_SET(c, CURLOPT_SSH_KEYDATA, c);
    SFTP_SET(c, CURLOPT_SSH_AUTH_TYPES, (long)CURLSSH_AUTH_PUBLICKEY);
    SFTP_SET(c, CURLOPT_SSH_PRIVATE_KEYFILE, s->identity_file);
    SFTP_SET(c, CURLOPT_USERNAME, s->user);
}

static void set_sockets(struct sftp_call *c)
{
    c->sockets = c->uploading ? &c->own : &c->session->sockets;
    SFTP_SET(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    SFTP_SET(c, CURLOPT_OPENSOCKETDATA, c->sockets);
    SFTP_SET(c, CURLOPT_CLOSESOCKETFUNCTION, on_socket_end);
    SFTP_SET(c, CURLOPT_CLOSESOCKETDATA, c->sockets);
}

static enum rc refused_option(CURLcode code, struct err *e)
{
    if (code == CURLE_OUT_OF_MEMORY)
        return err_set(e, RC_NOMEM, "no memory for a transfer");
    return err_set(e, RC_INTERNAL, "libcurl refuses an option: %s",
                   curl_easy_strerror(code));
}

enum rc sftp_call_begin(struct sftp_call *c, struct err *e)
{
    c->host_key = CURLKHMATCH_LAST;
    c->multi = c->uploading ? curl_multi_init() : c->session->multi;
    c->easy = curl_easy_init();
    if (c->easy == NULL || c->multi == NULL)
        return err_set(e, RC_NOMEM, "no memory for a transfer");
    TRY(make_url(c, e));
    set_trust(c);
    set_sockets(c);
    SFTP_SET(c, CURLOPT_URL, c->url);
    SFTP_SET(c, CURLOPT_PATH_AS_IS, 1L);
    SFTP_SET(c, CURLOPT_PROTOCOLS_STR, "sftp");
    SFTP_SET(c, CURLOPT_PROXY, "");
    SFTP_SET(c, CURLOPT_NOSIGNAL, 1L);
    SFTP_SET(c, CURLOPT_TCP_KEEPALIVE, 1L);
    SFTP_SET(c, CURLOPT_CONNECTTIMEOUT_MS, (long)c->session->dial_timeout_ms);
    SFTP_SET(c, CURLOPT_WRITEFUNCTION, on_body);
    SFTP_SET(c, CURLOPT_WRITEDATA, c);
    SFTP_SET(c, CURLOPT_HEADERFUNCTION, on_header);
    SFTP_SET(c, CURLOPT_HEADERDATA, c);
    SFTP_SET(c, CURLOPT_ERRORBUFFER, c->curl_says);
    if (!c->uploading)
        return c->code == CURLE_OK ? RC_OK : refused_option(c->code, e);
    SFTP_SET(c, CURLOPT_UPLOAD, 1L);
    SFTP_SET(c, CURLOPT_READFUNCTION, on_read);
    SFTP_SET(c, CURLOPT_READDATA, c);
    SFTP_SET(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER);
    SFTP_SET(c, CURLOPT_FTP_CREATE_MISSING_DIRS, (long)CURLFTP_CREATE_DIR_RETRY);
    SFTP_SET(c, CURLOPT_NEW_FILE_PERMS, 0600L);
    SFTP_SET(c, CURLOPT_NEW_DIRECTORY_PERMS, 0700L);
    return c->code == CURLE_OK ? RC_OK : refused_option(c->code, e);
}

enum rc sftp_call_quote(struct sftp_call *c, const char *command, const char *path,
                        const char *to, struct err *e)
{
    const char *const paths[] = { path, to };
    struct curl_slist *longer;
    char line[8192];
    size_t n = (size_t)snprintf(line, sizeof line, "%s", command);

    for (int i = 0; i < 2 && paths[i] != NULL; i++) {
        if (n + 2 * strlen(paths[i]) + 4 > sizeof line)
            return err_set(e, RC_USAGE, "the path '%s' is too long", paths[i]);
        line[n++] = ' ';
        line[n++] = '"';
        for (const char *p = paths[i]; *p != '\0'; p++) {
            if (*p == '"' || *p == '\\')
                line[n++] = '\\';
            line[n++] = *p;
        }
        line[n++] = '"';
        line[n] = '\0';
    }
    longer = curl_slist_append(c->quote, line);
    if (longer == NULL)
        return err_set(e, RC_NOMEM, "no memory for a command");
    c->quote = longer;
    return RC_OK;
}

/* libcurl would close the file and say goodbye, and wait for a frozen server's answer. */
static void hang_up(const struct sftp_call *c)
{
    for (size_t i = 0; c->sockets != NULL && i < c->sockets->count; i++)
        shutdown(c->sockets->fd[i], SHUT_RDWR);
}

void sftp_call_end(struct sftp_call *c)
{
    if (!c->done)
        hang_up(c);
    if (c->easy != NULL && c->multi != NULL)
        curl_multi_remove_handle(c->multi, c->easy);
    curl_easy_cleanup(c->easy);
    if (c->uploading)
        curl_multi_cleanup(c->multi);
    curl_slist_free_all(c->quote);
    mem_free(c->url);
}

/* ---- driving
 * ---------------------------------------------------------------------------- */

static enum rc late(struct sftp_call *c, const char *what, uint64_t ms)
{
    return c->rc = err_set(&c->err, RC_NET, "%s %llu ms", what, (unsigned long long)ms);
}

static enum rc check_limits(struct sftp_call *c)
{
    const struct sftp *s = c->session;
    uint64_t now = clock_ms();

    if (c->rc != RC_OK)
        return c->rc;
    if (stop_check(&c->err) != RC_OK)
        return c->rc = RC_INTERRUPTED;
    if (c->moved - c->marked >= MARK) {
        c->marked = c->moved;
        c->marked_ms = now;
    }
    if (!c->bulk && s->limit_ms != 0 && now - c->started_ms >= s->limit_ms)
        return late(c, "no complete answer within", s->limit_ms);
    if (now - c->marked_ms >= s->stall_ms)
        return late(c, "hardly anything moved for", now - c->marked_ms);
    return RC_OK;
}

static void collect_end(struct sftp_call *c)
{
    const CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(c->multi, &left)) != NULL)
        if (m->msg == CURLMSG_DONE && m->easy_handle == c->easy) {
            c->done = true;
            c->code = m->data.result;
        }
}

static bool is_satisfied(const struct sftp_call *c)
{
    return c->done || (c->uploading && !c->ending && c->piece.n == 0);
}

/* The server names a failure by a few words only. */
static enum rc code_of_words(const char *said)
{
    static const struct {
        const char *words;
        enum rc rc;
    } table[] = {
        { "No such file", RC_NOTFOUND },
        { "not found", RC_NOTFOUND },
        { "Permission denied", RC_AUTH },
        { "already exists", RC_REFUSED },
        /* What libcurl makes of a connection that is no more. */
        { "Unknown error", RC_NET },
        { "SSH server", RC_NET },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strstr(said, table[i].words) != NULL)
            return table[i].rc;
    return RC_STORAGE;
}

static enum rc untrusted(const struct sftp_call *c, struct err *e)
{
    const struct sftp *s = c->session;

    if (c->host_key == CURLKHMATCH_MISMATCH)
        return err_set(e, RC_AUTH,
                       "the host key of %s is not the one in '%s': this may be another "
                       "machine in its place" HINT
                       "find out whether its key was changed before you replace the line",
                       s->base, s->known_hosts);
    return err_set(e, RC_AUTH,
                   "the host key of %s is not in '%s'" HINT
                   "add the line that ssh-keyscan prints for it, once its fingerprint is "
                   "the one its owner tells you",
                   s->base, s->known_hosts);
}

static enum rc failure(struct sftp_call *c, struct err *e)
{
    const char *text =
        c->curl_says[0] == '\0' ? curl_easy_strerror(c->code) : c->curl_says;
    char said[CURL_ERROR_SIZE];

    str_printable(said, sizeof said, bytes_str(text));
    switch ((int)c->code) {
    case CURLE_OUT_OF_MEMORY:
        return err_set(e, RC_NOMEM, "no memory for a transfer");
    case CURLE_PEER_FAILED_VERIFICATION:
        return untrusted(c, e);
    case CURLE_LOGIN_DENIED:
        return err_set(e, RC_AUTH,
                       "%s does not let '%s' in with the key '%s'" HINT
                       "its public half must be in the user's authorized_keys there, and "
                       "it must have no passphrase",
                       c->session->base, c->session->user, c->session->identity_file);
    case CURLE_REMOTE_DISK_FULL:
        return err_set(e, RC_STORAGE, "the disk is full at '%s'", c->path);
    case CURLE_REMOTE_FILE_NOT_FOUND: /* whatever kept it from being opened */
    case CURLE_REMOTE_ACCESS_DENIED:
    case CURLE_QUOTE_ERROR:
    case CURLE_UPLOAD_FAILED:
        return err_set(e, code_of_words(said), "'%s': %s", c->path, said);
    default:
        return err_set(e, RC_NET, "%s: %s", c->session->base, said);
    }
}

enum rc sftp_call_drive(struct sftp_call *c, struct err *e)
{
    int running;

    c->marked_ms = clock_ms();
    while (c->rc == RC_OK && !is_satisfied(c)) {
        if (curl_multi_perform(c->multi, &running) != CURLM_OK)
            return err_set(e, RC_NOMEM, "no memory for a transfer");
        collect_end(c);
        if (is_satisfied(c) || check_limits(c) != RC_OK)
            break;
        curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL);
    }
    if (c->rc != RC_OK) {
        *e = c->err;
        return c->rc;
    }
    return c->code == CURLE_OK && c->curl_says[0] == '\0' ? RC_OK : failure(c, e);
}

enum rc sftp_call_start(struct sftp_call *c, struct err *e)
{
    if (c->quote != NULL)
        SFTP_SET(c, CURLOPT_QUOTE, c->quote);
    if (c->code != CURLE_OK)
        return refused_option(c->code, e);
    c->started_ms = clock_ms();
    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
        return err_set(e, RC_NOMEM, "no memory for a transfer");
    return RC_OK;
}

/* On a connection that is gone libcurl 7.88 tells what the server said last, perhaps to
 * another call, or calls it a success but for the words it leaves behind. Only what is
 * said on a fresh connection counts. */
static bool is_doubtful(const struct sftp_call *c)
{
    long connections = 1;

    if (c->rc != RC_OK ||
        curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connections) != CURLE_OK ||
        connections > 0)
        return false;
    return c->code == CURLE_REMOTE_FILE_NOT_FOUND ||
           c->code == CURLE_REMOTE_ACCESS_DENIED || c->code == CURLE_QUOTE_ERROR ||
           (c->code == CURLE_OK && c->curl_says[0] != '\0');
}

enum rc sftp_call_run(struct sftp_call *c, struct err *e)
{
    struct err doubtful = { 0 };
    enum rc rc;

    TRY(sftp_call_start(c, e));
    rc = sftp_call_drive(c, &doubtful);
    if (rc == RC_OK)
        return RC_OK;
    *e = doubtful;
    if (!is_doubtful(c))
        return rc;
    curl_multi_remove_handle(c->multi, c->easy);
    c->done = false;
    c->code = CURLE_OK;
    c->curl_says[0] = '\0';
    SFTP_SET(c, CURLOPT_FRESH_CONNECT, 1L);
    TRY(sftp_call_start(c, e));
    return sftp_call_drive(c, e);
}
