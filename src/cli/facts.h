/* How what is known of a snapshot is shown, the same in all commands. */
#ifndef CLI_FACTS_H
#define CLI_FACTS_H

#include "cli/render.h"
#include "mvcc/facts.h"
#include "util/findings.h"

/* "hashkv": a number, or null when it is not known. */
void show_hashkv(struct result *r, const struct mvcc_facts *f);

/* "sha256" or another digest, as hex. */
void show_digest(struct result *r, const char *label, const char *key,
                 const uint8_t *digest);

/* An array of findings for JSON; lines for people. */
void show_findings(struct result *r, const struct findings *f);

#endif
