/* One line of an SFTP server's list: `ls -l`, more or less. */
#ifndef STORAGE_SFTP_LINE_H
#define STORAGE_SFTP_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"

struct sftp_line {
    char name[256];
    bool directory;
    uint64_t size;
};

/* "-rw-------    1 user   group       6 Nov 21 15:18 f". Only the first character and the
 * last five columns are looked at, so that users and groups may be called anything. False
 * for what is neither file nor directory, and for names with a blank. */
bool sftp_line_parse(struct bytes text, struct sftp_line *out);

#endif
