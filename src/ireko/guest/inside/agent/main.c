#include "agent.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_seed(void)
{
    char device[256];
    if (!find_disk("seed", device, sizeof device))
        give_up("there is no disk with the serial \"seed\"");
    if (!unpack_seed(device))
        give_up("the seed can't be read");
}

static void start_network(void)
{
    char *network = seed_text("network");
    if (network && *network)
        load_modules("/modules/network");
    set_up_network();
    free(network);
}

static _Noreturn void run_machine(void)
{
    umask(022);
    mount_kernel_file_systems();
    load_modules("/modules/drivers");
    open_events();
    read_seed();
    bool system = !seed_has("command");
    mount_root();
    show_words(system);
    start_network();
    if (!system)
        mount_kernel_views();
    mount_identity(system);
    mount_volumes();
    unpack_copies();
    serve_channel(system);
    tell("ready");
    if (system)
        run_system();
    run_command();
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    if (!strcmp(name, "ireko-exec"))
        return exec_main(argc, argv);
    if (!strcmp(name, "ireko-shell"))
        return shell_main(argc, argv);
    if (!strcmp(name, "ireko-root"))
        return root_main();
    if (!strcmp(name, "ireko-signal"))
        return signal_main(argc, argv);
    if (!strcmp(name, "ireko-poweroff"))
        return poweroff_main();
    if (!strcmp(name, "close-stdin"))
        return close_stdin_main();
    if (getpid() == 1)
        run_machine();
    return 1;
}
