#include "snapshot/index.h"

#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

#define AT_TOMBSTONE (UINT64_C(1) << 63)
#define AT_ODD (UINT64_C(1) << 62)  /* the user key is not where etcd puts it */
#define AT_SAME (UINT64_C(1) << 61) /* of the same user key as the entry before */
#define AT_FLAGS (AT_TOMBSTONE | AT_ODD | AT_SAME)

/* The lowest byte of a word: 0 to 7 bytes of the key are left and all are in the word;
 * more are left; or the key is the same all along and the word holds the order. */
enum { WORD_BYTES = 7, WORD_MORE = 8, WORD_ORDER = 9 };

enum { SMALL = 16, AHEAD = 8, STOP_LOOK = 1 << 16 };

_Static_assert(sizeof(struct snap_index_entry) == 24, "one for each of millions");

void snap_index_clear(struct snap_index *ix)
{
    mem_free(ix->items);
    *ix = (struct snap_index){ 0 };
}

/* ---- entries ---------------------------------------------------------------------- */

static const uint8_t *place(const struct snap_index *ix,
                            const struct snap_index_entry *entry)
{
    return bolt_file_bytes(ix->file).p + (entry->at & ~AT_FLAGS);
}

/* The first field, written as etcd writes it, of at most 16383 bytes; nothing when it is
 * not. Half the time of a whole mvcc_kv_read, and it reads no further than the key. */
static struct bytes first_field(struct bytes value)
{
    size_t n, at = 2;

    if (value.n < 3 || value.p[0] != (1 << 3 | 2))
        return (struct bytes){ value.p, 0 };
    n = value.p[1];
    if (n >= 0x80) {
        n = (n & 0x7f) | (size_t)value.p[2] << 7;
        at = 3;
    }
    if (n >> 14 != 0 || n > value.n - at)
        return (struct bytes){ value.p, 0 };
    return (struct bytes){ value.p + at, n };
}

static struct bytes entry_key(const struct snap_index *ix,
                              const struct snap_index_entry *entry)
{
    struct bytes value = { place(ix, entry), entry->size };
    struct mvcc_kv kv = { 0 };
    struct err ignored;

    if ((entry->at & AT_ODD) == 0)
        return first_field(value);
    if (mvcc_kv_read(value, &kv, &ignored) != RC_OK)
        return (struct bytes){ value.p, 0 };
    return kv.key;
}

/* Places are 32 bits wide, which bytes_max is far below. */
static size_t most(const struct snap_index *ix)
{
    size_t bytes = ix->bytes_max == 0 ? SNAP_INDEX_BYTES : ix->bytes_max;

    return bytes / sizeof *ix->items;
}

static enum rc grow(struct snap_index *ix, struct err *e)
{
    size_t room = ix->room == 0 ? 1024 : ix->room * 2;
    void *items;

    if (ix->count >= most(ix))
        return err_set(e, RC_NOMEM,
                       "more than %zu records to put in order" HINT
                       "ask for a part of them with a prefix",
                       ix->count);
    room = room < most(ix) ? room : most(ix);
    items = mem_resize(ix->items, room, sizeof *ix->items);
    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for an index of %zu records", room);
    ix->items = items;
    ix->room = room;
    return RC_OK;
}

static uint64_t word_at(struct bytes key, size_t depth)
{
    size_t left = key.n > depth ? key.n - depth : 0;
    uint64_t word = 0;

    if (left > WORD_BYTES)
        return (be64(key.p + depth) & ~UINT64_C(0xff)) | WORD_MORE;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)key.p[depth + i] << (56 - 8 * i);
    return word | left;
}

enum rc snap_index_add(struct snap_index *ix, struct bytes key, struct bytes value,
                       struct bytes user_key, struct err *e)
{
    struct bytes plain = first_field(value);
    bool odd = plain.p != user_key.p || plain.n != user_key.n;

    if (ix->count == ix->room)
        TRY(grow(ix, e));
    ix->items[ix->count] = (struct snap_index_entry){
        .word = word_at(user_key, 0),
        .at = (uint64_t)(value.p - bolt_file_bytes(ix->file).p) |
              (key.n == MVCC_TOMBSTONE_SIZE ? AT_TOMBSTONE : 0) | (odd ? AT_ODD : 0),
        .size = (uint32_t)value.n,
        .order = (uint32_t)ix->count,
    };
    ix->count++;
    return RC_OK;
}

/* ---- the sort --------------------------------------------------------------------- */

struct sorter {
    const struct snap_index *ix;
    uint64_t random; /* pivots nobody can foresee, for the keys may be an attacker's */
    bool stopped;
};

/* Entries that agree in the first `depth` bytes of their keys. */
struct run {
    struct snap_index_entry *items;
    size_t count, depth;
};

static unsigned kind_of(uint64_t word)
{
    return (unsigned)(word & 0xff);
}

/* The next seven bytes. The keys are asked for ahead of time, as each is a cache miss. */
static void load_words(const struct snap_index *ix, struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        if (i + AHEAD < run->count)
            __builtin_prefetch(place(ix, &run->items[i + AHEAD]) + run->depth);
        run->items[i].word = word_at(entry_key(ix, &run->items[i]), run->depth);
    }
}

/* All of one key: from here on the order counts, and only the first is not the same as
 * the one before. */
static void load_order(struct run *run)
{
    struct snap_index_entry *oldest = run->items;

    for (size_t i = 0; i < run->count; i++) {
        struct snap_index_entry *entry = &run->items[i];

        entry->word = (uint64_t)entry->order << 8 | WORD_ORDER;
        entry->at |= AT_SAME;
        if (entry->order < oldest->order)
            oldest = entry;
    }
    oldest->at &= ~AT_SAME;
}

