#include "cli/cluster.h"

#include <string.h>

#include "util/mem.h"

static enum rc password(void *arg, char **out, struct err *e)
{
    struct cli_cluster *k = arg;
    enum rc rc;

    pthread_mutex_lock(&k->lock);
    rc = cli_password(&k->login, out, e);
    pthread_mutex_unlock(&k->lock);
    return rc;
}

static enum rc connect_one(void *arg, const char *endpoint, struct wire_client **out,
                           struct err *e)
{
    struct cli_cluster *k = arg;
    struct wire_options o = cli_wire_options(&k->cli->connection, &k->login);

    o.endpoints = endpoint;
    o.password = password;
    o.password_arg = k;
    o.cluster_id = k->cluster_id;
    return wire_client_new(&o, out, e);
}

enum rc cli_cluster_init(struct cli_cluster *k, struct cli *c, struct err *e)
{
    *k = (struct cli_cluster){ .cli = c, .lock = PTHREAD_MUTEX_INITIALIZER };
    k->access = (struct care_access){ .endpoints = &c->connection.endpoints,
                                      .connect = connect_one,
                                      .arg = k };
    return cli_login_init(&k->login, &c->connection, e);
}

void cli_cluster_clear(struct cli_cluster *k)
{
    cli_login_clear(&k->login);
    pthread_mutex_destroy(&k->lock);
}
