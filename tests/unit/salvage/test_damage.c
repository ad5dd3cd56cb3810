/* One page after the other is damaged: all that it did not hold must be saved. */
#include "tests/unit/salvage/forgery.h"
#include "tests/unit/salvage/wreck.h"

CASE(salvage, takes_a_sound_file_as_it_is)
{
    for (size_t i = 0; i < GOLDEN_VERSIONS; i++) {
        WRECK w;
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_of_golden(&w, golden_versions[i]);
        OK(wreck_salvage(&w, &s, &e), &e);
        cr_assert(s.result.whole && s.result.marks_known);
        cr_assert_eq(s.count, w.count);
        for (size_t n = 0; n < w.count; n++)
            cr_assert(bytes_equal(s.cargo[n].key, w.cargo[n].key) &&
                      bytes_equal(s.cargo[n].value, w.cargo[n].value));
    }
}

CASE(salvage, survives_any_page_wiped, .timeout = 120)
{
    for (size_t i = 0; i < GOLDEN_VERSIONS; i++) {
        WRECK w;

        wreck_of_golden(&w, golden_versions[i]);
        for (uint64_t id = 0; id < w.pages; id++) {
            char note[64];

            snprintf(note, sizeof note, "%s, page %lu wiped", golden_versions[i],
                     (unsigned long)id);
            wreck_repair(&w);
            memset(wreck_page(&w, id), 0, w.page_size);
            wreck_check(&w, id, note);
        }
    }
}

/* Where a page is struck: its header, its table, its contents. */
static const uint32_t places[] = { 0, 8, 10, 12, 16, 20, 24, 28, 36, 40, 100 };
enum { PLACES = sizeof places / sizeof places[0] };

CASE(salvage, survives_flipped_bits_in_any_page, .timeout = 240)
{
    unsigned versions = golden_effort(1, GOLDEN_VERSIONS);
    uint64_t seed = 1;

    for (size_t i = 0; i < versions; i++) {
        WRECK w;

        wreck_of_golden(&w, golden_versions[i]);
        for (uint64_t id = 0; id < w.pages; id++)
            for (unsigned n = 0; n < PLACES + 4; n++) {
                uint32_t at = n < PLACES ? places[n]
                                         : (uint32_t)(golden_random(&seed) % w.page_size);
                uint8_t bit = (uint8_t)(1 << golden_random(&seed) % 8);
                char note[80];

                snprintf(note, sizeof note, "%s, page %lu, bit %u of byte %u flipped",
                         golden_versions[i], (unsigned long)id, bit, at);
                wreck_repair(&w);
                wreck_page(&w, id)[at] ^= bit;
                wreck_check(&w, id, note);
            }
    }
}

/* ---- small pages, deep trees, long pasts ------------------------------------------- */

static void wipe_each(struct wreck *w, const char *what)
{
    for (uint64_t id = 0; id < w->pages; id++) {
        char note[80];

        snprintf(note, sizeof note, "%s, page %lu of %lu wiped", what, (unsigned long)id,
                 (unsigned long)w->pages);
        wreck_repair(w);
        memset(wreck_page(w, id), 0, w->page_size);
        wreck_check(w, id, note);
    }
}

CASE(salvage, survives_any_page_of_a_deep_tree_wiped, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= golden_effort(2, 20); seed++) {
        const struct forgery_options o = {
            .keys = 60, .steps = 120, .value_max = 2000, .seed = seed
        };
        WRECK w;

        wreck_of(&w, forgery_make(&o));
        wipe_each(&w, "deep");
    }
}

/* Every leaf that a compaction has removed still lies in a free page. */
CASE(salvage, brings_nothing_back, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= golden_effort(3, 30); seed++) {
        const struct forgery_options o = { .keys = 40,
                                           .steps = 100,
                                           .value_max = 900,
                                           .compacted = seed % 3 == 1 ? 101 : 60,
                                           .past = true,
                                           .seed = seed };
        WRECK w;

        wreck_of(&w, forgery_make(&o));
        wipe_each(&w, "compacted");
    }
}

/* ---- the last commit --------------------------------------------------------------- */

static void must_be_newest(const struct wreck *w, uint64_t wiped, const char *note)
{
    SAVED s = { 0 };
    struct err e = { 0 };

    OK(wreck_salvage(w, &s, &e), &e);
    cr_assert_eq(s.result.root, wiped == 0 ? SALVAGE_ROOT_IN_FORCE : SALVAGE_ROOT_NEWER,
                 "%s", note);
    cr_assert_eq(s.result.newest_commit, wiped != 0, "%s", note);
    cr_assert_eq(s.result.whole, wiped != 0, "%s", note);
    cr_assert_eq(s.count, w->count, "%s", note);
    for (size_t i = 0; i < s.count; i++)
        cr_assert(bytes_equal(s.cargo[i].key, w->cargo[i].key) &&
                      bytes_equal(s.cargo[i].value, w->cargo[i].value),
                  "%s: pair %zu is another one", note, i);
}

/* A commit that changed much, and compacted: with its meta gone nothing of it is. */
CASE(salvage, finds_the_last_commit_without_its_meta, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= golden_effort(6, 60); seed++) {
        const struct forgery_options o = { .keys = 40,
                                           .steps = 60,
                                           .value_max = 900,
                                           .compacted = seed % 2 == 0 ? 30 : 0,
                                           .past = seed % 3 == 0,
                                           .next = 1 + (unsigned)seed * 7 % 50,
                                           .next_compacted = seed % 4 < 2 ? 55 : 0,
                                           .seed = seed };
        WRECK w;

        wreck_of(&w, forgery_make(&o));
        for (uint64_t id = 0; id < 2; id++) {
            char note[80];

            snprintf(note, sizeof note, "seed %lu, meta %lu wiped", (unsigned long)seed,
                     (unsigned long)id);
            wreck_repair(&w);
            memset(wreck_page(&w, id), 0, w.page_size);
            must_be_newest(&w, id, note);
        }
    }
}

/* With its meta and a page of it gone, the last commit is not taken for whole. */
CASE(salvage, never_takes_half_a_commit_for_the_last, .timeout = 120)
{
    const struct forgery_options o = {
        .keys = 40, .steps = 60, .value_max = 900, .next = 20, .seed = 12
    };
    WRECK w;

    wreck_of(&w, forgery_make(&o));
    for (uint64_t id = 2; id < w.pages; id++) {
        SAVED s = { 0 };
        struct err e = { 0 };

        wreck_repair(&w);
        memset(wreck_page(&w, 1), 0, w.page_size);
        memset(wreck_page(&w, id), 0, w.page_size);
        OK(wreck_salvage(&w, &s, &e), &e);
        if (s.result.whole)
            cr_assert(s.count == w.count && s.result.root == SALVAGE_ROOT_NEWER,
                      "page %lu", (unsigned long)id);
    }
}

CASE(salvage, survives_any_page_of_two_commits_wiped, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= golden_effort(2, 20); seed++) {
        const struct forgery_options o = { .keys = 40,
                                           .steps = 50,
                                           .value_max = 900,
                                           .next = 20,
                                           .next_compacted = seed % 2 == 0 ? 40 : 0,
                                           .seed = seed };
        WRECK w;

        wreck_of(&w, forgery_make(&o));
        wipe_each(&w, seed % 2 == 0 ? "compacted commit" : "commit");
    }
}
