#include "agent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS STATE "/bin"
#define PROGRAM WORDS "/ireko"
#define SYSTEMD_POWER_OFF 38 /* systemd(1): SIGRTMIN+4, by glibc's numbers */

static bool in_system(void)
{
    return !access(SYSTEM_FLAG, F_OK);
}

static pid_t main_process(void)
{
    char *text = read_file(MAIN_PID, NULL);
    pid_t process = text ? atoi(text) : 0;
    free(text);
    return process;
}

int root_main(void)
{
    puts(in_system() ? "/" : ROOT);
    return 0;
}

int signal_main(int argc, char **argv)
{
    pid_t process = main_process();
    if (argc != 2 || process <= 0) {
        fputs("ireko-signal: there is no main command\n", stderr);
        return 1;
    }
    return kill(process, atoi(argv[1])) ? 1 : 0;
}

int poweroff_main(void)
{
    pid_t process = main_process();
    if (in_system())
        return kill(1, SYSTEMD_POWER_OFF) ? 1 : 0;
    return process > 0 && kill(process, SIGTERM) ? 1 : 0;
}

int close_stdin_main(void)
{
    return kill(1, SIGUSR1) ? 1 : 0;
}

void show_words(bool system)
{
    if (!system) {
        symlink("/init", STATE "/close-stdin");
        return;
    }
    /* the image's processes can't see the initrd, but they see this file system */
    mkdir(WORDS, 0755);
    copy_file("/init", PROGRAM, 0755);
    symlink(PROGRAM, WORDS "/ireko-exec");
    symlink(PROGRAM, WORDS "/ireko-root");
    symlink(PROGRAM, WORDS "/ireko-signal");
    symlink(PROGRAM, WORDS "/ireko-poweroff");
    write_file(SYSTEM_FLAG, "", 0644);
}
