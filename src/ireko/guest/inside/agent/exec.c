#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define NOT_FOUND 127
#define NOT_EXECUTABLE 126

extern char **environ;

/* The main command's complaints go to standard error, for people, and on a pipe to the agent, with the exit code before them. */
static int trouble = -1;

/* Does not return; `return fail(...)` tells so to a compiler that does not know. */
static int fail(int code, const char *what, const char *name, const char *why)
{
    dprintf(STDERR_FILENO, "ireko-exec: %s \"%s\": %s\n", what, name, why);
    if (trouble >= 0)
        dprintf(trouble, "%d %s \"%.400s\": %s", code, what, name, why);
    _exit(code);
    return code;
}

/* From the agent's world into the image's. */
static void enter_image(void)
{
    int space = access(SYSTEM_FLAG, F_OK) ? -1 : open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (space >= 0)
        setns(space, CLONE_NEWNS);
    else if (!access(ROOT, F_OK) && chroot(ROOT))
        fail(NOT_EXECUTABLE, "can't enter", ROOT, strerror(errno));
    chdir("/");
}

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static gid_t find_group(const char *name)
{
    struct group *group = getgrnam(name);
    if (!group && !is_number(name))
        fail(NOT_EXECUTABLE, "there is no group", name, "not in the image's /etc/group");
    return group ? group->gr_gid : (gid_t)strtoul(name, NULL, 10);
}

static void take_groups(const char *name, gid_t group, bool all)
{
    if (!all || initgroups(name, group))
        setgroups(1, &group);
    if (setgid(group))
        fail(NOT_EXECUTABLE, "can't become group of", name, strerror(errno));
}

/* Become USER[:GROUP]; HOME is set when it is not. */
static void become(char *user)
{
    char *group = strchr(user, ':');
    if (group)
        *group++ = 0;
    if (!*user)
        user = "0";
    struct passwd *entry = getpwnam(user);
    if (!entry && is_number(user))
        entry = getpwuid(strtoul(user, NULL, 10));
    else if (!entry)
        fail(NOT_EXECUTABLE, "unable to find user", user, "no matching entries in passwd file");
    uid_t uid = entry ? entry->pw_uid : (uid_t)strtoul(user, NULL, 10);
    setenv("HOME", entry && *entry->pw_dir ? entry->pw_dir : "/", 0);
    bool grouped = group && *group;
    take_groups(entry ? entry->pw_name : user, grouped ? find_group(group) : entry ? entry->pw_gid : 0, entry && !grouped);
    if (setuid(uid))
        fail(NOT_EXECUTABLE, "can't become user", user, strerror(errno));
}

static void make_folders(const char *path)
{
    char text[PATH_MAX];
    snprintf(text, sizeof text, "%s", path);
    for (char *slash = text; (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        mkdir(text, 0755);
        *slash = '/';
    }
    mkdir(text, 0755);
}

static void set_defaults(void)
{
    char hostname[256] = "";
    gethostname(hostname, sizeof hostname - 1);
    setenv("PATH", DEFAULT_PATH, 0);
    setenv("HOSTNAME", hostname, 0);
    if (isatty(STDIN_FILENO))
        setenv("TERM", "xterm", 0);
}

static void take_environment(char **entries)
{
    static char *nothing[] = {NULL};
    environ = nothing;
    for (; *entries; entries++)
        if (strchr(*entries, '='))
            putenv(*entries);
}

static void lead_session(void)
{
    setsid();
    if (isatty(STDIN_FILENO))
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
}

static int become_program(char *user, const char *workdir, char **environment, char **command)
{
    if (!*workdir)
        workdir = "/";
    take_environment(environment);
    set_defaults();
    enter_image();
    if (trouble >= 0)
        make_folders(workdir);
    if (chdir(workdir))
        return fail(NOT_EXECUTABLE, "no such working directory", workdir, strerror(errno));
    become(user);
    execvp(*command, command);
    return fail(errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE, "can't run", *command, strerror(errno));
}

void become_command(int trouble_end)
{
    char *user = seed_text("user"), *workdir = seed_text("workdir");
    char **environment = seed_words("environment"), **command = seed_words("command");
    trouble = trouble_end;
    lead_session();
    if (!*command)
        fail(NOT_FOUND, "there is nothing to run in", "command", "the seed's file is empty");
    become_program(user ? user : "", workdir ? workdir : "", environment, command);
    _exit(NOT_EXECUTABLE);
}

/* ireko-exec USER WORKDIR [NAME=VALUE ...] -- ARGV... */
int exec_main(int argc, char **argv)
{
    int end = 3;
    while (end < argc && strcmp(argv[end], "--"))
        end++;
    if (end + 1 >= argc)
        return fail(NOT_FOUND, "what to run is missing after", argv[0], "USER WORKDIR [NAME=VALUE ...] -- ARGV...");
    argv[end] = NULL;
    return become_program(argv[1], argv[2], argv + 3, argv + end + 1);
}

/* ireko-shell: what the guest channel's sessions run in. */
int shell_main(int argc, char **argv)
{
    (void)argc;
    argv[0] = "sh";
    if (!access(SYSTEM_FLAG, F_OK)) {
        setenv("PATH", STATE "/bin:" DEFAULT_PATH, 1);
        enter_image();
        execv("/bin/sh", argv);
    } else {
        setenv("PATH", "/bin", 1);
        execv("/bin/busybox", argv);
    }
    return fail(NOT_EXECUTABLE, "can't run", "sh", strerror(errno));
}
