/* Simple tokens: how long they have not been used. Who holds one is the machine's to say;
 * each member forgets one for itself after five minutes without use, as etcd does. */
#ifndef RAFTSTORE_TOKENS_H
#define RAFTSTORE_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;
struct token;

enum { TOKEN_TTL_MS = 300000, TOKEN_SIZE = 48 };

struct tokens {
    struct token *items;
    uint64_t swept_at;
};

/* A new text: 16 letters, a point, the log's index. False without
 * randomness. */
bool tokens_make(struct node *n, char out[static TOKEN_SIZE]);

/* It was given out, or used. */
void tokens_touch(struct node *n, const char *token);
void tokens_tick(struct node *n);
void tokens_clear(struct tokens *t);

#endif
