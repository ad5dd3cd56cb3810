/* holdfast: what the process needs before any work, then the command line. */
#include "cli/cli.h"
#include "util/process.h"
#include "util/stop.h"

int main(int argc, char **argv)
{
    process_fill_standard_fds();
    process_reach_own_files();
    stop_install();
    return cli_main(argc, argv);
}
