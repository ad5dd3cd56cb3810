#include "bundle/names.h"

#include <string.h>

#include "util/str.h"

static bool is_plain_path(const char *path)
{
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");

        if (n == 0 || n > 255 || (n == 1 && p[0] == '.') ||
            (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += n;
        if (*p == '\0')
            return true;
    }
}

bool bundle_name_is_file(const char *name)
{
    /* Room for a text in which every byte became \xNN. */
    char printable[4 * BUNDLE_NAME_MAX + 8];

    if (strlen(name) > BUNDLE_NAME_MAX ||
        strncmp(name, BUNDLE_FILES, sizeof BUNDLE_FILES - 1) != 0 ||
        strchr(name, '\\') != NULL)
        return false;
    str_printable(printable, sizeof printable, bytes_str(name));
    return strcmp(printable, name) == 0 && is_plain_path(name + sizeof BUNDLE_FILES - 1);
}
