#include "host/quote.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum rc quote_shell(struct buf *b, const char *text, struct err *e)
{
    bool bare = text[0] != '\0';

    for (const char *c = text; *c != '\0'; c++)
        bare = bare && (isalnum((unsigned char)*c) || strchr("-_./:,=@+", *c) != NULL);
    if (bare)
        return buf_add(b, text, strlen(text), e);
    TRY(buf_add(b, "'", 1, e));
    for (const char *c = text; *c != '\0'; c++)
        TRY(*c == '\'' ? buf_add(b, "'\\''", 4, e) : buf_add(b, c, 1, e));
    return buf_add(b, "'", 1, e);
}

enum rc quote_double(struct buf *b, const char *text, bool for_unit, struct err *e)
{
    TRY(buf_add(b, "\"", 1, e));
    for (const char *c = text; *c != '\0'; c++) {
        char out[5] = { *c, '\0' };

        if ((unsigned char)*c < 0x20)
            snprintf(out, sizeof out, "\\x%02x", (unsigned char)*c);
        else if (*c == '"' || *c == '\\')
            snprintf(out, sizeof out, "\\%c", *c);
        else if (for_unit && (*c == '%' || *c == '$'))
            snprintf(out, sizeof out, "%c%c", *c, *c);
        TRY(buf_add(b, out, strlen(out), e));
    }
    return buf_add(b, "\"", 1, e);
}

void quote_variable(const char *flag, char out[static 64])
{
    size_t n = (size_t)snprintf(out, 64, "ETCD_%s", flag);

    for (size_t i = 5; i < n && i < 63; i++)
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}
