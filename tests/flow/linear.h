/* Is a history of concurrent calls on registers linearizable: is there an order of them,
 * none before it was called or after it had returned, in which one register after the
 * other would have answered just so?
 *
 * The search is Wing's and Gong's, with Lowe's memory of states already tried. Keys are
 * independent, so each is judged alone. A call whose outcome nobody knows may have been
 * made at any time after it was called, or never. */
#ifndef TESTS_FLOW_LINEAR_H
#define TESTS_FLOW_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linear_kind { LINEAR_READ, LINEAR_WRITE, LINEAR_SWAP };

#define LINEAR_UNKNOWN UINT64_MAX /* as `returned` */

struct linear_op {
    enum linear_kind kind;
    unsigned key;
    int64_t value;    /* read or written; registers begin with 0 */
    int64_t expected; /* of a swap: written only when the register holds this */
    bool swapped;     /* and it was */
    uint64_t called, returned;
};

/* RC-free: true, or false with *stuck the call at which the longest order that was found
 * ends. The order of `ops` does not matter. */
bool linear_check(const struct linear_op *ops, size_t n, unsigned key, size_t *stuck);

#endif
