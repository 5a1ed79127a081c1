#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PIECE 65536

/* A pipe that the command writes to, and the port that its content goes to. */
struct stream {
    int from, to;
};

struct streams {
    int input, output, error; /* the command's */
    int input_writer;         /* keeps the fifo's end from being seen */
    struct stream pumps[2];
    bool terminal;
};

static void open_pump(struct stream *pump, int *end, const char *port)
{
    char path[256];
    int ends[2];
    if (!find_port(port, path, sizeof path) || (pump->to = open(path, O_WRONLY | O_CLOEXEC)) < 0)
        give_up("there is no port \"%s\"", port);
    pipe2(ends, O_CLOEXEC);
    pump->from = ends[0];
    *end = ends[1];
}

static void open_terminal(struct streams *streams)
{
    char path[256];
    if (!find_port("ireko.tty", path, sizeof path))
        give_up("there is no port \"ireko.tty\"");
    streams->terminal = true;
    streams->input = streams->output = streams->error = open("/dev/hvc0", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (streams->input < 0)
        give_up("the terminal can't be opened: %s", strerror(errno));
}

static struct streams open_streams(void)
{
    struct streams streams = {-1, -1, -1, -1, {{-1, -1}, {-1, -1}}, false};
    char *kind = seed_text("stdio");
    if (kind && !strcmp(kind, "tty")) {
        open_terminal(&streams);
    } else {
        open_pump(&streams.pumps[0], &streams.output, "ireko.stdout");
        open_pump(&streams.pumps[1], &streams.error, "ireko.stderr");
        if (kind && !strcmp(kind, "stdin")) {
            mkfifo(STDIN_FIFO, 0600);
            streams.input_writer = open(STDIN_FIFO, O_RDWR | O_CLOEXEC);
            streams.input = open(STDIN_FIFO, O_RDONLY | O_CLOEXEC);
        } else {
            streams.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
    }
    free(kind);
    return streams;
}

/* The command's process. `trouble` is where it complains when it can't be started. */
static pid_t start(const struct streams *streams, int trouble)
{
    pid_t child = fork();
    if (child)
        return child;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(streams->input, STDIN_FILENO);
    dup2(streams->output, STDOUT_FILENO);
    dup2(streams->error, STDERR_FILENO);
    become_command(trouble);
    return 0;
}

/* Pass on what is there; false at the end. */
static bool pump(struct stream *stream)
{
    static char piece[PIECE];
    ssize_t got = read(stream->from, piece, sizeof piece);
    if (got > 0)
        return write_all(stream->to, piece, got);
    if (got < 0 && errno == EINTR)
        return true;
    close(stream->from);
    stream->from = -1;
    return false;
}

/* Take in every process that has ended; whether the command is among them. */
static bool reap(pid_t command, int *status)
{
    bool found = false;
    int one;
    for (pid_t ended; (ended = waitpid(-1, &one, WNOHANG)) > 0;)
        if (ended == command) {
            *status = one;
            found = true;
        }
    return found;
}

/* What came over the pipe from the command's process: nothing, or "CODE TEXT". */
static bool started(int trouble, pid_t command)
{
    char text[512];
    ssize_t got = read(trouble, text, sizeof text - 1);
    if (got > 0) {
        text[got] = 0;
        tell("failed %s", text);
        return false;
    }
    tell("started %d", command);
    return true;
}

static int supervise(pid_t command, struct streams *streams, int signals, int trouble)
{
    int status = 0;
    bool failed = false, ended = false;
    while (!ended || trouble >= 0) {
        struct pollfd watched[4] = {
            {signals, POLLIN}, {trouble, POLLIN}, {streams->pumps[0].from, POLLIN}, {streams->pumps[1].from, POLLIN}};
        if (poll(watched, 4, -1) < 0)
            continue;
        for (int n = 0; n < 2; n++)
            if (watched[2 + n].revents)
                pump(&streams->pumps[n]);
        if (watched[1].revents) {
            failed = !started(trouble, command);
            close(trouble);
            trouble = -1;
        }
        if (watched[0].revents) {
            struct signalfd_siginfo information;
            read(signals, &information, sizeof information);
            if (information.ssi_signo == SIGUSR1 && streams->input_writer >= 0) {
                close(streams->input_writer);
                streams->input_writer = -1;
            }
            ended |= reap(command, &status);
        }
    }
    if (failed)
        return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void drain(struct streams *streams)
{
    if (streams->terminal)
        tcdrain(streams->output);
    for (int n = 0; n < 2; n++)
        while (streams->pumps[n].from >= 0)
            pump(&streams->pumps[n]);
}

static int watch_signals(void)
{
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGUSR1);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    return signalfd(-1, &watched, SFD_CLOEXEC);
}

void run_command(void)
{
    char text[16];
    int trouble[2], signals = watch_signals();
    struct streams streams = open_streams();
    pipe2(trouble, O_CLOEXEC);
    pid_t command = start(&streams, trouble[1]);
    snprintf(text, sizeof text, "%d\n", command);
    write_file(MAIN_PID, text, 0644);
    close(trouble[1]);
    if (!streams.terminal) {
        close(streams.input);
        close(streams.output);
        close(streams.error);
    }
    int code = supervise(command, &streams, signals, trouble[0]);
    kill(-1, SIGKILL);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    drain(&streams);
    unmount_all();
    if (code >= 0)
        tell("exit %d", code);
    power_off();
}

void power_off(void)
{
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}
