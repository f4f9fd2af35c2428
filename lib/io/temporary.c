/* temporary.c - names that cannot be foretold, and locks that end with their process. */
#define _DEFAULT_SOURCE /* flock, getrandom */
#define _POSIX_C_SOURCE 200809L

#include "io/temporary.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BEGINNING ".gm-"
#define DIGITS 16
#define ENDING ".tmp"

void gm_temporary_name(char name[GM_TEMPORARY_NAME])
{
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits) {
        /* Soon after the start of the system: the file is created exclusively all the same. */
        struct timespec now = { 0, 0 };
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        bits = ((uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec ^ (uint64_t)getpid() << 40) *
               0x9e3779b97f4a7c15u;
    }
    (void)snprintf(name, GM_TEMPORARY_NAME, BEGINNING "%016" PRIx64 ENDING, bits);
}

static int is_ours(const char *name)
{
    const size_t begins = sizeof BEGINNING - 1;
    return strlen(name) == GM_TEMPORARY_NAME - 1 && !strncmp(name, BEGINNING, begins) &&
           strspn(name + begins, "0123456789abcdef") == DIGITS &&
           !strcmp(name + begins + DIGITS, ENDING);
}

/* Who gets the lock of a temporary file, and still finds it under its name, has it alone: its
 * writer is dead, or will see that it lost it (replace.c). */
static void remove_if_dead(int folder, const char *name)
{
    struct stat info;
    const int fd = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return;
    if (!fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_uid == geteuid() &&
        !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &info) && info.st_nlink == 1)
        (void)unlinkat(folder, name, 0);
    close(fd);
}

void gm_temporary_tidy(const char *path, size_t folder, char *spare)
{
    if (folder) {
        memcpy(spare, path, folder);
        spare[folder] = '\0';
    } else {
        memcpy(spare, ".", 2);
    }
    DIR *listing = opendir(spare);
    if (!listing) return;
    for (const struct dirent *e; (e = readdir(listing));)
        if (is_ours(e->d_name)) remove_if_dead(dirfd(listing), e->d_name);
    closedir(listing);
}
