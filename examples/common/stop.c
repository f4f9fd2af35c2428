/* stop.c - Ctrl-C, and SIGTERM, ask for a stop between two steps. */
#define _XOPEN_SOURCE 700

#include "stop.h"

#include "message.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* The signal may arrive on any thread, so a plain sig_atomic_t is not enough. */
static atomic_int requested = 0;

static void on_interrupt(int number)
{
    static const char line[] = "\nstopping after this step; Ctrl-C again ends at once\n";
    const int kept = errno;
    (void)number;
    atomic_store(&requested, 1);
    signal(SIGINT, SIG_DFL); /* the second of either ends the program */
    signal(SIGTERM, SIG_DFL);
    if (isatty(STDERR_FILENO)) {
        const ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
        (void)written;
    }
    errno = kept;
}

int stop_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0) return 0;
    message("cannot install a handler for Ctrl-C and SIGTERM: %s", strerror(errno));
    return -1;
}

int stop_requested(void)
{
    return atomic_load(&requested);
}
