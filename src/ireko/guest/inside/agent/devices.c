#include "agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"
#define DISKS "/sys/block"
#define KERNEL_EVENTS 15 /* NETLINK_KOBJECT_UEVENT */
#define PATIENCE 10000   /* milliseconds without any event before a port is taken to be missing */

struct netlink_address {
    unsigned short family, pad;
    unsigned int pid, groups;
};

static int kernel_events = -1;

void mount_kernel_file_systems(void)
{
    mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    mkdir("/dev/pts", 0755);
    mkdir("/dev/shm", 01777);
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666");
    symlink("/proc/self/fd", "/dev/fd");
    symlink("/proc/self/fd/0", "/dev/stdin");
    symlink("/proc/self/fd/1", "/dev/stdout");
    symlink("/proc/self/fd/2", "/dev/stderr");
    mkdir(STATE, 0755);
    mkdir(SEED, 0700);

    /* opened before the drivers are, so that no port appears unseen */
    struct netlink_address address = {AF_NETLINK, 0, 0, 1};
    kernel_events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, KERNEL_EVENTS);
    bind(kernel_events, (struct sockaddr *)&address, sizeof address);
}

static void load_module(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "/modules/%s.ko", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        syscall(SYS_finit_module, fd, "", 0);
        close(fd);
    }
}

void load_modules(const char *list)
{
    char *names = read_file(list, NULL), *rest = names;
    for (char *name; names && (name = strsep(&rest, "\n"));)
        if (*name)
            load_module(name);
    free(names);
}

/* Whether the first line of a sysfs file is `value`. */
static bool says(const char *folder, const char *entry, const char *file, const char *value)
{
    char path[512], text[256];
    snprintf(path, sizeof path, "%s/%s/%s", folder, entry, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got < 0)
        return false;
    text[got] = 0;
    text[strcspn(text, "\n")] = 0;
    return !strcmp(text, value);
}

/* The first entry of a sysfs folder with a file that says `value`; its name is appended to "/dev/". */
static bool find(const char *folder, const char *file, const char *value, char *path, size_t size)
{
    DIR *entries = opendir(folder);
    bool found = false;
    for (struct dirent *entry; entries && !found && (entry = readdir(entries));)
        if (entry->d_name[0] != '.' && says(folder, entry->d_name, file, value)) {
            snprintf(path, size, "/dev/%s", entry->d_name);
            found = true;
        }
    if (entries)
        closedir(entries);
    return found;
}

bool find_port(const char *name, char *path, size_t size)
{
    char event[4096];
    while (!find(PORTS, "name", name, path, size)) {
        struct pollfd waiting = {kernel_events, POLLIN};
        if (poll(&waiting, 1, PATIENCE) <= 0)
            return false;
        while (recv(kernel_events, event, sizeof event, MSG_DONTWAIT) > 0)
            ;
    }
    return true;
}

bool find_disk(const char *serial, char *path, size_t size)
{
    return find(DISKS, "serial", serial, path, size);
}

/* Whether this partition's name in the partition table is "root". */
static bool is_root_partition(const char *disk, const char *partition)
{
    char path[512];
    snprintf(path, sizeof path, DISKS "/%s/%s/uevent", disk, partition);
    char *text = read_file(path, NULL);
    bool is = text && strstr(text, "\nPARTNAME=root\n");
    free(text);
    return is;
}

bool find_root_device(char *path, size_t size)
{
    char disk[256], folder[512];
    if (!find_disk("root", disk, sizeof disk))
        return false;
    const char *name = disk + strlen("/dev/");
    snprintf(path, size, "%s", disk);
    snprintf(folder, sizeof folder, DISKS "/%s", name);
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (!strncmp(entry->d_name, name, strlen(name)) && is_root_partition(name, entry->d_name))
            snprintf(path, size, "/dev/%s", entry->d_name);
    if (entries)
        closedir(entries);
    return true;
}
