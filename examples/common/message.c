/* message.c - one-line messages on stderr. */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *program = "example";
static int inside_line = 0;

void message_program(const char *name)
{
    if (name == NULL || name[0] == '\0') return;
    const char *slash = strrchr(name, '/');
    program = slash != NULL && slash[1] != '\0' ? slash + 1 : name;
}

const char *message_name(void)
{
    return program;
}

void message(const char *format, ...)
{
    va_list arguments;
    if (inside_line) fputc('\n', stderr);
    inside_line = 0;
    fprintf(stderr, "%s: ", program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void message_inside_line(int inside)
{
    inside_line = inside;
}
