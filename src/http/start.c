#include <pthread.h>

#include "http/transfer.h"

static void start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void transfer_start_libcurl(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start);
}
