/* progress.c - progress of a training run on stderr. */
#define _DEFAULT_SOURCE /* struct winsize */

#include "progress.h"

#include "message.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW_SECONDS 0.1
#define LONGEST_BAR 40
#define SHORTEST_BAR 8

double progress_clock(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Terminals are UTF-8 unless the environment names something else; no locale at all is common in
 * containers. */
static int names_other_charset(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value == NULL || value[0] == '\0') continue;
        const char *charset = strchr(value, '.');
        if (charset == NULL) return 0;
        return strncmp(charset, ".UTF-8", 6) != 0 && strncmp(charset, ".utf8", 5) != 0 &&
               strncmp(charset, ".utf-8", 6) != 0 && strncmp(charset, ".UTF8", 5) != 0;
    }
    return 0;
}

void progress_begin(struct progress *p, int64_t epochs, int quiet)
{
    const char *terminal = getenv("TERM");
    const int dumb = terminal != NULL && strcmp(terminal, "dumb") == 0;
    memset(p, 0, sizeof *p);
    p->mode = quiet ? PROGRESS_OFF : isatty(STDERR_FILENO) && !dumb ? PROGRESS_BAR : PROGRESS_LINES;
    p->ascii = names_other_charset();
    p->epochs = epochs < 1 ? 1 : epochs;
    p->begin = p->epoch_begin = p->last_step = progress_clock();
}

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

