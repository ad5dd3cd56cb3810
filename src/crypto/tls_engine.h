/* The server's side of TLS between two byte streams, without a socket: ciphertext goes in
 * and comes out of memory, so that any event loop can carry it.
 *
 *     tls_engine_feed   ciphertext that came from the network
 *     tls_engine_read   plaintext, until it says 0; drives the handshake, too
 *     tls_engine_write  plaintext to send, once tls_engine_ready
 *     tls_engine_out    ciphertext for the network, after any of the others
 *
 * TLS 1.2 and later; ALPN chooses "h2", then "http/1.1". */
#ifndef CRYPTO_TLS_ENGINE_H
#define CRYPTO_TLS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/own.h"

struct tls_server;
struct tls_engine;

struct tls_files {
    const char *cert, *key; /* PEM; the certificate may be followed by its chain */
    const char
        *client_ca; /* PEM; clients must prove themselves to it. NULL: none asked */
};

/* RC_USAGE when a file cannot be read or key and certificate do not fit. */
enum rc tls_server_new(const struct tls_files *files, struct tls_server **out,
                       struct err *e);
void tls_server_free(struct tls_server *s); /* NULL is fine; engines may live on */
OWN_DEFINE(tls_server)

enum rc tls_engine_new(const struct tls_server *s, struct tls_engine **out,
                       struct err *e);
void tls_engine_free(struct tls_engine *t); /* NULL is fine */
OWN_DEFINE(tls_engine)

/* After a failure (RC_AUTH: the peer or what it sent is refused; RC_NOMEM) only
 * tls_engine_out, which may hold an alert for the peer, and tls_engine_free. */
enum rc tls_engine_feed(struct tls_engine *t, struct bytes cipher, struct err *e);
enum rc tls_engine_read(struct tls_engine *t, uint8_t *to, size_t room, size_t *got,
                        struct err *e);
enum rc tls_engine_write(struct tls_engine *t, struct bytes plain, struct err *e);

/* Takes up to `room` bytes of ciphertext; how many. */
size_t tls_engine_out(struct tls_engine *t, uint8_t *to, size_t room);

bool tls_engine_ready(const struct tls_engine *t);  /* the handshake is done */
bool tls_engine_closed(const struct tls_engine *t); /* the peer said goodbye */

/* The common name of the client's verified certificate; false when there is none, or it
 * holds bytes that no name may hold. Cut never: a longer name is none. */
bool tls_engine_peer(const struct tls_engine *t, char *name, size_t size);

#endif
