/* The commands, one file each: cmd_<name>.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct command cmd_snapshot_save, cmd_snapshot_status, cmd_snapshot_verify,
    cmd_snapshot_hashkv, cmd_snapshot_ls, cmd_snapshot_get, cmd_snapshot_diff,
    cmd_snapshot_leases, cmd_snapshot_members, cmd_snapshot_check_secrets, cmd_restore,
    cmd_defrag, cmd_compact, cmd_keygen;
extern const struct command cmd_snapshot_from_data_dir, cmd_snapshot_salvage,
    cmd_snapshot_log;
extern const struct command cmd_repo_init, cmd_repo_rekey, cmd_backup, cmd_list, cmd_info,
    cmd_verify, cmd_fetch, cmd_prune, cmd_copy, cmd_tag, cmd_audit, cmd_catalog_rebuild,
    cmd_unlock;
extern const struct command cmd_status;
extern const struct command cmd_hash, cmd_alarm_list, cmd_alarm_disarm;
extern const struct command cmd_doctor, cmd_assess, cmd_recover, cmd_runbook;
extern const struct command cmd_space, cmd_space_fix;
extern const struct command cmd_lab_up, cmd_lab_status, cmd_lab_kill, cmd_lab_start,
    cmd_lab_partition, cmd_lab_heal, cmd_lab_fault, cmd_lab_table, cmd_lab_down;
extern const struct command cmd_member_list, cmd_member_plan, cmd_member_add,
    cmd_member_remove, cmd_member_promote, cmd_member_update, cmd_member_replace,
    cmd_member_grow;
extern const struct command cmd_drill, cmd_agent, cmd_config_check;
extern const struct command cmd_help, cmd_version, cmd_completion, cmd_manual;

#endif
