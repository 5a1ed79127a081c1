#define _GNU_SOURCE
#include "agent.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GREETING "ireko\n"

static pid_t start_server(int port)
{
    pid_t child = fork();
    if (child)
        return child;
    dup2(port, STDIN_FILENO);
    dup2(port, STDOUT_FILENO);
    /* what it says about each connection is of no use to anyone */
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    execl("/bin/dropbear", "dropbear", "-i", "-E", "-s", "-r", SEED "/host_key_dropbear", NULL);
    _exit(127);
    return 0;
}

/* One connection after the other, for ever. The greeting's write waits until the host has connected. */
static void serve(const char *path)
{
    for (;;) {
        int port = open(path, O_RDWR | O_CLOEXEC);
        if (port < 0 || !write_all(port, GREETING, strlen(GREETING)))
            _exit(1);
        pid_t server = start_server(port);
        close(port);
        for (pid_t ended; (ended = wait(NULL)) > 0 && ended != server;)
            ;
    }
}

void serve_channel(bool system)
{
    char path[256];
    int until[2];
    if (!find_port("ireko.ssh", path, sizeof path))
        give_up("there is no port \"ireko.ssh\"");
    pipe2(until, O_CLOEXEC);
    if (fork()) {
        close(until[0]);
        if (!system)
            close(until[1]);
        return;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    close(until[1]);
    /* its own view of the mounts: it keeps the initrd as its root when the system gets another */
    if (system)
        unshare(CLONE_NEWNS);
    /* process 1 becomes the image's init: its end of the pipe closes, and there is something to enter */
    char nothing;
    while (read(until[0], &nothing, 1) > 0)
        ;
    close(until[0]);
    serve(path);
}
