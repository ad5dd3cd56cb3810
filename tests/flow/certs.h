/* Certificates for a cluster on loopback. */
#ifndef TESTS_FLOW_CERTS_H
#define TESTS_FLOW_CERTS_H

/* A folder with ca, server, peer, client, and what is wrong: stranger (another
 * authority), other (of another host), old (expired); each .crt and .key. */
const char *certificates(void);

#endif
