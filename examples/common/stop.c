/* stop.c - Ctrl-C asks for a stop between two steps. */
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
    /* RESETHAND: the handler runs once, so that the second Ctrl-C has its default effect */
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, &action, NULL) == 0) return 0;
    message("cannot install a handler for Ctrl-C: %s", strerror(errno));
    return -1;
}

int stop_requested(void)
{
    return atomic_load(&requested);
}
