/* The agent's own metrics as text. What matters most is the age of the newest proved
 * backup: it grows whatever the reason, also when nothing runs at all. */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include "agent/standing.h"

struct agent_metrics {
    const struct agent_standing *clusters;
    size_t count;
    int64_t now, started; /* seconds since 1970 */
    int64_t reloaded;     /* when the configuration was last read */
    bool reload_ok;       /* that time it could be used */
    const char *version;
};

enum metrics_format {
    METRICS_TEXT,        /* Prometheus' text format 0.0.4: textfiles, old scrapers */
    METRICS_OPENMETRICS, /* OpenMetrics 1.0 */
};

enum rc agent_metrics_text(const struct agent_metrics *m, enum metrics_format format,
                           struct buf *out, struct err *e);

/* Is every cluster's newest proved backup young enough? With a sentence for each that has
 * none or an old one. A cluster without a limit is well as long as it has one. */
enum rc agent_health_text(const struct agent_metrics *m, const struct agent_config *f,
                          bool *well, struct buf *out, struct err *e);

#endif
