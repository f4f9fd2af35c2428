/* plot.h - line plots as PNG, 960 x 600: one panel, or two below each other with one x axis.
 *
 *     double loss[50], check[50];
 *     const struct plot_series series[] = {
 *         { .label = "training", .y = loss, .count = 50 },
 *         { .label = "validation", .y = check, .count = 50, .dashed = 1 },
 *     };
 *     const struct plot plot = { .title = "VAE on MNIST", .x_label = "epoch", .panels = 1,
 *                                .panel = { { .y_label = "loss (nats per image)" } },
 *                                .series = series, .series_count = 2 };
 *     status = plot_write("loss.png", &plot);
 *
 * Points that are not finite, or not positive on a log axis, leave a gap in the line.
 */
#ifndef EXAMPLES_PLOT_H
#define EXAMPLES_PLOT_H

struct plot_series {
    const char *label; /* for the legend; NULL: not in it */
    const double *x;   /* NULL: 1, 2, 3, ... */
    const double *y;
    int count;
    int panel; /* 0 or 1 */
    int dashed;
    int colour; /* 0: by the order in the panel; 1 to 7: of the Okabe-Ito palette */
};

struct plot_panel {
    const char *y_label; /* with its unit; NULL: none */
    int log_y;
};

struct plot {
    const char *title;   /* NULL: none */
    const char *x_label; /* with its unit; NULL: none */
    int panels;          /* 1 or 2; the second is below the first */
    struct plot_panel panel[2];
    const struct plot_series *series;
    int series_count;
};

/* Draws and writes all or nothing. 0, or -1 (reported on stderr). */
int plot_write(const char *path, const struct plot *plot);

#endif
