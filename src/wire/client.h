/* Inside of the client; shared by the files of this folder. */
#ifndef WIRE_CLIENT_H
#define WIRE_CLIENT_H

#include "http/http.h"
#include "wire/wire.h"

struct endpoint {
    char *url;
    uint64_t member_id; /* as which it answered a call about one member; 0: never */
    bool known;         /* it has shown that it belongs to the cluster */
};

struct wire_client {
    struct http *http;
    struct endpoint *endpoints;
    size_t count;
    size_t *order; /* indexes of endpoints, the most promising first */

    char *user, *token;
    wire_password_fn *password;
    void *password_arg;
    bool auth_off; /* the cluster said that no login is needed */

    uint64_t cluster_id;
    uint64_t command_timeout_ms, stall_timeout_ms;
    struct wire_outcome last;
    enum http_end end; /* of the last exchange, as the transport saw it */
};

/* Fetches a new token; RC_OK without one when the cluster does not ask for logins. */
enum rc wire_login(struct wire_client *c, struct err *e);
void wire_token_drop(struct wire_client *c);

/* RC_REFUSED when the header comes from another cluster, or (one_member) from another
 * member than this endpoint was before. */
enum rc wire_identity_check(struct wire_client *c, size_t endpoint, bool one_member,
                            const struct wire_header *h, struct err *e);

#endif
