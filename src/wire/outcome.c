#include "wire/outcome.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util/str.h"

/* clang-format off */
#define GO_ON  .elsewhere = true
#define NO_EFFECT .elsewhere = true, .unapplied = true

/* The first text that the message contains decides. */
static const struct {
    const char *text;
    struct verdict verdict;
} texts[] = {
    { "user name is empty",
      { WIRE_NO_LOGIN, RC_AUTH, .hint = "authentication is on: log in with --user" } },
    { "invalid auth token",
      { WIRE_TOKEN_LOST, RC_AUTH, .hint = "the login expired: run it again" } },
    { "revision of auth store is old",
      { WIRE_TOKEN_LOST, RC_AUTH, .hint = "users or roles changed meanwhile: run it again" } },
    { "revision in header is old",
      { WIRE_TOKEN_LOST, RC_AUTH, .hint = "users or roles changed meanwhile: run it again" } },
    { "invalid user ID or password",
      { WIRE_LOGIN_FAILED, RC_AUTH, .hint = "check the user name and the password" } },
    { "permission denied", { WIRE_PERMISSION, RC_AUTH, .hint = "log in as another user" } },
    { "authentication is not enabled", { WIRE_AUTH_OFF, RC_REFUSED, .hint = "" } },
    { "no leader",
      { WIRE_NO_LEADER, RC_NET, NO_EFFECT,
        .hint = "a majority of the members must be up and reach each other" } },
    { "leader changed", { WIRE_UNAVAILABLE, RC_NET, GO_ON, .hint = "try again" } },
    { "request timed out",
      { WIRE_TIMEOUT, RC_NET, GO_ON,
        .hint = "the member has no quorum, or its disk or network is too slow" } },
    { "unhealthy cluster",
      { WIRE_UNHEALTHY, RC_REFUSED,
        .hint = "etcd refuses membership changes until all members have been connected "
                "for 5 seconds" } },
    { "server stopped", { WIRE_UNAVAILABLE, RC_NET, GO_ON, .hint = "ask another member" } },
    { "not leader", { WIRE_NOT_LEADER, RC_REFUSED, .hint = "send it to the leader" } },
    { "rpc not supported for learner",
      { WIRE_LEARNER, RC_REFUSED, NO_EFFECT, .hint = "ask a voting member" } },
    { "required revision has been compacted",
      { WIRE_COMPACTED, RC_NOTFOUND, .hint = "ask for a newer revision" } },
    { "required revision is a future revision",
      { WIRE_FUTURE_REVISION, RC_NOTFOUND, GO_ON,
        .hint = "the member is behind, or the revision does not exist yet" } },
    { "database space exceeded",
      { WIRE_NO_SPACE, RC_STORAGE,
        .hint = "compact, defragment, then disarm the NOSPACE alarm" } },
    { "too many requests",
      { WIRE_BUSY, RC_NET, NO_EFFECT, .hint = "the cluster is overloaded: try later" } },
    { "corrupt cluster",
      { WIRE_CORRUPT_ALARM, RC_CORRUPT,
        .hint = "a CORRUPT alarm is set: find the damaged member by its hash" } },
    { "not found", { WIRE_NOT_FOUND, RC_NOTFOUND, .hint = "" } },
    { "already exist", { WIRE_EXISTS, RC_REFUSED, .hint = "" } },
    { "role is not granted to the user", { WIRE_NOT_FOUND, RC_NOTFOUND, .hint = "" } },
    { "permission is not granted to the role",
      { WIRE_NOT_FOUND, RC_NOTFOUND, .hint = "" } },
};

/* By code, for texts that nobody foresaw. */
static const struct {
    const char *name;
    struct verdict verdict;
} codes[] = {
    { "OK",                 { WIRE_FINE, RC_OK, .hint = "" } },
    { "Canceled",           { WIRE_OTHER, RC_NET, GO_ON, .hint = "" } },
    { "Unknown",            { WIRE_OTHER, RC_NET, GO_ON, .hint = "see the member's log" } },
    { "InvalidArgument",    { WIRE_OTHER, RC_USAGE, .hint = "" } },
    { "DeadlineExceeded",   { WIRE_TIMEOUT, RC_NET, GO_ON,
                              .hint = "the member has no quorum, or is too slow" } },
    { "NotFound",           { WIRE_NOT_FOUND, RC_NOTFOUND, .hint = "" } },
    { "AlreadyExists",      { WIRE_EXISTS, RC_REFUSED, .hint = "" } },
    { "PermissionDenied",   { WIRE_PERMISSION, RC_AUTH, .hint = "log in as another user" } },
    { "ResourceExhausted",  { WIRE_BUSY, RC_NET, GO_ON, .hint = "try later" } },
    { "FailedPrecondition", { WIRE_OTHER, RC_REFUSED, .hint = "" } },
    { "Aborted",            { WIRE_OTHER, RC_NET, GO_ON, .hint = "try again" } },
    { "OutOfRange",         { WIRE_OTHER, RC_USAGE, .hint = "" } },
    { "Unimplemented",      { WIRE_UNIMPLEMENTED, RC_REFUSED,
                              .hint = "this etcd version has no such call" } },
    { "Internal",           { WIRE_OTHER, RC_NET, GO_ON, .hint = "see the member's log" } },
    { "Unavailable",        { WIRE_UNAVAILABLE, RC_NET, GO_ON, .hint = "try again" } },
    { "DataLoss",           { WIRE_OTHER, RC_CORRUPT, .hint = "see the member's log" } },
    { "Unauthenticated",    { WIRE_TOKEN_LOST, RC_AUTH, .hint = "log in with --user" } },
};
/* clang-format on */

enum { CODES = sizeof codes / sizeof codes[0] };

const struct verdict *outcome_judge(int grpc_code, const char *message)
{
    static const struct verdict odd = { WIRE_OTHER, RC_NET, .hint = "" };

    if (grpc_code == 0)
        return &codes[0].verdict;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strstr(message, texts[i].text) != NULL)
            return &texts[i].verdict;
    return grpc_code > 0 && grpc_code < CODES ? &codes[grpc_code].verdict : &odd;
}

const char *outcome_code_name(int grpc_code, char scratch[static 16])
{
    if (grpc_code >= 0 && grpc_code < CODES)
        return codes[grpc_code].name;
    snprintf(scratch, 16, "code %d", grpc_code % 100000);
    return scratch;
}

void outcome_decode(struct bytes in, char *out, size_t n)
{
    uint8_t plain[512];
    size_t used = 0;

    for (size_t i = 0; i < in.n && used < sizeof plain; i++) {
        char hex[3] = { 0 };

        if (in.p[i] == '%' && i + 2 < in.n) {
            hex[0] = (char)in.p[i + 1];
            hex[1] = (char)in.p[i + 2];
        }
        if (str_unhex(hex, &plain[used], 1))
            i += 2;
        else
            plain[used] = in.p[i];
        used++;
    }
    str_printable(out, n, (struct bytes){ plain, used });
}
