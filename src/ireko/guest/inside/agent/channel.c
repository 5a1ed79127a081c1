#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GREETING "ireko\n"
#define PIECE 32768 /* what a port takes at once */

static pid_t start_server(int end)
{
    pid_t child = fork();
    if (child)
        return child;
    dup2(end, STDIN_FILENO);
    dup2(end, STDOUT_FILENO);
    /* what it says about each connection is of no use to anyone */
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    execl("/bin/dropbear", "dropbear", "-i", "-s", "-r", SEED "/host_key_dropbear", NULL);
    _exit(127);
    return 0;
}

/* Pass on what is there; false at the end. */
static bool pass(int from, int to)
{
    static char piece[PIECE];
    ssize_t got = read(from, piece, sizeof piece);
    return got > 0 ? write_all(to, piece, got) : got < 0 && errno == EINTR;
}

/* The server wants a socket, and a port is none: what comes on one goes to the other, until either ends. */
static void relay(int port, int end)
{
    struct pollfd watched[2] = {{port, POLLIN}, {end, POLLIN}};
    bool going = true;
    while (going) {
        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[1].revents)
            going = pass(end, port);
        if (watched[0].revents)
            going = going && pass(port, end);
    }
}

/* One connection after the other, for ever. The greeting's write waits until the host has connected. */
static void serve(const char *path)
{
    for (;;) {
        int ends[2], port = open(path, O_RDWR | O_CLOEXEC);
        if (port < 0 || !write_all(port, GREETING, strlen(GREETING)) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
            _exit(1);
        pid_t server = start_server(ends[1]);
        close(ends[1]);
        relay(port, ends[0]);
        close(ends[0]);
        close(port);
        for (pid_t ended; (ended = wait(NULL)) > 0 && ended != server;)
            ;
    }
}

/* What the channel's process does first; `ready` is closed when it is done. */
static void settle(bool system, int ready)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    /* its own view of the mounts: it keeps the initrd as its root when the system gets another */
    if (system)
        unshare(CLONE_NEWNS);
    close(ready);
}

static void wait_for_end(int pipe)
{
    char nothing;
    while (read(pipe, &nothing, 1) < 0 && errno == EINTR)
        ;
    close(pipe);
}

void serve_channel(bool system)
{
    char path[256];
    int ready[2], until[2];
    if (!find_port("ireko.ssh", path, sizeof path))
        give_up("there is no port \"ireko.ssh\"");
    pipe2(ready, O_CLOEXEC);
    pipe2(until, O_CLOEXEC);
    if (fork()) {
        close(until[0]);
        close(ready[1]);
        wait_for_end(ready[0]);
        /* in the system way this end closes when process 1 becomes the image's init, and there is something to enter */
        if (!system)
            close(until[1]);
        return;
    }
    close(ready[0]);
    close(until[1]);
    settle(system, ready[1]);
    wait_for_end(until[0]);
    serve(path);
}
