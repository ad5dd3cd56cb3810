/* The runbooks themselves. */
#include <string.h>

#include "runbook/runbook.h"

const struct runbook_blank runbook_blanks[] = {
    { "endpoints", "CLIENT_URLS",
      "client addresses of the members that answer, by comma" },
    { "lost", "LOST_MEMBER", "name of the member that goes, or its id" },
    { "new", "NEW_MEMBER", "name of the member that comes" },
    { "new-peer", "NEW_PEER_URL",
      "its peer address, which the others can reach, such as https://10.0.0.4:2380" },
    { "members", "ALL_MEMBERS",
      "the new cluster's members, as NAME=PEER_URL,NAME=PEER_URL,..." },
    { "here", "THIS_MEMBER", "name of the member on whose host you are" },
    { "data-dir", "DATA_DIR",
      "etcd's data directory on the host, such as /var/lib/etcd" },
    { "backup", "BACKUP_FILE",
      "a file on a disk that etcd does not use, ending in .db, .db.zst, .db.age or "
      ".db.zst.age" },
    { "plan", "PLAN_FILE", "where the plan goes, such as plan.json" },
    { NULL, NULL, NULL },
};

/* clang-format off */
#define WHERE_THE_CLUSTER_IS \
    { .title = "Say where the cluster is", \
      .why = "The commands below ask the members at these addresses. Where the cluster " \
             "wants certificates or a login, export ETCDCTL_CACERT, ETCDCTL_CERT, " \
             "ETCDCTL_KEY and ETCDCTL_USER as well.", \
      .commands = "export ETCDCTL_ENDPOINTS={endpoints}" }

#define START_THE_NEW_ONE \
    { .title = "Start {new}", \
      .why = "The command of the step before has stopped and shows what starts {new}: do " \
             "that on its host, with an empty data directory. Then it goes on by itself: " \
             "it waits until {new} has caught up, lets it vote, and compares what all " \
             "members hold. If {new} does not come it is taken out again; the same " \
             "command begins anew, also when it was interrupted.", \
      .where = "on the host of {new}", \
      .expect = "etcd running there, and the command of the step before ending with the " \
                "revision at which all are equal.", \
      .otherwise = "the command says what it misses, such as a member of another cluster " \
                   "at that address: stop that, empty its data directory, and start it as " \
                   "shown." }

#define WHOLE_AGAIN \
    { .title = "See that the cluster is whole", \
      .commands = "holdfast member list\nholdfast hash", \
      .expect = "every member up, and all of them equal at one revision.", \
      .otherwise = "`holdfast doctor` says what ails it, and what to run next." }
/* clang-format on */

static const struct runbook_step lost_member[] = {
    WHERE_THE_CLUSTER_IS,
    { .title = "See that one member is lost and the others serve",
      .why = "A member that can come back should: start it, and nothing needs to be "
             "replaced.",
      .commands = "holdfast member list",
      .status = 8,
      .expect = "{lost} down, and every other member up.",
      .otherwise = "when quorum is lost, `holdfast runbook lost-quorum` is for you." },
    { .title = "See what will be done",
      .why =
          "Nothing is changed yet. Each step shows how many voters there are, how many "
          "take part, and how many more may fail.",
      .commands = "holdfast member replace {lost} --with {new}={new-peer} \\\n"
                  "    --backup {backup} --new-data-dir {data-dir} --dry-run",
      .expect = "a snapshot, {lost} removed, {new} added as a learner and promoted.",
      .otherwise = "it says why it may not be, and what to do instead." },
    { .title = "Replace it",
      .why = "A voter that is dead still counts. It is removed before the new one comes, "
             "so that the cluster bears a failure on the way if it can.",
      .commands = "holdfast member replace {lost} --with {new}={new-peer} \\\n"
                  "    --backup {backup} --new-data-dir {data-dir} --yes",
      .expect = "the snapshot taken, {lost} gone, and what starts {new}." },
    START_THE_NEW_ONE,
    WHOLE_AGAIN,
    { .title = NULL },
};

static const struct runbook_step nospace[] = {
    WHERE_THE_CLUSTER_IS,
    { .title = "See where the bytes are",
      .why =
          "A member whose database has reached the quota raises NOSPACE, and then "
          "nobody can write. Old revisions, free pages and live keys each want another "
          "lever.",
      .commands = "holdfast space",
      .status = 8,
      .expect = "the advice `holdfast space fix`, or to delete keys, or to raise the "
                "quota.",
      .otherwise = "when the alarm is raised and the advice is to disarm it, go on all "
                   "the same: the next steps look again." },
    { .title = "Keep what is there",
      .why = "A compaction drops history for good.",
      .commands = "holdfast snapshot save {backup}",
      .status = 8,
      .expect = "`Proved: true`, and the warning that the alarm is raised." },
    { .title = "Make room",
      .why =
          "It compacts, keeping the newest revisions, defragments one member after the "
          "other, the leader last, disarms the alarm when every member has room, and "
          "proves that a write is taken.",
      .commands = "holdfast space fix --yes",
      .expect = "`Writes proved: true`.",
      .otherwise = "with exit status 8 the live keys fill the quota: delete keys, or "
                   "start the members with a larger --quota-backend-bytes, and do this "
                   "step again." },
    { .title = "See that no alarm is left",
      .commands = "holdfast alarm list",
      .expect = "nothing.",
      .otherwise = "`holdfast doctor` says what ails it, and what to run next." },
    { .title = NULL },
};

