/* processes.c - the other processes of a run: the python that trains with PyTorch, and busy
 * neighbours. */
#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* One line without its end; -1 at the end of the stream or if the line is too long. */
static int read_line(int fd, char *line, size_t room)
{
    size_t used = 0;
    while (used + 1 < room) {
        const ssize_t n = read(fd, line + used, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        if (line[used] == '\n') {
            line[used] = '\0';
            return 0;
        }
        used++;
    }
    return -1;
}

static void set_number(const char *name, int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    setenv(name, text, 1);
}

/* torch.set_num_threads does not reach every BLAS, so the environment tells each of them too. */
static void become_python(const char *python, const char *script, int threads, const char *folder)
{
    char count[16];
    set_number("OMP_NUM_THREADS", threads);
    set_number("OPENBLAS_NUM_THREADS", threads);
    set_number("BLIS_NUM_THREADS", threads);
    set_number("MKL_NUM_THREADS", threads);
    snprintf(count, sizeof count, "%d", threads);
    const int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
    execlp(python, python, script, count, folder, (char *)NULL);
    _exit(127);
}

/* close_on_exec: a second python must not hold the first one's pipe open. */
static int make_pipe(int ends[2])
{
    if (pipe(ends) != 0) return -1;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return 0;
}

static int start(struct torch *t, const char *python, const char *script, int threads,
                 const char *folder)
{
    int to[2], from[2];
    memset(t, 0, sizeof *t);
    if (make_pipe(to) != 0) return -1;
    if (make_pipe(from) != 0) {
        close(to[0]);
        close(to[1]);
        return -1;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        become_python(python, script, threads, folder);
    }
    close(to[0]);
    close(from[1]);
    if (pid < 0) {
        close(to[1]);
        close(from[0]);
        return -1;
    }
    t->pid = pid;
    t->to = to[1];
    t->from = from[0];
    t->threads = threads;
    /* The first line is what torch says of itself; a python without torch just ends. */
    if (read_line(t->from, t->what, sizeof t->what) == 0) return 0;
    torch_end(t);
    return -1;
}

int torch_begin(struct torch *t, const char *python, const char *script, int threads,
                const char *folder)
{
    static const char *const found[] = { "python3", "/usr/bin/python3" };
    if (python != NULL) return start(t, python, script, threads, folder);
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        if (start(t, found[i], script, threads, folder) == 0) return 0;
    }
    return -1;
}

int torch_block(struct torch *t, const char *row, double seconds, double *rate)
{
    char line[256];
    if (t->pid == 0) return -1;
    const int n = snprintf(line, sizeof line, "%s %.3f\n", row, seconds);
    if (write(t->to, line, (size_t)n) == n && read_line(t->from, line, sizeof line) == 0) {
        *rate = strtod(line, NULL);
        return *rate > 0 ? 0 : -1;
    }
    torch_end(t);
    return -1;
}

void torch_end(struct torch *t)
{
    if (t->pid == 0) return;
    close(t->to); /* the end of its input is its sign to go */
    close(t->from);
    while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    t->pid = 0;
}

int busy_begin(struct busy *b, int count)
{
    const pid_t parent = getpid();
    b->count = 0;
    for (int i = 0; i < count && i < 256; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            volatile double x = 1;
            while (getppid() == parent) {
                for (int k = 0; k < 1000000; k++) x = x * 1.0000001 + 1e-9;
            }
            _exit(0);
        }
        if (pid < 0) {
            busy_end(b);
            return -1;
        }
        b->pids[b->count++] = pid;
    }
    return 0;
}

void busy_end(struct busy *b)
{
    for (int i = 0; i < b->count; i++) {
        kill(b->pids[i], SIGKILL);
        while (waitpid(b->pids[i], NULL, 0) < 0 && errno == EINTR)
            ;
    }
    b->count = 0;
}
