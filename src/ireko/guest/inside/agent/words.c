#include "agent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS STATE "/bin"
#define PROGRAM WORDS "/ireko"
#define PATIENCE 60 /* seconds for a system to come up */
#define SYSTEMD_POWER_OFF 38 /* systemd(1): SIGRTMIN+4, by glibc's numbers */

static bool in_system(void)
{
    return !access(SYSTEM_FLAG, F_OK);
}

/* Whether process 1 catches a signal, or waits for it. */
static bool is_awaited(int signal)
{
    char *text = read_file("/proc/1/status", NULL);
    unsigned long long awaited = 0, mask;
    for (char *rest = text, *line; text && (line = strsep(&rest, "\n"));)
        if (sscanf(line, "SigBlk: %llx", &mask) == 1 || sscanf(line, "SigCgt: %llx", &mask) == 1)
            awaited |= mask;
    free(text);
    return awaited >> (signal - 1) & 1;
}

/* A system that has just begun to start would not notice. */
static int end_system(void)
{
    for (int tries = 0; tries < PATIENCE * 10 && !is_awaited(SYSTEMD_POWER_OFF); tries++)
        usleep(100000);
    return kill(1, SYSTEMD_POWER_OFF) ? 1 : 0;
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
        return end_system();
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
