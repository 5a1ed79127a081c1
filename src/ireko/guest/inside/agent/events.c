#include "agent.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static int events = -1;

void open_events(void)
{
    char path[256];
    if (find_port("ireko.ctl", path, sizeof path))
        events = open(path, O_WRONLY | O_CLOEXEC);
}

static void tell_arguments(const char *format, va_list arguments)
{
    char line[1024];
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    for (int at = 0; at < length; at++)
        if (line[at] == '\n')
            line[at] = ' ';
    line[length++] = '\n';
    /* nobody listens: the console is better than nothing */
    write_all(events >= 0 ? events : STDERR_FILENO, line, length);
}

void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell_arguments(format, arguments);
    va_end(arguments);
}

void give_up(const char *format, ...)
{
    char text[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tell("error %s", text);
    power_off();
}
