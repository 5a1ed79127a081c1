#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 512

/* The part of a tar header that we need (POSIX.1-1988, "ustar"). */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, rest[355];
};

static bool save(const char *name, const char *data, size_t size)
{
    char path[256];
    if (strchr(name, '/'))
        return true; /* nothing of ours */
    snprintf(path, sizeof path, SEED "/%s", name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write_all(fd, data, size);
    if (fd >= 0)
        close(fd);
    return done;
}

bool unpack_seed(const char *device)
{
    struct header header;
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = true;
    while (good && read(fd, &header, BLOCK) == BLOCK && header.name[0]) {
        size_t size = strtoul(header.size, NULL, 8), padded = (size + BLOCK - 1) / BLOCK * BLOCK;
        char *data = malloc(padded + 1);
        size_t got = 0;
        for (ssize_t more; data && got < padded && (more = read(fd, data + got, padded - got)) > 0;)
            got += more;
        good = data && got == padded && save(header.name, data, size);
        free(data);
    }
    close(fd);
    return good;
}

static void seed_path(const char *name, char *path, size_t size)
{
    snprintf(path, size, SEED "/%s", name);
}

bool seed_has(const char *name)
{
    char path[256];
    seed_path(name, path, sizeof path);
    return !access(path, F_OK);
}

char *seed_text(const char *name)
{
    char path[256];
    seed_path(name, path, sizeof path);
    char *text = read_file(path, NULL);
    size_t length = text ? strlen(text) : 0;
    while (length && text[length - 1] == '\n')
        text[--length] = 0;
    return text;
}

char **seed_words(const char *name)
{
    char path[256];
    size_t size = 0, count = 0;
    seed_path(name, path, sizeof path);
    char *text = read_file(path, &size);
    for (size_t at = 0; at < size; at++)
        count += !text[at];
    char **words = calloc(count + 1, sizeof *words), *next = text;
    for (size_t n = 0; n < count; n++, next += strlen(next) + 1)
        words[n] = next;
    return words;
}
