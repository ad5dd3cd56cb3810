#include <inttypes.h>
#include <stdio.h>

#include "care/vote.h"
#include "cli/cluster.h"
#include "cli/commands.h"

static void show_ballot(struct result *r, const struct care_ballot *b)
{
    char text[24] = "-";

    if (b->told)
        snprintf(text, sizeof text, "%" PRIu32, b->hash.hash);
    result_next(r);
    result_str(r, "Name", "name", b->name == NULL ? "" : b->name);
    result_str(r, "Endpoint", "Endpoint", b->endpoint);
    result_id(r, NULL, "member_id", "member_id_hex", b->id);
    result_str(r, "Hash", NULL, text);
    if (b->told) {
        result_u64(r, NULL, "hash", b->hash.hash);
        result_i64(r, NULL, "compact_revision", b->hash.compact_revision);
        result_i64(r, NULL, "hash_revision", b->hash.hash_revision);
    } else {
        result_str(r, NULL, "hash", NULL);
    }
    result_str(r, "Vote", "vote", care_ballot_name(b->word));
    result_str(r, NULL, "error", b->told ? NULL : b->failure.why);
}

static struct result *describe(const struct care_vote *v)
{
    struct result *r = result_new(), *list = result_new_list();

    result_str(r, "Verdict", "verdict", care_vote_name(v->verdict));
    result_i64(r, "Revision", "revision", v->revision);
    for (size_t i = 0; i < v->count; i++)
        show_ballot(list, &v->items[i]);
    result_nest(r, "Voters", "members", list);
    return r;
}

static enum rc hash(struct cli *c, const void *args, struct err *e)
{
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(care_view_clear) struct care_view view = { 0 };
    AT_END(care_vote_clear) struct care_vote vote = { 0 };
    OWNED(result) r = NULL;

    (void)args;
    TRY(cli_cluster_init(&k, c, e));
    TRY(care_look(&k.access, 0, &view, e));
    k.cluster_id = view.cluster_id;
    TRY(care_vote_take(&k.access, &view, &vote, e));
    r = describe(&vote);
    TRY(cli_show(c, r, e));
    return care_vote_result(&vote, e);
}

const struct command cmd_hash = {
    .name = "hash",
    .summary = "do all voters hold the same data?",
    .description =
        "Asks every voting member for its HashKV at one revision that all of them have, "
        "and counts. Exit status 0: all answered the same. 8: two of them contradict "
        "each other, and 'odd' is the one that the majority outvotes. 4: it could not be "
        "told, because a member did not answer or compactions were faster; that is no "
        "sign of damage.\n\n"
        "Hashes compare only when both the revision and the compact revision are equal, "
        "so a compaction under way is never taken for divergence, and a contradiction "
        "counts when it is found twice. With authentication on it needs role root.",
    .examples = "# from one member to all\n"
                "holdfast hash --endpoints 10.0.0.1:2379\n"
                "# who is it?\n"
                "holdfast hash -w json | jq -r '.members[] | select(.vote == \"odd\") | "
                ".name'\n",
    .uses = CLI_CONNECTION | CLI_OUTPUT,
    .run = hash,
};
