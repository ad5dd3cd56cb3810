/* One page after the other is damaged: all that it did not hold must be saved. */
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
