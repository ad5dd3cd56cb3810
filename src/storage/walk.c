#include "storage/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/driver.h"
#include "util/mem.h"
#include "util/stop.h"

enum { KEY_SIZE = 513, ENTRIES_MAX = 1 << 20 };

static enum rc make_room(struct walk_entries *l, struct err *e)
{
    size_t cap = l->cap == 0 ? 64 : l->cap * 2;
    struct walk_entry *items;

    if (l->count < l->cap)
        return RC_OK;
    if (l->count >= ENTRIES_MAX)
        return err_set(e, RC_CORRUPT, "a directory has more than %d entries",
                       ENTRIES_MAX);
    items = mem_resize(l->items, cap, sizeof *items);
    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list of %zu entries", cap);
    l->items = items;
    l->cap = cap;
    return RC_OK;
}

enum rc walk_add(struct walk_entries *l, const struct walk_entry *entry, struct err *e)
{
    struct walk_entry copy = *entry;

    if (strchr(entry->name, '/') != NULL || !store_is_key(entry->name))
        return RC_OK;
    TRY(make_room(l, e));
    copy.name = mem_str(entry->name);
    if (copy.name == NULL)
        return err_set(e, RC_NOMEM, "no memory for a name");
    l->items[l->count++] = copy;
    return RC_OK;
}

void walk_entries_clear(struct walk_entries *l)
{
    for (size_t i = 0; i < l->count; i++)
        mem_free(l->items[i].name);
    mem_free(l->items);
    *l = (struct walk_entries){ 0 };
}

/* What stands at place n of a name in a key: a directory's goes on with '/'. */
static int at(const struct walk_entry *x, size_t n)
{
    return x->name[n] == '\0' && x->directory ? '/' : x->name[n];
}

static int compare(const void *a, const void *b)
{
    const struct walk_entry *x = a, *y = b;
    size_t n = 0;

    while (x->name[n] != '\0' && x->name[n] == y->name[n])
        n++;
    return at(x, n) - at(y, n);
}

static enum rc visit(const struct walk *w, char *key, size_t n, struct err *e);

static enum rc visit_entry(const struct walk *w, char *key, size_t n,
                           const struct walk_entry *x, struct err *e)
{
    const size_t length = strlen(x->name);
    const struct store_info info = { key, x->size, x->modified_ms, 0 };

    /* One more for the '/', although a file could do without. */
    if (n + length + 1 >= KEY_SIZE)
        return RC_OK;
    memcpy(key + n, x->name, length + 1);
    if (!x->directory)
        return w->file == NULL ? RC_OK : w->file(w->arg, &info, e);
    memcpy(key + n + length, "/", 2);
    return visit(w, key, n + length + 1, e);
}

/* The depth is bounded by the length of a key. */
static enum rc visit(const struct walk *w, char *key, size_t n, struct err *e)
{
    AT_END(walk_entries_clear) struct walk_entries entries = { 0 };
    struct err missing = { 0 };
    enum rc rc;

    TRY(stop_check(e));
    rc = w->list(w->place, key, &entries, &missing);
    if (rc == RC_NOTFOUND)
        return RC_OK;
    if (rc != RC_OK) {
        *e = missing;
        return rc;
    }
    if (entries.count > 1)
        qsort(entries.items, entries.count, sizeof *entries.items, compare);
    for (size_t i = 0; i < entries.count; i++)
        TRY(visit_entry(w, key, n, &entries.items[i], e));
    key[n] = '\0';
    return w->leave == NULL ? RC_OK : w->leave(w->arg, key, e);
}

enum rc walk_below(const struct walk *w, const char *prefix, struct err *e)
{
    char key[KEY_SIZE];

    snprintf(key, sizeof key, "%s", prefix);
    return visit(w, key, strlen(key), e);
}
