/* All commands, in the order of the overview. */
#include "cli/commands.h"

const struct command *const cli_commands[] = {
    &cmd_snapshot_save,
    &cmd_snapshot_status,
    &cmd_snapshot_verify,
    &cmd_snapshot_hashkv,
    &cmd_snapshot_ls,
    &cmd_snapshot_get,
    &cmd_snapshot_diff,
    &cmd_snapshot_leases,
    &cmd_snapshot_members,
    &cmd_snapshot_check_secrets,
    &cmd_snapshot_from_data_dir,
    &cmd_restore,
    &cmd_defrag,
    &cmd_compact,
    &cmd_status,
    &cmd_hash,
    &cmd_alarm_list,
    &cmd_alarm_disarm,
    &cmd_keygen,
    &cmd_help,
    &cmd_version,
    &cmd_completion,
    &cmd_manual,
    NULL,
};