static const struct runbook_step corrupt_member[] = {
    WHERE_THE_CLUSTER_IS,
    { .title = "See who holds other data than the rest",
      .why = "Every voter is asked for the hash of its history at one revision.",
      .commands = "holdfast hash",
      .status = 8,
      .expect = "`odd` beside {lost}: the majority outvotes it.",
      .otherwise = "with exit status 4 it could not be told: bring all members up, and "
                   "ask again. When no side is a majority, stop the clients and compare "
                   "the copies: `holdfast assess`." },
    { .title = "Replace it",
      .why = "What a damaged member holds is not mended by running it. It is removed, "
             "which ends its etcd, and a new one gets all data from the others. The "
             "backup is taken from a member that agrees with the majority only if such a "
             "one is named: see `--from` of `holdfast snapshot save`.",
      .commands = "holdfast member replace {lost} --with {new}={new-peer} \\\n"
                  "    --backup {backup} --new-data-dir {data-dir} --yes",
      .expect = "{lost} gone, and what starts {new}. It may be the same host; move the "
                "old data directory aside then, for whoever looks for the cause." },
    START_THE_NEW_ONE,
    { .title = "See that all hold the same",
      .commands = "holdfast hash\nholdfast member list",
      .expect = "every member up, and all of them equal at one revision.",
      .otherwise = "`holdfast alarm disarm` takes back an alarm CORRUPT once all are "
                   "equal; `holdfast doctor` says what else ails it." },
    { .title = NULL },
};

static const struct runbook_step two_members[] = {
    WHERE_THE_CLUSTER_IS,
    { .title = "See what two members bear",
      .why = "Two voters need both: a cluster of two fails twice as often as one alone. "
             "Three bear one failure.",
      .commands = "holdfast member plan --grow 3",
      .expect = "a learner that is waited for and promoted, and one failure that may be "
                "borne afterwards.",
      .otherwise = "when a voter is down, bring it back first; when it is lost, and the "
                   "quorum with it, `holdfast runbook lost-quorum` is for you." },
    { .title = "Grow to three",
      .why = "The new one is a learner until it has caught up, so that the quorum is "
             "never harder to reach than now.",
      .commands = "holdfast member grow --to 3 --with {new}={new-peer} \\\n"
                  "    --backup {backup} --new-data-dir {data-dir} --yes",
      .expect = "the snapshot taken, and what starts {new}." },
    START_THE_NEW_ONE,
    WHOLE_AGAIN,
    { .title = NULL },
};

static const struct runbook_step restore_from_backup[] = {
    { .title = "See that the backup is whole",
      .why = "Every page and every record is read, before anything is touched. An "
             "encrypted one needs `-i KEY` here and below.",
      .commands = "holdfast snapshot verify {backup}",
      .expect = "`Ok: true`.",
      .otherwise = "take an older backup; `holdfast snapshot salvage` gets out what is "
                   "left of a damaged one." },
    { .title = "Stop etcd everywhere",
      .why = "And what writes to it: under Kubernetes the API servers. A member of the "
             "old cluster that runs on would answer clients with what is no longer true.",
      .where = "on every host",
      .expect = "no etcd process.",
      .otherwise = "`holdfast assess` says whether the old cluster could be started "
                   "instead: that loses nothing." },
    { .title = "Move the old data aside",
      .why = "It is what is left when the backup is not the newest. Nothing is deleted.",
      .where = "on every host",
      .commands = "[ ! -e {data-dir} ] || mv {data-dir} {data-dir}.old",
      .each = true },
    { .title = "Write one plan for all hosts",
      .why =
          "The new cluster has ids of its own, so that nothing that is left of the old "
          "one can join it; all hosts must agree on them. With Kubernetes keys in the "
          "backup the revision is raised, so that no cache is believed.",
      .commands = "holdfast restore {backup} --initial-cluster {members} \\\n"
                  "    --write-plan {plan}",
      .expect = "the plan written." },
    { .title = "Build each data directory",
      .why = "Copy {backup} and {plan} to every host first. The directory is there whole "
             "or not at all, and proved to hold what the backup holds.",
      .where = "on the host of each member",
      .commands = "holdfast restore {backup} --plan {plan} --member {here} \\\n"
                  "    --data-dir {data-dir}",
      .expect = "what starts it.",
      .otherwise = "a directory that exists is never merged into: see the step before "
                   "the last.",
      .each = true },
    { .title = "Start etcd everywhere",
      .why = "With the names and addresses of the plan; a unit or a manifest of before "
             "does. They wait for each other, so start them all.",
      .where = "on every host",
      .expect = "the members electing a leader within seconds." },
    WHERE_THE_CLUSTER_IS,
    { .title = "See that the cluster is whole",
      .why = "Then start what writes to it. Under Kubernetes restart the API servers, "
             "the controllers and the schedulers.",
      .commands = "holdfast member list\nholdfast hash\nholdfast status",
      .expect = "every member up, and all of them equal at one revision.",
      .otherwise = "`holdfast doctor` says what ails it, and what to run next." },
    { .title = NULL },
};

