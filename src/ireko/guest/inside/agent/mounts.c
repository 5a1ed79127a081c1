#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPENAT2 437
#define IN_ROOT 0x10 /* RESOLVE_IN_ROOT */

static int root = -1;
static char *mounted[256];
static int mounted_count;

/* Open a path inside the root file system: absolute symbolic links and ".." stay in it. */
static int open_inside(const char *path, int flags, mode_t mode)
{
    struct {
        unsigned long long flags, mode, resolve;
    } how = {flags | O_CLOEXEC, flags & O_CREAT ? mode : 0, IN_ROOT};
    return syscall(OPENAT2, root, path, &how, sizeof how);
}

/* Open a folder inside the root file system, making what is missing of it. */
static int make_folder(const char *path)
{
    char text[PATH_MAX], *rest = text;
    snprintf(text, sizeof text, "%s", path);
    int folder = open_inside("/", O_PATH | O_DIRECTORY, 0);
    char upto[PATH_MAX] = "";
    for (char *name; folder >= 0 && (name = strsep(&rest, "/"));) {
        if (!*name)
            continue;
        strcat(upto, "/");
        strcat(upto, name);
        int next = open_inside(upto, O_PATH | O_DIRECTORY, 0);
        if (next < 0 && errno == ENOENT && !mkdirat(folder, name, 0755))
            next = open_inside(upto, O_PATH | O_DIRECTORY, 0);
        close(folder);
        folder = next;
    }
    return folder;
}

static bool mount_on(int place, const char *source, const char *type, unsigned long flags, const char *options)
{
    char path[64], target[PATH_MAX];
    if (place < 0)
        return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", place);
    ssize_t length = readlink(path, target, sizeof target - 1);
    bool done = !mount(source, path, type, flags, options);
    if (done && length > 0 && mounted_count < (int)(sizeof mounted / sizeof *mounted)) {
        target[length] = 0;
        mounted[mounted_count++] = strdup(target);
    }
    close(place);
    return done;
}

void mount_root(void)
{
    char device[256];
    if (!find_root_device(device, sizeof device))
        give_up("there is no disk with the serial \"root\"");
    if (mount(device, ROOT, "ext4", MS_NOATIME, NULL))
        give_up("the root file system on %s can't be mounted: %s", device, strerror(errno));
    root = open(ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void mount_kernel_views(void)
{
    mount_on(make_folder("dev"), "/dev", NULL, MS_BIND | MS_REC, NULL);
    mount_on(make_folder("proc"), "/proc", NULL, MS_BIND | MS_REC, NULL);
    mount_on(make_folder("sys"), "/sys", NULL, MS_BIND | MS_REC, NULL);
    mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

/* A file of ours is seen in place of the image's; nothing is written to the disk but an empty file that was not there. */
static void cover(const char *path, const char *with)
{
    int place = open_inside(path, O_PATH, 0);
    if (place < 0 && errno == ENOENT) {
        int made = open_inside(path, O_CREAT | O_WRONLY, 0644);
        if (made >= 0)
            close(made);
        place = open_inside(path, O_PATH, 0);
    }
    mount_on(place, with, NULL, MS_BIND, NULL);
}

void mount_identity(bool system)
{
    char *hostname = seed_text("hostname"), *machine = seed_text("machine-id"), text[1024];
    if (hostname && *hostname) {
        sethostname(hostname, strlen(hostname));
        snprintf(text, sizeof text, "%s\n", hostname);
        write_file(STATE "/hostname", text, 0644);
        snprintf(text, sizeof text, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t%s\n", hostname);
        write_file(STATE "/hosts", text, 0644);
        cover("etc/hostname", STATE "/hostname");
        cover("etc/hosts", STATE "/hosts");
    }
    if (machine && *machine) {
        snprintf(text, sizeof text, "%s\n", machine);
        write_file(STATE "/machine-id", text, 0444);
        if (system || !faccessat(root, "etc/machine-id", F_OK, 0))
            cover("etc/machine-id", STATE "/machine-id");
    }
    if (!access(STATE "/resolv.conf", F_OK))
        cover("etc/resolv.conf", STATE "/resolv.conf");
    free(hostname);
    free(machine);
}

static void mount_volume(const char *tag, const char *path, bool read_only)
{
    char device[256];
    unsigned long flags = read_only ? MS_RDONLY : 0;
    bool disk = !strncmp(tag, "vol-", 4);
    if (disk && !find_disk(tag, device, sizeof device))
        give_up("there is no disk with the serial \"%s\", to be mounted at %s", tag, path);
    if (!disk)
        load_modules("/modules/shares");
    int place = make_folder(path);
    if (place < 0)
        give_up("the mount point %s can't be made: %s", path, strerror(errno));
    if (!mount_on(place, disk ? device : tag, disk ? "ext4" : "virtiofs", flags, NULL))
        give_up("\"%s\" can't be mounted at %s: %s", tag, path, strerror(errno));
}

void mount_volumes(void)
{
    char *text = seed_text("mounts"), *rest = text;
    for (char *line; text && (line = strsep(&rest, "\n"));) {
        char *tag = strsep(&line, "\t"), *path = strsep(&line, "\t"), *mode = line;
        if (path && mode)
            mount_volume(tag, path, !strcmp(mode, "ro"));
    }
    free(text);
}

static void unpack_copy(const char *device)
{
    int status = 0;
    pid_t child = fork();
    if (!child) {
        /* chroot makes the image's own symbolic links hold; the program is reached through process 1 */
        if (!chroot(ROOT) && !chdir("/"))
            execl("/proc/1/root/bin/busybox", "tar", "-x", "-p", "-f", device, NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    if (status)
        give_up("what was to be copied in from %s can't be unpacked", device);
}

void unpack_copies(void)
{
    char serial[32], device[256];
    for (int n = 0; n < 256; n++) {
        snprintf(serial, sizeof serial, "copy-%d", n);
        if (find_disk(serial, device, sizeof device))
            unpack_copy(device);
    }
}

void unmount_all(void)
{
    if (root >= 0)
        close(root);
    root = -1;
    while (mounted_count)
        if (umount2(mounted[--mounted_count], 0))
            umount2(mounted[mounted_count], MNT_DETACH);
    /* what still holds it is gone with the power; what it wrote is kept */
    if (umount2(ROOT, 0) && mount(NULL, ROOT, NULL, MS_REMOUNT | MS_RDONLY, NULL))
        sync();
}
