/* What a gRPC status means here. etcd's codes are not enough: 3.4 and 3.5 report a
 * missing permission for a snapshot as Unknown, so the text decides first. */
#ifndef WIRE_OUTCOME_H
#define WIRE_OUTCOME_H

#include "wire/wire.h"

struct verdict {
    enum wire_detail detail;
    enum rc rc;
    bool elsewhere; /* another endpoint may do better with a read */
    bool unapplied; /* certain: the call had no effect, so that even a write may go on */
    const char *hint;
};

const struct verdict *outcome_judge(int grpc_code, const char *message);

/* "PermissionDenied"; "code 99" for what gRPC does not define. */
const char *outcome_code_name(int grpc_code, char scratch[static 16]);

/* Undoes percent-encoding and makes the text safe to print. */
void outcome_decode(struct bytes grpc_message, char *out, size_t n);

#endif
