#include "storage/sftp_line.h"

#include <stdio.h>
#include <string.h>

#include "util/str.h"

enum { LINE_SIZE = 4096, COLUMNS_BEHIND_SIZE = 4 /* month, day, time, name */ };

/* Cuts the last column off. */
static char *last_column(char *line)
{
    char *end = line + strlen(line), *begin;

    while (end > line && end[-1] == ' ')
        *--end = '\0';
    begin = strrchr(line, ' ');
    if (begin == NULL)
        return NULL;
    *begin = '\0';
    return begin + 1;
}

bool sftp_line_parse(struct bytes text, struct sftp_line *out)
{
    char line[LINE_SIZE], *column = NULL;

    if (text.n < 2 || text.n >= sizeof line || memchr(text.p, '\0', text.n) != NULL ||
        (text.p[0] != '-' && text.p[0] != 'd'))
        return false;
    memcpy(line, text.p, text.n);
    line[text.n] = '\0';
    for (int i = 0; i <= COLUMNS_BEHIND_SIZE; i++) {
        column = last_column(line);
        if (column == NULL)
            return false;
        if (i == 0 && (size_t)snprintf(out->name, sizeof out->name, "%s", column) >=
                          sizeof out->name)
            return false;
    }
    out->directory = line[0] == 'd';
    return str_to_u64(column, &out->size);
}
