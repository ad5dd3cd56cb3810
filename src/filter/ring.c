#include "filter/ring.h"

void ring_init(struct ring *r, size_t slots)
{
    *r = (struct ring){ .slots = slots };
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->moved, NULL);
}

void ring_clear(struct ring *r)
{
    pthread_cond_destroy(&r->moved);
    pthread_mutex_destroy(&r->lock);
}

bool ring_wait_free(struct ring *r, size_t *slot)
{
    bool open;

    pthread_mutex_lock(&r->lock);
    while (r->state == RING_OPEN && r->used == r->slots)
        pthread_cond_wait(&r->moved, &r->lock);
    open = r->state == RING_OPEN;
    *slot = (r->first + r->used) % r->slots;
    pthread_mutex_unlock(&r->lock);
    return open;
}

void ring_push(struct ring *r)
{
    pthread_mutex_lock(&r->lock);
    r->used++;
    pthread_cond_signal(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

bool ring_wait_full(struct ring *r, size_t *slot)
{
    bool there;

    pthread_mutex_lock(&r->lock);
    while (r->state == RING_OPEN && r->used == 0)
        pthread_cond_wait(&r->moved, &r->lock);
    there = r->state != RING_DROPPED && r->used > 0;
    *slot = r->first;
    pthread_mutex_unlock(&r->lock);
    return there;
}

void ring_pop(struct ring *r)
{
    pthread_mutex_lock(&r->lock);
    r->first = (r->first + 1) % r->slots;
    r->used--;
    pthread_cond_signal(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

void ring_end(struct ring *r, enum ring_state how)
{
    pthread_mutex_lock(&r->lock);
    if (r->state != RING_DROPPED)
        r->state = how;
    pthread_cond_signal(&r->moved);
    pthread_mutex_unlock(&r->lock);
}

bool ring_is_dropped(struct ring *r)
{
    bool dropped;

    pthread_mutex_lock(&r->lock);
    dropped = r->state == RING_DROPPED;
    pthread_mutex_unlock(&r->lock);
    return dropped;
}
