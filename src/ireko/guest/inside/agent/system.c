#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void move(const char *from, const char *to)
{
    mkdir(to, 0755);
    mount(from, to, NULL, MS_MOVE, NULL);
}

void run_system(void)
{
    umask(022);
    move("/dev", ROOT "/dev");
    move("/proc", ROOT "/proc");
    move("/sys", ROOT "/sys");
    move("/run", ROOT "/run");
    if (chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot("."))
        give_up("the root file system can't become the system's: %s", strerror(errno));
    int console = open("/dev/console", O_RDWR | O_NOCTTY);
    for (int fd = 0; console >= 0 && fd < 3; fd++)
        dup2(console, fd);
    char *environment[] = {"HOME=/", "TERM=linux", NULL};
    execle("/sbin/init", "/sbin/init", NULL, environment);
    give_up("/sbin/init of the image can't be started: %s", strerror(errno));
}
