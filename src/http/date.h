/* Times as HTTP writes them. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

/* "Sat, 21 Nov 2026 15:03:14 GMT", and nothing else, as seconds since 1970. */
bool http_date(const char *text, int64_t *out);

#endif
