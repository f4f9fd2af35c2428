/* image_grid.h - many small images in one PNG.
 *
 * Images are floats in [0, 1], laid out [count, channels, height, width], channels 1 (grey) or 3
 * (red, green, blue). Values outside are clamped; NaN is drawn magenta, so that it cannot be taken
 * for a dark or a light pixel.
 */
#ifndef EXAMPLES_IMAGE_GRID_H
#define EXAMPLES_IMAGE_GRID_H

struct image_grid {
    const float *images;
    int count, channels, height, width;
    int columns;       /* 0: about as many as rows */
    int zoom;          /* screen pixels per image pixel, nearest; 0: chosen to be about 720 wide */
    int gap;           /* screen pixels between images; 0: chosen; -1: none */
    const char *title; /* NULL: none */
    const char *const *row_labels;    /* at the left, one per row; NULL: none */
    const char *const *column_labels; /* above, one per column; NULL: none */
};

/* Draws the grid and writes it all or nothing. 0, or -1 (reported on stderr). */
int image_grid_draw(const char *path, const struct image_grid *grid);

/* The same with zoom and gaps chosen and no labels. */
int image_grid_write(const char *path, const float *images, int count, int channels, int height,
                     int width, int columns, const char *title);

#endif
