/* plot.c - line plots as PNG. */
#define _XOPEN_SOURCE 700 /* M_PI */

#include "plot.h"

#include "message.h"
#include "png.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 960
#define HEIGHT 600
#define LEFT 92.0
#define RIGHT 28.0
#define BOTTOM 64.0
#define PANEL_GAP 26.0
#define TICK_SIZE 13.0
#define LABEL_SIZE 14.0
#define TITLE_SIZE 18.0
#define MOST_TICKS 64
#define MARKED 40 /* series of at most so many points get dots */

/* Okabe and Ito, Color Universal Design, 2008; yellow left out, which is hard to see on white,
 * black last. */
static const double palette[7][3] = {
    { 0.000, 0.447, 0.698 }, { 0.835, 0.369, 0.000 }, { 0.000, 0.620, 0.451 },
    { 0.800, 0.475, 0.655 }, { 0.902, 0.624, 0.000 }, { 0.337, 0.706, 0.914 },
    { 0.000, 0.000, 0.000 },
};

struct axis {
    double low, high; /* log10 of the values when log is set */
    int log;
    int whole; /* only whole numbers occur: no ticks between them */
    double tick[MOST_TICKS];
    char text[MOST_TICKS][32];
    int ticks;
};

/* Where a panel is on the page. */
struct frame {
    double left, top, width, height;
    const struct axis *x, *y;
};

