/* Random requests on the key space: every option, good and bad, over few enough keys that
 * they meet. */
#ifndef TESTS_FLOW_REQUESTS_H
#define TESTS_FLOW_REQUESTS_H

#include "codec/message.h"
#include "tests/flow/history.h"

enum { REQUESTS_POOL = 400, REQUESTS_LEASES = 3 };

/* What one request is built of, and what it depends on. Large: keep it static. */
struct requests {
    struct history_random random;
    int64_t head;  /* the store's revision; kept up to date by the caller */
    bool upright;  /* no range ends before it begins */
    unsigned keys; /* that many besides the nine that ranges are about */
    Etcdrpc__RangeRequest ranges[REQUESTS_POOL];
    Etcdrpc__PutRequest puts[REQUESTS_POOL];
    Etcdrpc__DeleteRangeRequest deletes[REQUESTS_POOL];
    Etcdrpc__TxnRequest txns[REQUESTS_POOL];
    Etcdrpc__Compare compares[REQUESTS_POOL], *compare_list[REQUESTS_POOL];
    Etcdrpc__RequestOp ops[REQUESTS_POOL], *op_list[REQUESTS_POOL];
    char names[4 * REQUESTS_POOL][8];
    unsigned range_n, put_n, delete_n, txn_n, compare_n, op_n, listed, name_n;
};

/* Forgets the last request; the next one may be made. */
void requests_begin(struct requests *p);

Etcdrpc__RangeRequest *requests_range(struct requests *p);
Etcdrpc__PutRequest *requests_put(struct requests *p);
Etcdrpc__DeleteRangeRequest *requests_delete(struct requests *p);
Etcdrpc__TxnRequest *requests_txn(struct requests *p, unsigned depth); /* of nesting */

#endif
