#include <inttypes.h>
#include <string.h>

#include "care/doctor.h"
#include "cli/recovery.h"
#include "recover/kubernetes.h"
#include "util/mem.h"

/* ---- what it is ---------------------------------------------------------------------
 */

static void draw_source(struct printer *to, const struct recover_plan *p)
{
    const struct recover_source *s = &p->source;

    printer_printf(to, "Built on:       %s", s->path);
    if (s->member_name[0] != '\0')
        printer_printf(to, ", of %s", s->member_name);
    if (s->term_known)
        printer_printf(to, " (entry %" PRIu64 " of term %" PRIu64 ")", s->index, s->term);
    printer_put(to, s->live ? "; it runs, and is stopped first\n" : "\n");
    if (!s->live) {
        char hex[2 * SHA256_SIZE + 1];

        str_hex(hex, s->sha256, SHA256_SIZE);
        printer_printf(to, "Source:         %s\n                sha256 %s\n", s->file,
                       hex);
    }
}

static void draw_revision(struct printer *to, const struct recover_plan *p)
{
    printer_printf(to, "Recovery point: revision %" PRId64 "%s\n", p->source.revision,
                   p->source.live ? " at least" : "");
    if (p->lost.count == 0)
        printer_put(to, "Lost:           nothing that was acknowledged\n");
    for (size_t i = 0; i < p->lost.count; i++) {
        printer_put(to, "Lost:           ");
        printer_wrap(to, 16, 16, p->lost.items[i]);
    }
    printer_printf(to, "Revision then:  %" PRId64 "%s\n                ",
                   p->bump.revision,
                   p->bump.mark_compacted ? ", all before it compacted:" : ":");
    printer_wrap(to, 16, 16, p->bump.reason);
}

static enum rc draw_head(struct printer *to, const struct recover_plan *p,
                         const char *file, struct err *e)
{
    AT_END(mem_end) char *members = NULL;

    TRY(recover_plan_initial(p, NULL, &members, e));
    printer_printf(to, "Plan:           %s, in %s\n", p->id, file);
    printer_printf(to, "Old cluster:    %" PRIx64 "\n", p->old_cluster);
    printer_printf(to, "New cluster:    %" PRIx64 ", %s\n", p->cluster_id,
                   recover_shape_name(p->shape));
    printer_printf(to, "Members:        %s\n", members);
    printer_printf(to, "Hosts:          %s, data in %s\n", host_layout_name(p->layout),
                   p->data_dir);
    draw_source(to, p);
    draw_revision(to, p);
    return RC_OK;
}

/* ---- what is done -------------------------------------------------------------------
 */

/* What `recover --apply` does is told in a few words; how a person would do it by hand,
 * how to check it and the way back are in the file. */
static bool by_command(const struct recover_plan *p, const struct recover_step *s)
{
    return p->layout != HOST_K3S && p->layout != HOST_RKE2 &&
           s->kind != RECOVER_STEP_BRING && s->kind != RECOVER_STEP_AFTER;
}

static void draw_step(struct printer *to, const struct recover_plan *p, size_t n,
                      const struct recover_step *s)
{
    printer_printf(to, "%5zu. ", n);
    printer_wrap(to, 7, 7, s->action);
    if (!by_command(p, s))
        printer_printf(to, "       %s\n", s->command);
}

static void draw_host(struct printer *to, const struct recover_plan *p, const char *file,
                      const struct recover_step *s)
{
    char plan[700], member[300];

    if (s->kind == RECOVER_STEP_AFTER) {
        printer_put(to, "\nAfterwards, for Kubernetes:\n");
        return;
    }
    care_shell_word(plan, sizeof plan, file);
    care_shell_word(member, sizeof member, s->host);
    printer_printf(to, "\nOn the host of %s:\n", s->host);
    if (p->layout == HOST_K3S || p->layout == HOST_RKE2)
        printer_put(to, "  run, in this order:\n");
    else
        printer_printf(to, "  holdfast recover --apply %s --member %s\n  which does:\n",
                       plan, member);
}

static enum rc draw_steps(struct printer *to, const struct recover_plan *p,
                          const char *file, struct err *e)
{
    AT_END(recover_steps_clear) struct recover_steps steps = { 0 };

    TRY(recover_steps_make(p, file, &steps, e));
    for (size_t i = 0; i < steps.count; i++) {
        const struct recover_step *s = &steps.items[i], *before = s - 1;
        bool new_host =
            i == 0 || strcmp(s->host, before->host) != 0 ||
            (s->kind == RECOVER_STEP_AFTER) != (before->kind == RECOVER_STEP_AFTER);

        if (new_host && s->kind != RECOVER_STEP_BRING)
            draw_host(to, p, file, s);
        if (s->kind == RECOVER_STEP_BRING)
            printer_printf(to, "\nTo the host of %s:\n", s->host);
        else if (i > 0 && before->kind == RECOVER_STEP_BRING)
            draw_host(to, p, file, s);
        draw_step(to, p, i + 1, s);
    }
    return RC_OK;
}

enum rc recovery_draw(const struct recover_plan *p, const char *file, struct result *r,
                      struct err *e)
{
    AT_END(printer_clear) struct printer to = { .fd = -1, .name = "memory" };

    TRY(draw_head(&to, p, file, e));
    TRY(draw_steps(&to, p, file, e));
    if (p->layout != HOST_K3S && p->layout != HOST_RKE2)
        printer_printf(&to,
                       "\nThe way back, as long as nothing was written to the new "
                       "cluster:\n  holdfast recover --rollback %s --member NAME\n",
                       file);
    return result_drawn(r, &to, e);
}

void recovery_chores(const struct recover_plan *p, struct result *r)
{
    const struct recover_chore *chores;
    size_t count;

    if (!p->source.kubernetes)
        return;
    chores = recover_chores(p->layout, &count);
    result_line(r, "Afterwards, for Kubernetes:");
    for (size_t i = 0; i < count; i++)
        result_line(r, "  %s (%s): %s", chores[i].what,
                    recover_where_name(chores[i].where), chores[i].command);
}
