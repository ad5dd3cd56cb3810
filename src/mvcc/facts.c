#include "mvcc/facts.h"

#include "util/mem.h"

void mvcc_facts_clear(struct mvcc_facts *facts)
{
    for (size_t i = 0; i < facts->member_count; i++)
        mvcc_member_clear(&facts->members[i]);
    for (size_t i = 0; i < facts->user_count; i++)
        mvcc_user_clear(&facts->users[i]);
    for (size_t i = 0; i < facts->role_count; i++)
        mvcc_role_clear(&facts->roles[i]);
    mem_free(facts->members);
    mem_free(facts->users);
    mem_free(facts->roles);
    mem_free(facts->alarms);
    mem_free(facts->storage_version);
    mem_free(facts->cluster_version);
    mvcc_conf_state_clear(&facts->conf_state);
    mvcc_ids_clear(&facts->removed_members);
    mvcc_downgrade_clear(&facts->downgrade);
    *facts = (struct mvcc_facts){ 0 };
}