static void font(cairo_t *cr, double size, int bold)
{
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static double text_width(cairo_t *cr, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

static void grey(cairo_t *cr, double level)
{
    cairo_set_source_rgb(cr, level, level, level);
}

static double x_of(const struct plot_series *s, int i)
{
    return s->x != NULL ? s->x[i] : (double)(i + 1);
}

/* The point in axis units; 0 if there is none. */
static int point(const struct plot_series *s, int i, int log_y, double *x, double *y)
{
    *x = x_of(s, i);
    *y = s->y[i];
    if (log_y) *y = *y > 0 ? log10(*y) : NAN;
    return isfinite(*x) && isfinite(*y);
}

/* The least of 1, 2, 5 times a power of ten that is at least `rough`. */
static double nice_step(double rough)
{
    const double power = pow(10, floor(log10(rough)));
    const double part = rough / power;
    return (part <= 1.0000001 ? 1 : part <= 2.0000001 ? 2 : part <= 5.0000001 ? 5 : 10) * power;
}

static void tick_text(char *out, size_t room, double value, double step)
{
    const double size = fmax(fabs(value), step);
    if (fabs(value) < step * 1e-6)
        snprintf(out, room, "0");
    else if (size >= 1e7 || step < 1e-5)
        snprintf(out, room, "%.3g", value);
    else
        snprintf(out, room, "%.*f", step >= 0.999 ? 0 : (int)ceil(-log10(step) - 1e-6), value);
    if (out[0] == '-') { /* U+2212, a minus as wide as the digits */
        char digits[24];
        snprintf(digits, sizeof digits, "%.23s", out + 1);
        snprintf(out, room, "\xE2\x88\x92%s", digits);
    }
}

static void add_tick(struct axis *a, double at, double value, double step)
{
    if (a->ticks >= MOST_TICKS) return;
    tick_text(a->text[a->ticks], sizeof a->text[0], value, step);
    a->tick[a->ticks++] = at;
}

static void linear_ticks(struct axis *a, int wanted)
{
    double step = nice_step((a->high - a->low) / wanted);
    if (a->whole && step < 1) step = 1;
    const double first = ceil(a->low / step - 1e-6);
    for (int i = 0; i < MOST_TICKS && (first + i) * step <= a->high + step * 1e-6; i++) {
        add_tick(a, (first + i) * step, (first + i) * step, step);
    }
}

/* Powers of ten, thinned out when there are many, with 2 and 5 between them when there are few. */
static void log_ticks(struct axis *a, int wanted)
{
    const double decades = a->high - a->low;
    if (decades < 0.7) { /* nearly linear: nice steps of the value itself */
        struct axis plain = *a;
        plain.low = pow(10, a->low);
        plain.high = pow(10, a->high);
        linear_ticks(&plain, wanted);
        for (int i = 0; i < plain.ticks; i++) plain.tick[i] = log10(plain.tick[i]);
        plain.low = a->low;
        plain.high = a->high;
        *a = plain;
        return;
    }
    const int stride = decades > wanted ? (int)ceil(decades / wanted) : 1;
    for (int power = (int)floor(a->low); power <= (int)ceil(a->high); power++) {
        if (((power % stride) + stride) % stride != 0) continue;
        for (int m = 1; m <= (decades < 3 ? 5 : 1); m += m == 2 ? 3 : 1) {
            const double at = power + log10(m), value = m * pow(10, power);
            if (m > 2 && m != 5) continue;
            if (at < a->low - 1e-9 || at > a->high + 1e-9) continue;
            add_tick(a, at, value, value >= 1e7 || value < 1e-4 ? 1e-9 : pow(10, power));
        }
    }
}

static void measure(const struct plot *plot, int panel, struct axis *x, struct axis *y)
{
    y->low = INFINITY;
    y->high = -INFINITY;
    for (int s = 0; s < plot->series_count; s++) {
        const struct plot_series *series = &plot->series[s];
        if (series->panel != panel) continue;
        for (int i = 0; i < series->count; i++) {
            double px, py;
            if (!point(series, i, y->log, &px, &py)) continue;
            x->low = fmin(x->low, px);
            x->high = fmax(x->high, px);
            if (px != floor(px)) x->whole = 0;
            y->low = fmin(y->low, py);
            y->high = fmax(y->high, py);
        }
    }
}

/* Room around the data; sense where there is none or one value. */
static void widen(struct axis *a, double part)
{
    if (!(a->low <= a->high)) {
        a->low = 0;
        a->high = 1;
    } else if (a->high - a->low <= 1e-12 * fmax(fabs(a->low), fabs(a->high)) || a->high == a->low) {
        const double room = a->low == 0 || a->whole || a->log ? 0.5 : 0.05 * fabs(a->low);
        a->low -= room;
        a->high += room;
    } else {
        const double room = (a->high - a->low) * part;
        a->low -= room;
        a->high += room;
    }
}

static double to_x(const struct frame *f, double x)
{
    return f->left + f->width * (x - f->x->low) / (f->x->high - f->x->low);
}

static double to_y(const struct frame *f, double y)
{
    return f->top + f->height * (1 - (y - f->y->low) / (f->y->high - f->y->low));
}

static void draw_frame(cairo_t *cr, const struct frame *f, const char *y_label, int with_x)
{
    font(cr, TICK_SIZE, 0);
    cairo_set_line_width(cr, 1);
    for (int i = 0; i < f->y->ticks; i++) {
        const double y = floor(to_y(f, f->y->tick[i])) + 0.5;
        grey(cr, 0.88);
        cairo_move_to(cr, f->left, y);
        cairo_line_to(cr, f->left + f->width, y);
        cairo_stroke(cr);
        grey(cr, 0.25);
        cairo_move_to(cr, round(f->left - 9 - text_width(cr, f->y->text[i])), y + 4.5);
        cairo_show_text(cr, f->y->text[i]);
    }
    for (int i = 0; i < f->x->ticks; i++) {
        const double x = floor(to_x(f, f->x->tick[i])) + 0.5;
        grey(cr, 0.88);
        cairo_move_to(cr, x, f->top);
        cairo_line_to(cr, x, f->top + f->height);
        cairo_stroke(cr);
        if (!with_x) continue;
        grey(cr, 0.25);
        cairo_move_to(cr, round(x - text_width(cr, f->x->text[i]) / 2), f->top + f->height + 20);
        cairo_show_text(cr, f->x->text[i]);
    }
    grey(cr, 0.45);
    cairo_move_to(cr, floor(f->left) + 0.5, f->top);
    cairo_line_to(cr, floor(f->left) + 0.5, floor(f->top + f->height) + 0.5);
    cairo_line_to(cr, f->left + f->width, floor(f->top + f->height) + 0.5);
    cairo_stroke(cr);
    if (y_label != NULL) {
        font(cr, LABEL_SIZE, 0);
        grey(cr, 0.13);
        cairo_save(cr);
        cairo_translate(cr, 24, f->top + f->height / 2 + text_width(cr, y_label) / 2);
        cairo_rotate(cr, -M_PI / 2);
        cairo_move_to(cr, 0, 0);
        cairo_show_text(cr, y_label);
        cairo_restore(cr);
    }
}

static void set_style(cairo_t *cr, const struct plot_series *s, int order)
{
    static const double dashes[2] = { 8, 5 };
    const double *c = palette[(s->colour > 0 ? s->colour - 1 : order) % 7];
    cairo_set_source_rgb(cr, c[0], c[1], c[2]);
    cairo_set_line_width(cr, 2);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_dash(cr, dashes, s->dashed ? 2 : 0, 0);
}

static void dot(cairo_t *cr, double x, double y)
{
    cairo_new_sub_path(cr);
    cairo_arc(cr, x, y, 3, 0, 2 * M_PI);
}

static void draw_series(cairo_t *cr, const struct frame *f, const struct plot_series *s, int order)
{
    double x, y;
    int inside = 0;
    set_style(cr, s, order);
    cairo_new_path(cr);
    for (int i = 0; i < s->count; i++) {
        if (!point(s, i, f->y->log, &x, &y)) {
            inside = 0;
            continue;
        }
        if (inside)
            cairo_line_to(cr, to_x(f, x), to_y(f, y));
        else
            cairo_move_to(cr, to_x(f, x), to_y(f, y));
        inside = 1;
    }
    cairo_stroke(cr);
    /* dots on short series, and wherever a point has no neighbour to be joined with */
    for (int i = 0; i < s->count; i++) {
        double nx, ny;
        if (!point(s, i, f->y->log, &x, &y)) continue;
        const int joined = (i > 0 && point(s, i - 1, f->y->log, &nx, &ny)) ||
                           (i + 1 < s->count && point(s, i + 1, f->y->log, &nx, &ny));
        if (s->count <= MARKED || !joined) dot(cr, to_x(f, x), to_y(f, y));
    }
    cairo_fill(cr);
    cairo_set_dash(cr, NULL, 0, 0);
}

/* Points of the panel's lines inside a box, joining pieces sampled. */
static int crowd(const struct plot *plot, int panel, const struct frame *f, double left, double top,
                 double width, double height)
{
    int inside = 0;
    for (int s = 0; s < plot->series_count; s++) {
        const struct plot_series *series = &plot->series[s];
        if (series->panel != panel) continue;
        for (int i = 0; i + 1 < series->count || i == 0; i++) {
            double x0, y0, x1, y1;
            if (series->count < 1 || !point(series, i, f->y->log, &x0, &y0)) continue;
            if (i + 1 >= series->count || !point(series, i + 1, f->y->log, &x1, &y1))
                x1 = x0, y1 = y0;
            for (int k = 0; k <= 8; k++) {
                const double x = to_x(f, x0 + (x1 - x0) * k / 8),
                             y = to_y(f, y0 + (y1 - y0) * k / 8);
                inside += x >= left && x <= left + width && y >= top && y <= top + height;
            }
        }
    }
    return inside;
}

/* In the corner that hides least. */
static void draw_legend(cairo_t *cr, const struct plot *plot, int panel, const struct frame *f)
{
    double width = 0, best_x = 0, best_y = 0;
    int count = 0, least = -1, order = 0;
    font(cr, TICK_SIZE, 0);
    for (int s = 0; s < plot->series_count; s++) {
        if (plot->series[s].panel != panel || plot->series[s].label == NULL) continue;
        width = fmax(width, text_width(cr, plot->series[s].label));
        count++;
    }
    if (count == 0) return;
    width += 58;
    const double height = 20 * count + 10;
    for (int corner = 0; corner < 4; corner++) {
        const double x = corner % 2 == 0 ? f->left + f->width - width - 10 : f->left + 12;
        const double y = corner < 2 ? f->top + 8 : f->top + f->height - height - 10;
        const int inside = crowd(plot, panel, f, x - 4, y - 4, width + 8, height + 8);
        if (least < 0 || inside < least) {
            least = inside;
            best_x = round(x);
            best_y = round(y);
        }
    }
    cairo_rectangle(cr, best_x + 0.5, best_y + 0.5, width, height);
    cairo_set_source_rgba(cr, 1, 1, 1, 0.88);
    cairo_fill_preserve(cr);
    grey(cr, 0.8);
    cairo_set_line_width(cr, 1);
    cairo_stroke(cr);
    double y = best_y + 15;
    for (int s = 0; s < plot->series_count; s++) {
        if (plot->series[s].panel != panel) continue;
        if (plot->series[s].label != NULL) {
            set_style(cr, &plot->series[s], order);
            cairo_move_to(cr, best_x + 10, y);
            cairo_line_to(cr, best_x + 40, y);
            cairo_stroke(cr);
            cairo_set_dash(cr, NULL, 0, 0);
            grey(cr, 0.13);
            cairo_move_to(cr, best_x + 48, y + 4.5);
            cairo_show_text(cr, plot->series[s].label);
            y += 20;
        }
        order++;
    }
}

static void draw_panel(cairo_t *cr, const struct plot *plot, int panel, const struct frame *f,
                       int empty)
{
    int order = 0;
    draw_frame(cr, f, plot->panel[panel].y_label, panel == plot->panels - 1);
    if (empty) {
        static const char note[] = "no finite values";
        font(cr, LABEL_SIZE, 0);
        grey(cr, 0.45);
        cairo_move_to(cr, f->left + (f->width - text_width(cr, note)) / 2, f->top + f->height / 2);
        cairo_show_text(cr, note);
        return;
    }
    for (int s = 0; s < plot->series_count; s++) {
        if (plot->series[s].panel == panel) draw_series(cr, f, &plot->series[s], order++);
    }
    draw_legend(cr, plot, panel, f);
}

int plot_write(const char *path, const struct plot *plot)
{
    struct axis x, y[2];
    int empty[2] = { 0, 0 };
    if (plot->panels < 1 || plot->panels > 2) {
        message("cannot draw '%s': %d panels, 1 or 2 are possible", path, plot->panels);
        return -1;
    }
    memset(&x, 0, sizeof x);
    memset(y, 0, sizeof y);
    x.low = INFINITY;
    x.high = -INFINITY;
    x.whole = 1;
    for (int p = 0; p < plot->panels; p++) {
        y[p].log = plot->panel[p].log_y;
        measure(plot, p, &x, &y[p]);
        empty[p] = !(y[p].low <= y[p].high);
        widen(&y[p], 0.05);
        if (y[p].log)
            log_ticks(&y[p], plot->panels == 1 ? 8 : 5);
        else
            linear_ticks(&y[p], plot->panels == 1 ? 8 : 5);
    }
    widen(&x, 0.015);
    linear_ticks(&x, 12);

    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, HEIGHT);
    cairo_t *cr = cairo_create(surface);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    const double top = plot->title != NULL ? 56 : 24;
    const double height = (HEIGHT - top - BOTTOM - (plot->panels - 1) * PANEL_GAP) / plot->panels;
    const double width = WIDTH - LEFT - RIGHT;
    for (int p = 0; p < plot->panels; p++) {
        const struct frame f = { LEFT,  round(top + p * (height + PANEL_GAP)),
                                 width, floor(height),
                                 &x,    &y[p] };
        draw_panel(cr, plot, p, &f, empty[p]);
    }
    grey(cr, 0.13);
    if (plot->title != NULL) {
        font(cr, TITLE_SIZE, 1);
        cairo_move_to(cr, LEFT, 34);
        cairo_show_text(cr, plot->title);
    }
    if (plot->x_label != NULL) {
        font(cr, LABEL_SIZE, 0);
        cairo_move_to(cr, LEFT + (width - text_width(cr, plot->x_label)) / 2, HEIGHT - 16);
        cairo_show_text(cr, plot->x_label);
    }
    cairo_destroy(cr);
    const int status = png_write(surface, path);
    cairo_surface_destroy(surface);
    return status;
}
