#include "cli/streaming.h"

#include <string.h>

/* --from as a rule, or as the spelling of an endpoint that the client uses. */
static void choose_from(const struct wire_client *w, const char *from,
                        struct snap_save_options *o)
{
    if (from == NULL)
        return;
    if (strcmp(from, "leader") == 0 || strcmp(from, "follower") == 0) {
        o->from = *from == 'l' ? SNAP_FROM_LEADER : SNAP_FROM_FOLLOWER;
        return;
    }
    o->from = SNAP_FROM_ENDPOINT;
    o->from_endpoint = from;
    for (size_t i = 0; i < wire_endpoint_count(w); i++) {
        const char *url = wire_endpoint(w, i), *host = strstr(url, "://");

        if (host != NULL && strcmp(host + 3, from) == 0)
            o->from_endpoint = url;
    }
}

void cli_stream(const struct wire_client *w, const struct stream_args *a,
                struct snap_save_options *o)
{
    choose_from(w, a->from, o);
    o->rate_auto = a->rate.automatic;
    o->rate = a->rate.value;
}