static const struct runbook_step lost_quorum[] = {
    WHERE_THE_CLUSTER_IS,
    { .title = "See that quorum is really lost",
      .why = "Starting stopped members loses nothing, so that comes first. Name every "
             "directory that is left, also copies of those on other hosts, or what "
             "`holdfast assess --export FILE DIR` wrote there; `--backup FILE` compares "
             "with a backup.",
      .where = "on the host of a survivor",
      .commands = "holdfast assess {data-dir}",
      .status = 8,
      .expect = "`quorum is LOST`, which copy is the newest, and what the others would "
                "lose.",
      .otherwise = "it says which members to start: do that, and stop here." },
    { .title = "Stop what is left",
      .why =
          "And what writes to it: under Kubernetes the API servers. A member that runs "
          "without a quorum keeps its directory in use, and answers reads with what "
          "may be old.",
      .where = "on the hosts that are left",
      .expect = "no etcd process there." },
    { .title = "Write one plan for all hosts",
      .why = "Nothing is changed yet. All that the newest copy holds, its log applied, "
             "goes into one file beside the plan. The new cluster has the voters of the "
             "old one and their addresses; `--members` names others, for hosts that are "
             "new.",
      .where = "on the host of a survivor",
      .commands = "holdfast recover --plan {plan} {data-dir}",
      .expect = "the new cluster's id, the revision it begins with, what is or may be "
                "lost, and each host's part. Read it.",
      .otherwise = "it says why no new cluster may be built, and what to do instead." },
    { .title = "Bring the plan to every host",
      .why =
          "Copy {plan} and the .db file beside it, which the plan names as its source, "
          "into one folder on each host. Hosts that are new need etcd as the old ones "
          "had it: its unit, its manifest, or its flags.",
      .where = "on every host" },
    { .title = "Carry the plan out on each host",
      .why =
          "The survivor's host first. The old directory is moved aside, never deleted; "
          "every step is written down, and the same command goes on after a failure. "
          "A unit or a static pod is stopped and started by it.",
      .where = "on the host of each member",
      .commands = "holdfast recover --apply {plan} --member {here} \\\n"
                  "    --data-dir {data-dir} --yes",
      .expect =
          "`waits-for-others` or `serves`; or `to-be-started`: then start etcd there "
          "as it was started before.",
      .otherwise = "it has changed nothing when it refuses; `holdfast recover --rollback "
                   "{plan} --member {here}` puts the old state back until the new "
                   "cluster has taken a write.",
      .each = true },
    { .title = "See that each host is done",
      .why = "The same command again looks, and does nothing twice.",
      .where = "on the host of each member",
      .commands = "holdfast recover --apply {plan} --member {here} \\\n"
                  "    --data-dir {data-dir} --yes",
      .expect = "`complete`, once all members run.",
      .each = true },
    { .title = "See that the cluster is whole",
      .why = "Then start what writes to it. Under Kubernetes the last command of the "
             "step before lists what needs a restart or a look.",
      .commands = "holdfast member list\nholdfast hash",
      .expect = "every member up, and all of them equal at one revision.",
      .otherwise = "`holdfast doctor` says what ails it, and what to run next." },
    { .title = NULL },
};

const struct runbook runbooks[] = {
    { "lost-quorum", "The quorum is lost",
      "More members are gone for good than the cluster bears: nobody can write, and "
      "nothing brings them back.",
      lost_quorum },
    { "lost-member", "One member is lost, and the others serve",
      "A member's machine or disk is gone for good. A majority of the voters still takes "
      "part, so nothing is lost; but the next failure may be one too many.",
      lost_member },
    { "nospace", "The database is full",
      "Writes fail with `mvcc: database space exceeded`, and the alarm NOSPACE is "
      "raised.",
      nospace },
    { "corrupt-member", "A member holds other data than the rest",
      "The alarm CORRUPT is raised, or members answer the same read differently. Clients "
      "may read what was never written.",
      corrupt_member },
    { "restore-from-backup", "Everything is gone but a backup",
      "No member's data is left, or what is left is worse than the backup. Writes after "
      "the backup are lost.",
      restore_from_backup },
    { "two-members", "A cluster of two",
      "Two voters bear no failure. It is left by growing to three.", two_members },
    { NULL, NULL, NULL, NULL },
};

const struct runbook *runbook_find(const char *name)
{
    for (const struct runbook *b = runbooks; b->name != NULL; b++)
        if (strcmp(b->name, name) == 0)
            return b;
    return NULL;
}
