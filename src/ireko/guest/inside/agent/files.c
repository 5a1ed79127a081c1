#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        data += done;
        size -= done;
    }
    return true;
}

bool write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return false;
    bool done = write_all(fd, text, strlen(text));
    close(fd);
    return done;
}

char *read_file(const char *path, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    size_t size = 0, room = 4096;
    char *text = malloc(room);
    for (;;) {
        ssize_t got = read(fd, text + size, room - size - 1);
        if (got <= 0)
            break;
        size += got;
        if (room - size < 2048)
            text = realloc(text, room *= 2);
    }
    close(fd);
    text[size] = 0;
    if (length)
        *length = size;
    return text;
}

bool copy_file(const char *from, const char *to, mode_t mode)
{
    char piece[65536];
    int source = open(from, O_RDONLY | O_CLOEXEC), target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    ssize_t got = -1;
    while (source >= 0 && target >= 0 && (got = read(source, piece, sizeof piece)) > 0)
        if (!write_all(target, piece, got))
            break;
    close(source);
    close(target);
    return got == 0;
}
