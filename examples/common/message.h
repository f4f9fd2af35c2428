/* message.h - one-line messages of an example program on stderr: "vae: cannot open 'x': No such
 * file or directory".
 *
 * stdout is kept for the one JSON line that every example ends with; all that is meant for people
 * goes here.
 */
#ifndef EXAMPLES_MESSAGE_H
#define EXAMPLES_MESSAGE_H

#if defined(__GNUC__)
#define MESSAGE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define MESSAGE_PRINTF(text, first)
#endif

/* The program's name, put before every line; kept as a pointer. The last part of a path is taken.
 */
void message_program(const char *name);

/* The name as given to message_program, "example" before that. */
const char *message_name(void);

/* Prints "NAME: text" and a newline to stderr. If a progress bar stands on the line, it is left
 * standing above. */
void message(const char *format, ...) MESSAGE_PRINTF(1, 2);

/* The progress bar records here whether it has left the cursor inside a line. */
void message_inside_line(int inside);

#endif
