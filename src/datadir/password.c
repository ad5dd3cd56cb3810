#include "datadir/password.h"

#include <crypt.h>

#include "util/mem.h"
#include "util/os.h"

enum { COST = 10, SALT = 16 };

enum rc datadir_hash_password(void *arg, const char *password, struct buf *out,
                              struct err *e)
{
    struct crypt_data *work = NULL;
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], salt[SALT];
    const char *hash = NULL;
    enum rc rc;

    (void)arg;
    TRY(os_random(salt, sizeof salt, e));
    TRY(mem_new(&work, sizeof *work, "hashing a password", e));
    if (crypt_gensalt_rn("$2b$", COST, salt, SALT, setting, sizeof setting) != NULL)
        hash = crypt_r(password, setting, work);
    /* crypt_r tells failure by a text that is no hash. */
    if (hash == NULL || hash[0] != '$')
        rc = err_set(e, RC_INTERNAL, "this system's libcrypt cannot make bcrypt hashes");
    else
        rc = buf_add(out, hash, strlen(hash), e);
    mem_wipe(work, sizeof *work);
    mem_free(work);
    return rc;
}
