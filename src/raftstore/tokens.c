#include "raftstore/tokens.h"

#include <stdio.h>

#include "raftstore/node_priv.h"
#include "util/mem.h"
#include "util/os.h"

enum { SWEEP_MS = 1000, LETTERS = 16 };

struct token {
    struct token *next;
    uint64_t used_at;
    char text[TOKEN_SIZE];
};

bool tokens_make(struct node *n, char out[static TOKEN_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint8_t random[LETTERS];
    struct err e;

    if (os_random(random, sizeof random, &e) != RC_OK)
        return false;
    for (size_t i = 0; i < LETTERS; i++)
        out[i] = letters[random[i] % (sizeof letters - 1)];
    snprintf(out + LETTERS, TOKEN_SIZE - LETTERS, ".%llu",
             (unsigned long long)node_index(n));
    return true;
}

void tokens_touch(struct node *n, const char *token)
{
    struct token *it = n->tokens.items;

    while (it != NULL && strcmp(it->text, token) != 0)
        it = it->next;
    if (it == NULL) {
        it = mem_zero(sizeof *it);
        if (it == NULL)
            return;
        snprintf(it->text, sizeof it->text, "%s", token);
        it->next = n->tokens.items;
        n->tokens.items = it;
    }
    it->used_at = uv_now(&n->loop);
}

void tokens_tick(struct node *n)
{
    uint64_t now = uv_now(&n->loop);

    if (now - n->tokens.swept_at < SWEEP_MS)
        return;
    n->tokens.swept_at = now;
    for (struct token **at = &n->tokens.items; *at != NULL;) {
        struct token *it = *at;

        if (now - it->used_at < TOKEN_TTL_MS) {
            at = &it->next;
            continue;
        }
        machine_token_drop(n->fsm.machine, it->text);
        *at = it->next;
        mem_free(it);
    }
}

void tokens_clear(struct tokens *t)
{
    while (t->items != NULL) {
        struct token *next = t->items->next;

        mem_free(t->items);
        t->items = next;
    }
}