/* "7 s", "3:07", "1:02:45". */
static void print_time(char *out, size_t room, double seconds)
{
    if (!(seconds >= 0) || seconds > 3.6e9) {
        snprintf(out, room, "?");
        return;
    }
    const int64_t s = (int64_t)(seconds + 0.5);
    if (s < 60)
        snprintf(out, room, "%" PRId64 " s", s);
    else if (s < 3600)
        snprintf(out, room, "%" PRId64 ":%02" PRId64, s / 60, s % 60);
    else
        snprintf(out, room, "%" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
}

static void print_rate(char *out, size_t room, double rate)
{
    if (!(rate >= 0))
        snprintf(out, room, "?");
    else if (rate >= 999950)
        snprintf(out, room, "%.2fM/s", rate / 1e6);
    else if (rate >= 9999.5)
        snprintf(out, room, "%.1fk/s", rate / 1e3);
    else if (rate >= 99.95)
        snprintf(out, room, "%.0f/s", rate);
    else
        snprintf(out, room, "%.3g/s", rate);
}

/* Eighths of a block make 8 steps a cell; U+2588 is a full cell, U+2589 seven eighths, ... U+258F
 * one. */
static void print_bar(char *out, int cells, double fraction, int ascii)
{
    const int eighths = (int)(fraction * 8 * cells + 0.5);
    char *end = out;
    *end++ = '[';
    for (int i = 0; i < cells; i++) {
        const int fill = eighths - 8 * i;
        if (fill <= 0 || (ascii && fill < 4)) {
            *end++ = ' ';
        } else if (ascii) {
            *end++ = '#';
        } else {
            *end++ = (char)0xE2;
            *end++ = (char)0x96;
            *end++ = (char)(fill >= 8 ? 0x88 : 0x90 - fill);
        }
    }
    *end++ = ']';
    *end = '\0';
}

static void draw(struct progress *p, int64_t epoch, double fraction, double loss, double rate)
{
    char head[64], percent[16], value[48], speed[32], left[32], time[24], bar[LONGEST_BAR * 3 + 8];
    char line[512];
    const double whole = ((double)(epoch - 1) + fraction) / (double)p->epochs;
    const int width = terminal_width() - 1; /* the last column would wrap on some terminals */

    snprintf(head, sizeof head, "epoch %*" PRId64 "/%" PRId64,
             snprintf(NULL, 0, "%" PRId64, p->epochs), epoch, p->epochs);
    snprintf(percent, sizeof percent, " %3d%%", (int)(fraction * 100));
    value[0] = '\0';
    if (!isnan(loss)) snprintf(value, sizeof value, "  loss %.5g", loss);
    print_rate(time, sizeof time, rate);
    snprintf(speed, sizeof speed, "  %s", time);
    print_time(time, sizeof time, (p->last_step - p->begin) * (1 - whole) / whole);
    snprintf(left, sizeof left, "  ETA %s", time);

    /* The narrower the terminal, the less: first the bar shrinks, then rate, time left and bar go.
     */
    const int must = (int)(strlen(head) + strlen(percent) + strlen(value)) + 3;
    if (must + SHORTEST_BAR + (int)(strlen(speed) + strlen(left)) > width) speed[0] = '\0';
    if (must + SHORTEST_BAR + (int)(strlen(speed) + strlen(left)) > width) left[0] = '\0';
    int cells = width - must - (int)(strlen(speed) + strlen(left));
    if (cells > LONGEST_BAR) cells = LONGEST_BAR;
    bar[0] = '\0';
    if (cells >= SHORTEST_BAR) {
        bar[0] = ' ';
        print_bar(bar + 1, cells, fraction, p->ascii);
    } else if (must - 3 > width) {
        value[0] = '\0';
    }
    const int length =
        snprintf(line, sizeof line, "\r%s%s%s%s%s%s\x1b[K", head, bar, percent, value, speed, left);
    if (length > 0) fwrite(line, 1, (size_t)length, stderr);
    message_inside_line(1);
}

void progress_step(struct progress *p, int64_t epoch, int64_t done, int64_t total, double loss)
{
    const double now = progress_clock();
    p->epoch_rows = done;
    p->last_step = now;
    if (p->mode != PROGRESS_BAR || total < 1 || done < 1 || epoch < 1) return;
    if (now - p->last_drawn < REDRAW_SECONDS) return;
    p->last_drawn = now;
    const double fraction = done >= total ? 1 : (double)done / (double)total;
    const double seconds = now - p->epoch_begin;
    draw(p, epoch, fraction, loss, seconds > 0 ? (double)done / seconds : NAN);
}

/* Takes the rows of the present epoch into the totals. */
static void close_epoch(struct progress *p)
{
    p->rows += p->epoch_rows;
    if (p->epoch_rows > 0) p->training += p->last_step - p->epoch_begin;
    p->epoch_rows = 0;
    p->epoch_begin = p->last_step = progress_clock();
}

void progress_epoch(struct progress *p, int64_t epoch, double loss, double validation)
{
    char speed[32], spent[24], left[24], checked[48] = "", line[256];
    const int64_t rows = p->epoch_rows;
    const double seconds = p->last_step - p->epoch_begin;
    close_epoch(p);
    if (p->mode == PROGRESS_OFF || epoch < 1) return;

    print_rate(speed, sizeof speed, rows > 0 && seconds > 0 ? (double)rows / seconds : NAN);
    const double elapsed = p->epoch_begin - p->begin;
    print_time(spent, sizeof spent, elapsed);
    print_time(left, sizeof left, elapsed * (double)(p->epochs - epoch) / (double)epoch);
    if (!isnan(validation)) snprintf(checked, sizeof checked, "  validation %.6g", validation);
    const int length = snprintf(
        line, sizeof line, "%sepoch %*" PRId64 "/%" PRId64 "  loss %.6g%s  %s  after %s%s%s%s\n",
        p->mode == PROGRESS_BAR ? "\r" : "", snprintf(NULL, 0, "%" PRId64, p->epochs), epoch,
        p->epochs, loss, checked, speed, spent, epoch < p->epochs ? "  ETA " : "",
        epoch < p->epochs ? left : "", p->mode == PROGRESS_BAR ? "\x1b[K" : "");
    if (length > 0)
        fwrite(line, 1, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1, stderr);
    message_inside_line(0);
    p->last_drawn = 0;
}

void progress_end(struct progress *p)
{
    if (p->epoch_rows == 0) return;
    close_epoch(p);
    if (p->mode == PROGRESS_BAR) fputc('\n', stderr);
    message_inside_line(0);
}

double progress_rate(const struct progress *p)
{
    const double seconds = p->training + (p->epoch_rows > 0 ? p->last_step - p->epoch_begin : 0);
    const int64_t rows = p->rows + p->epoch_rows;
    return rows > 0 && seconds > 0 ? (double)rows / seconds : NAN;
}
