#include "wire/maintenance.h"

#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "wire/call.h"

static enum rc fill_status(struct wire_status *s, const Etcdrpc__StatusResponse *r,
                           struct err *e)
{
    for (size_t i = 0; i < r->n_errors; i++) {
        char safe[256];

        str_printable(safe, sizeof safe, bytes_str(r->errors[i]));
        TRY(str_list_add(&s->errors, safe, e));
    }
    str_printable(s->version, sizeof s->version, bytes_str(r->version));
    str_printable(s->storage_version, sizeof s->storage_version,
                  bytes_str(r->storage_version));
    s->db_size = r->db_size < 0 ? 0 : (uint64_t)r->db_size;
    s->db_size_in_use = r->db_size_in_use < 0 ? 0 : (uint64_t)r->db_size_in_use;
    s->db_size_quota = r->db_size_quota < 0 ? 0 : (uint64_t)r->db_size_quota;
    s->leader = r->leader;
    s->raft_index = r->raft_index;
    s->raft_term = r->raft_term;
    s->raft_applied_index = r->raft_applied_index;
    s->is_learner = r->is_learner;
    s->downgrading = r->downgrade_info != NULL && r->downgrade_info->enabled;
    return RC_OK;
}

enum rc wire_status_get(struct wire_client *c, size_t endpoint, struct wire_status *out,
                        struct err *e)
{
    Etcdrpc__StatusRequest request = ETCDRPC__STATUS_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__StatusResponse *r = NULL;
    struct wire_status s = { 0 };
    struct wire_call q = {
        .method = "Maintenance/Status",
        .request = &request,
        .reply = &etcdrpc__status_response__descriptor,
        .endpoint = endpoint,
        .role = "a user that logged in, and with etcd 3.4.42+, 3.5.28 to 3.5.31 and "
                "3.6.0 to 3.6.11 one with role root",
        .lone = true,
    };

    TRY(wire_call(c, &q, &r, &s.header, e));
    enum rc rc = fill_status(&s, r, e);

    if (rc != RC_OK)
        wire_status_clear(&s);
    else
        *out = s;
    return rc;
}

void wire_status_clear(struct wire_status *s)
{
    str_list_clear(&s->errors);
    *s = (struct wire_status){ 0 };
}

enum rc wire_hash_get(struct wire_client *c, size_t endpoint, uint32_t *out,
                      struct err *e)
{
    Etcdrpc__HashRequest request = ETCDRPC__HASH_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__HashResponse *r = NULL;
    struct wire_call q = {
        .method = "Maintenance/Hash",
        .request = &request,
        .reply = &etcdrpc__hash_response__descriptor,
        .endpoint = endpoint,
        .role = WIRE_ROOT,
        .lone = true,
    };

    TRY(wire_call(c, &q, &r, NULL, e));
    *out = r->hash;
    return RC_OK;
}

enum rc wire_hashkv_get(struct wire_client *c, size_t endpoint, int64_t revision,
                        struct wire_hashkv *out, struct err *e)
{
    Etcdrpc__HashKVRequest request = ETCDRPC__HASH_KVREQUEST__INIT;
    AT_END(codec_end) Etcdrpc__HashKVResponse *r = NULL;
    struct wire_header h = { 0 };
    struct wire_call q = {
        .method = "Maintenance/HashKV",
        .request = &request,
        .reply = &etcdrpc__hash_kvresponse__descriptor,
        .endpoint = endpoint,
        .role = WIRE_ROOT,
        .lone = true,
    };

    request.revision = revision;
    TRY(wire_call(c, &q, &r, &h, e));
    *out = (struct wire_hashkv){ h, r->hash, r->compact_revision, r->hash_revision };
    return RC_OK;
}

enum rc wire_defragment(struct wire_client *c, size_t endpoint, uint64_t timeout_ms,
                        struct err *e)
{
    Etcdrpc__DefragmentRequest request = ETCDRPC__DEFRAGMENT_REQUEST__INIT;
    struct wire_call q = {
        .method = "Maintenance/Defragment",
        .request = &request,
        .reply = &etcdrpc__defragment_response__descriptor,
        .endpoint = endpoint,
        .role = WIRE_ROOT,
        .writes = true,
        .lone = true,
        .timeout_ms = timeout_ms == 0 ? UINT64_MAX : timeout_ms,
    };

    return wire_call(c, &q, NULL, NULL, e);
}

enum rc wire_leader_move(struct wire_client *c, size_t endpoint, uint64_t target,
                         struct err *e)
{
    Etcdrpc__MoveLeaderRequest request = ETCDRPC__MOVE_LEADER_REQUEST__INIT;
    struct wire_call q = {
        .method = "Maintenance/MoveLeader",
        .request = &request,
        .reply = &etcdrpc__move_leader_response__descriptor,
        .endpoint = endpoint,
        .role = WIRE_ROOT,
        .writes = true,
    };

    request.target_id = target;
    return wire_call(c, &q, NULL, NULL, e);
}

static enum rc call_alarm(struct wire_client *c, Etcdrpc__AlarmAction action,
                          struct wire_alarm alarm, Etcdrpc__AlarmResponse **out,
                          struct err *e)
{
    Etcdrpc__AlarmRequest request = ETCDRPC__ALARM_REQUEST__INIT;
    bool looks = action == ETCDRPC__ALARM_ACTION__ALARM_GET;
    struct wire_call q = {
        .method = "Maintenance/Alarm",
        .request = &request,
        .reply = &etcdrpc__alarm_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = looks ? WIRE_ANYONE : WIRE_ROOT,
        .writes = !looks,
    };

    request.action = action;
    request.member_id = alarm.member_id;
    request.alarm = (Etcdrpc__AlarmType)alarm.type;
    return wire_call(c, &q, out, NULL, e);
}

enum rc wire_alarm_list(struct wire_client *c, struct wire_alarms *out, struct err *e)
{
    AT_END(codec_end) Etcdrpc__AlarmResponse *r = NULL;
    struct wire_alarm *items = NULL;

    TRY(call_alarm(c, ETCDRPC__ALARM_ACTION__ALARM_GET, (struct wire_alarm){ 0 }, &r, e));
    TRY(mem_new(&items, r->n_alarms * sizeof *items, "alarms", e));
    for (size_t i = 0; i < r->n_alarms; i++)
        items[i] = (struct wire_alarm){ r->alarms[i]->member_id,
                                        (enum wire_alarm_type)r->alarms[i]->alarm };
    *out = (struct wire_alarms){ items, r->n_alarms };
    return RC_OK;
}

void wire_alarms_clear(struct wire_alarms *a)
{
    mem_free(a->items);
    *a = (struct wire_alarms){ 0 };
}

enum rc wire_alarm_activate(struct wire_client *c, struct wire_alarm alarm, struct err *e)
{
    return call_alarm(c, ETCDRPC__ALARM_ACTION__ALARM_ACTIVATE, alarm, NULL, e);
}

enum rc wire_alarm_disarm(struct wire_client *c, struct wire_alarm alarm, struct err *e)
{
    return call_alarm(c, ETCDRPC__ALARM_ACTION__ALARM_DEACTIVATE, alarm, NULL, e);
}
