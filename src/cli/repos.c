#include "cli/repos.h"

#include <stdio.h>
#include <string.h>

#include "cli/state.h"
#include "cli/version.h"
#include "host/find.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

struct store_options cli_store_options(const struct repo_args *a, const char *url)
{
    return (struct store_options){
        .url = url,
        .cacert = a->cacert,
        .credentials_file = a->credentials,
        .profile = a->profile,
        .identity_file = a->ssh_key,
        .known_hosts = a->known_hosts,
        .allow_same_filesystem = a->allow_same_filesystem,
        .neighbor = host_neighbor_find,
    };
}

/* A key's line of base64 has no '/' in front and 56 digits; anything else is a file. */
static enum rc add_key(struct minisign_trust *t, const char *text, struct err *e)
{
    struct minisign_public key;
    struct err why = { 0 };

    if (strlen(text) == 56 &&
        minisign_public_parse(bytes_str(text), text, &key, &why) == RC_OK)
        return minisign_trust_add(t, &key, e);
    return minisign_trust_add_file(t, text, e);
}

enum rc cli_public_keys(const struct str_list *texts, struct minisign_trust *out,
                        struct err *e)
{
    for (size_t i = 0; i < texts->count; i++)
        TRY(add_key(out, texts->items[i], e));
    return RC_OK;
}

void cli_repo_clear(struct cli_repo *r)
{
    repo_free(r->repo);
    care_store_free(r->state);
}

enum rc cli_repo_open(struct cli *c, const struct repo_args *a, struct cli_repo *out,
                      struct err *e)
{
    struct repo_options o = {
        .store = cli_store_options(a, a->repo),
        .cluster = a->cluster,
        .tool = "holdfast " HOLDFAST_VERSION,
    };

    TRY(cli_public_keys(&a->public_keys, &out->trust, e));
    cli_state_try(c, &out->state);
    o.state = out->state;
    o.trust = &out->trust;
    return repo_open(&o, &out->repo, e);
}

enum rc cli_job_init(struct cli *c, const struct repo_job_args *a, struct cli_job *out,
                     struct err *e)
{
    TRY(cli_connect(c, &out->login, &out->client, e));
    out->options = (struct repo_job_options){ .signing_key = a->signing_key,
                                              .wait_ms = a->wait_ms,
                                              .lease = out->client };
    return RC_OK;
}

void cli_job_clear(struct cli_job *j)
{
    wire_client_free(j->client);
    cli_login_clear(&j->login);
}

enum rc cli_sequence(const char *text, uint64_t *out, struct err *e)
{
    *out = 0;
    if (text == NULL || strcmp(text, "latest") == 0)
        return RC_OK;
    if (str_to_u64(text, out) && *out > 0 && *out <= RECORD_SEQUENCE_MAX)
        return RC_OK;
    return err_set(e, RC_USAGE,
                   "'%s' is neither the number of a backup nor 'latest'" HINT
                   "see 'holdfast list'",
                   text);
}

static const char *content_name(enum manifest_content c)
{
    return c == MANIFEST_BUNDLE ? "bundle" : "snapshot";
}

static void show_tags(struct result *r, const struct str_list *tags)
{
    struct json *a = json_new_array();
    char line[300] = "";
    size_t used = 0;

    for (size_t i = 0; i < tags->count; i++) {
        json_add_str(a, tags->items[i]);
        if (used < sizeof line)
            used += (size_t)snprintf(line + used, sizeof line - used, "%s%s",
                                     i == 0 ? "" : ",", tags->items[i]);
    }
    result_str(r, "Tags", NULL, line);
    result_json(r, "tags", a);
}

void cli_note_empty(const struct chain *log, const char *cluster)
{
    if (log->count == 0)
        log_info("there is no backup of '%s' in the repository: is that its name there?",
                 cluster);
}

void show_backup(struct result *r, const struct record *x, const struct str_list *tags)
{
    const struct manifest *m = x->backup;
    char time[21];

    clock_utc_at(x->created, time);
    result_u64(r, "Sequence", "sequence", x->sequence);
    result_str(r, "Cluster", "cluster", x->cluster);
    result_i64(r, "Revision", "revision", m->revision);
    result_str(r, "Time", "time", time);
    result_size(r, "Size", "size", m->db_size);
    result_size(r, "Stored size", "stored_size", m->object_size);
    if (m->hashkv_known)
        result_u64(r, NULL, "hashkv", m->hashkv);
    else
        result_str(r, NULL, "hashkv", NULL);
    result_bool(r, "Proved", "proved", m->proved);
    result_str(r, NULL, "kind", content_name(m->content));
    show_tags(r, tags);
}
