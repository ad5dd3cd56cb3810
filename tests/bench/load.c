/* Makes a database like a Kubernetes control plane's on a running etcd, and measures what
 * its clients feel meanwhile. For `make bench`; not part of the product.
 *
 *   load load  ENDPOINT BYTES UPDATES SEED     objects of 0.5 to 8 KB until BYTES are
 * stored, UPDATES rewrites for each create load probe ENDPOINT RATE SECONDS RATE puts of
 * 1 KiB a second, open loop: each latency counts from its scheduled time; prints
 *                                              {"p50","p90","p99","max"} in milliseconds
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "wire/kv.h"
#include "wire/wire.h"

enum { THREADS = 8, VALUE_MAX = 8192, SAMPLES_MAX = 1 << 20 };

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static void must(enum rc rc, const struct err *e)
{
    if (rc == RC_OK)
        return;
    fprintf(stderr, "load: %s: %s\n", e->what, e->why);
    exit(1);
}

static struct wire_client *connect_to(const char *endpoint)
{
    const struct wire_options o = { .endpoints = endpoint, .command_timeout_ms = 30000 };
    struct wire_client *c = NULL;
    struct err e = { 0 };

    must(wire_client_new(&o, &c, &e), &e);
    return c;
}

static void put(struct wire_client *c, const char *key, const void *value, size_t n)
{
    const struct bytes v = { value, n };
    struct err e = { 0 };

    must(wire_put(c, bytes_str(key), v, 0, NULL, &e), &e);
}

/* ---- load
 * ------------------------------------------------------------------------------ */

struct loader {
    pthread_t thread;
    const char *endpoint;
    uint64_t bytes, updates, random;
    unsigned number;
};

/* Text that compresses about 4 to 1, as the objects of a control plane do. */
static size_t make_value(uint64_t *random, char value[VALUE_MAX])
{
    static const char *const words[] = { "metadata", "labels",   "app.kubernetes.io/name",
                                         "spec",     "replicas", "containers",
                                         "image",    "registry", "managedFields",
                                         "status",   "Ready",    "lastTransitionTime" };
    uint64_t pick = next_random(random);
    size_t n = 512 + pick % 1024 + (pick >> 20) % 8 * ((pick >> 32) % 820), used = 4;

    memcpy(value, "k8s", 4);
    while (used + 64 < n) {
        pick = next_random(random);
        used += (size_t)snprintf(value + used, 64, "\"%s\":\"%08x\",", words[pick % 12],
                                 (unsigned)(pick >> 32));
    }
    return used;
}

static void *load_some(void *arg)
{
    static const char *const kinds[] = {
        "pods",  "events",      "configmaps", "leases",
        "nodes", "replicasets", "endpoints",  "services"
    };
    struct loader *l = arg;
    struct wire_client *c = connect_to(l->endpoint);
    uint64_t created = 0;
    char value[VALUE_MAX], key[128];

    for (uint64_t stored = 0, step = 0; stored < l->bytes; step++) {
        bool create = step % (l->updates + 1) == 0;
        uint64_t pick = next_random(&l->random);
        uint64_t object = create ? created++ : pick % created;
        size_t n = make_value(&l->random, value);

        snprintf(key, sizeof key, "/registry/%s/namespace-%" PRIu64 "/object-%u-%" PRIu64,
                 kinds[object % 8], object % 31, l->number, object);
        put(c, key, value, n);
        stored += n + strlen(key);
    }
    wire_client_free(c);
    return NULL;
}

static int load(const char *endpoint, uint64_t bytes, uint64_t updates, uint64_t seed)
{
    struct loader loaders[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        loaders[i] = (struct loader){ .endpoint = endpoint,
                                      .bytes = bytes / THREADS,
                                      .updates = updates,
                                      .random = seed * 1000 + i,
                                      .number = i };
        pthread_create(&loaders[i].thread, NULL, load_some, &loaders[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(loaders[i].thread, NULL);
    return 0;
}

/* ---- probe
 * ----------------------------------------------------------------------------- */

struct prober {
    pthread_t thread;
    const char *endpoint;
    uint64_t start_us, interval_us, count;
    unsigned number;
    uint64_t *samples;
};

static void *probe_some(void *arg)
{
    struct prober *p = arg;
    struct wire_client *c = connect_to(p->endpoint);
    char value[1024], key[64];

    memset(value, 'v', sizeof value);
    for (uint64_t i = p->number; i < p->count; i += THREADS) {
        uint64_t due = p->start_us + i * p->interval_us;

        for (uint64_t now = clock_us(); now < due; now = clock_us())
            clock_sleep_ms((due - now) / 1000);
        snprintf(key, sizeof key, "probe/%" PRIu64, i % 100);
        put(c, key, value, sizeof value);
        p->samples[i] = clock_us() - due;
    }
    wire_client_free(c);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static double quantile_ms(const uint64_t *sorted, uint64_t n, unsigned per_mille)
{
    return (double)sorted[(n - 1) * per_mille / 1000] / 1000;
}

static int probe(const char *endpoint, uint64_t rate, uint64_t seconds)
{
    static uint64_t samples[SAMPLES_MAX];
    struct prober probers[THREADS];
    uint64_t n = rate * seconds, start = clock_us() + 100000;

    if (n == 0 || n > SAMPLES_MAX)
        return 2;
    for (unsigned i = 0; i < THREADS; i++) {
        probers[i] = (struct prober){ .endpoint = endpoint,
                                      .start_us = start,
                                      .interval_us = 1000000 / rate,
                                      .count = n,
                                      .number = i,
                                      .samples = samples };
        pthread_create(&probers[i].thread, NULL, probe_some, &probers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(probers[i].thread, NULL);
    qsort(samples, n, sizeof *samples, by_value);
    printf("{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}\n",
           quantile_ms(samples, n, 500), quantile_ms(samples, n, 900),
           quantile_ms(samples, n, 990), quantile_ms(samples, n, 1000));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "load") == 0)
        return load(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
                    strtoull(argv[5], NULL, 10));
    if (argc == 5 && strcmp(argv[1], "probe") == 0)
        return probe(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    fprintf(stderr, "usage: load load ENDPOINT BYTES UPDATES SEED\n"
                    "       load probe ENDPOINT RATE SECONDS\n");
    return 2;
}
