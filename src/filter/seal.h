/* Sinks that seal bytes as an age file and open one again (crypto/age.h).
 *
 *     plain -> seal -> [armor] -> file          file -> unseal -> plain
 *
 * A sealed file opens with `age -d`; unseal opens what age made, armored or not. */
#ifndef FILTER_SEAL_H
#define FILTER_SEAL_H

#include "crypto/age.h"
#include "filter/sink.h"

/* Keys are made and wrapped by this call; `to` is not needed afterwards. With a
 * passphrase it takes a second and 256 MiB. */
enum rc seal_sink_new(struct sink *next, const struct age_recipients *to,
                      struct sink **out, struct err *e);

/* Passes plaintext on chunk by chunk, each authenticated; but only a successful finish
 * proves that no chunk is missing at the end, so publish nothing before it.
 * `ids` must live until the header has been read, best as long as the chain.
 *
 * RC_CORRUPT: no age file, or its header, a chunk (number and offset given) or its
 * armor is damaged, or it is truncated. RC_NOKEY: no identity opens it. After a
 * failure nothing more is passed on, and every later call fails too. */
enum rc unseal_sink_new(struct sink *next, const struct age_identities *ids,
                        struct sink **out, struct err *e);

/* Text for mail and terminals: strict PEM with the label AGE ENCRYPTED FILE. */
enum rc armor_sink_new(struct sink *next, struct sink **out, struct err *e);

/* The reverse. ARMOR_DETECT passes on unchanged what begins with anything but a dash
 * or white space; unseal_sink_new has one of these in front. RC_CORRUPT names the line.
 */
enum armor_mode { ARMOR_REQUIRED, ARMOR_DETECT };
enum rc unarmor_sink_new(struct sink *next, enum armor_mode mode, struct sink **out,
                         struct err *e);

#endif
