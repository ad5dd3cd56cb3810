/* Health checks that are told from outside, in the form that healthchecks.io and others
 * take: URL/start when a job begins, URL when it went well, URL/STATUS when it did not,
 * with the end of what it said. Never more than a warning when nobody answers. */
#ifndef AGENT_PING_H
#define AGENT_PING_H

/* A NULL url does nothing. */
void ping_start(const char *url);
void ping_end(const char *url, int status, const char *said);

#endif