static int compare_keys(const struct snap_index *ix, const struct snap_index_entry *a,
                        const struct snap_index_entry *b)
{
    if (a->word != b->word)
        return a->word < b->word ? -1 : 1;
    if (kind_of(a->word) != WORD_MORE)
        return 0;
    return bytes_compare(entry_key(ix, a), entry_key(ix, b));
}

static bool precedes(const struct snap_index *ix, const struct snap_index_entry *a,
                     const struct snap_index_entry *b)
{
    int order = compare_keys(ix, a, b);

    return order < 0 || (order == 0 && a->order < b->order);
}

static void sort_few(const struct snap_index *ix, const struct run *run)
{
    struct snap_index_entry *items = run->items;

    for (size_t i = 1; i < run->count; i++) {
        struct snap_index_entry entry = items[i];
        size_t k = i;

        for (; k > 0 && precedes(ix, &entry, &items[k - 1]); k--)
            items[k] = items[k - 1];
        items[k] = entry;
    }
    for (size_t i = 1; i < run->count; i++)
        if (compare_keys(ix, &items[i - 1], &items[i]) == 0)
            items[i].at |= AT_SAME;
}

static uint64_t any_word(struct sorter *s, const struct run *run)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return run->items[s->random % run->count].word;
}

static uint64_t choose_pivot(struct sorter *s, const struct run *run)
{
    uint64_t a = any_word(s, run), b = any_word(s, run), c = any_word(s, run);
    uint64_t low = a < b ? a : b, high = a < b ? b : a;

    return c < low ? low : c > high ? high : c;
}

static void swap(struct snap_index_entry *a, struct snap_index_entry *b)
{
    struct snap_index_entry held = *a;

    *a = *b;
    *b = held;
}

/* Into entries below, at and above the pivot. */
static void split(const struct run *run, uint64_t pivot, struct run parts[static 3])
{
    struct snap_index_entry *items = run->items;
    size_t low = 0, i = 0, high = run->count;

    while (i < high) {
        if (items[i].word < pivot)
            swap(&items[low++], &items[i++]);
        else if (items[i].word > pivot)
            swap(&items[i], &items[--high]);
        else
            i++;
    }
    parts[0] = (struct run){ items, low, run->depth };
    parts[1] = (struct run){ items + low, high - low, run->depth + WORD_BYTES };
    parts[2] = (struct run){ items + high, run->count - high, run->depth };
}

/* The largest part last: the others are at most half, which bounds the recursion. */
static void largest_last(struct run parts[static 3])
{
    for (size_t i = 0; i < 2; i++) {
        struct run held = parts[i];

        if (held.count <= parts[2].count)
            continue;
        parts[i] = parts[2];
        parts[2] = held;
    }
}

static void sort_run(struct sorter *s, struct run run)
{
    struct run parts[3];

    while (run.count > SMALL && !s->stopped) {
        uint64_t pivot = choose_pivot(s, &run);

        if (run.count > STOP_LOOK)
            s->stopped = stop_wanted();
        split(&run, pivot, parts);
        if (kind_of(pivot) == WORD_MORE)
            load_words(s->ix, &parts[1]);
        else if (kind_of(pivot) != WORD_ORDER)
            load_order(&parts[1]);
        largest_last(parts);
        sort_run(s, parts[0]);
        sort_run(s, parts[1]);
        run = parts[2];
    }
    if (!s->stopped)
        sort_few(s->ix, &run);
}

enum rc snap_index_sort(struct snap_index *ix, struct err *e)
{
    struct sorter s = { .ix = ix };

    TRY(os_random(&s.random, sizeof s.random, e));
    s.random |= 1; /* the generator stays at zero for ever */
    sort_run(&s, (struct run){ ix->items, ix->count, 0 });
    return stop_check(e);
}

/* ---- reading ---------------------------------------------------------------------- */

bool snap_index_next(const struct snap_index *ix, struct snap_key *key)
{
    if (key->end >= ix->count)
        return false;
    key->first = key->end++;
    while (key->end < ix->count && (ix->items[key->end].at & AT_SAME) != 0)
        key->end++;
    return true;
}

static size_t key_size(const struct snap_index_entry *entry)
{
    return (entry->at & AT_TOMBSTONE) != 0 ? MVCC_TOMBSTONE_SIZE : MVCC_REV_SIZE;
}

bool snap_index_alive(const struct snap_index *ix, const struct snap_key *key)
{
    return (ix->items[key->end - 1].at & AT_TOMBSTONE) == 0;
}

struct bytes snap_index_key(const struct snap_index *ix, size_t i)
{
    return entry_key(ix, &ix->items[i]);
}

uint64_t snap_index_size(const struct snap_index *ix, size_t i)
{
    return key_size(&ix->items[i]) + ix->items[i].size;
}

enum rc snap_index_record(const struct snap_index *ix, size_t i, struct snap_record *out,
                          struct err *e)
{
    const struct snap_index_entry *entry = &ix->items[i];
    struct bytes raw = { place(ix, entry), entry->size };
    struct snap_record r = { .raw = raw };

    if (mvcc_rev_read((struct bytes){ raw.p - key_size(entry), key_size(entry) }, &r.rev,
                      e) != RC_OK ||
        mvcc_kv_read(raw, &r.kv, e) != RC_OK)
        return err_wrap(e, "'%s' was changed while it was read",
                        bolt_file_name(ix->file));
    *out = r;
    return RC_OK;
}

enum rc snap_index_newest(const struct snap_index *ix, const struct snap_key *key,
                          struct snap_record *out, struct err *e)
{
    return snap_index_record(ix, key->end - 1, out, e);
}
