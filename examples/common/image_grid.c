/* image_grid.c - many small images in one PNG. */
#include "image_grid.h"

#include "message.h"
#include "png.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define MARGIN 16
#define TITLE_SIZE 17.0
#define LABEL_SIZE 13.0
#define LARGEST 32767 /* cairo's limit for one side of a surface */
#define AIMED_WIDTH 720

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

static uint32_t level(float value)
{
    const float clamped = value < 0 ? 0 : value > 1 ? 1 : value;
    return (uint32_t)(clamped * 255 + 0.5f);
}

static uint32_t pixel(const float *image, int channels, int64_t plane, int64_t at)
{
    const float r = image[at];
    const float g = channels == 3 ? image[plane + at] : r;
    const float b = channels == 3 ? image[2 * plane + at] : r;
    if (isnan(r) || isnan(g) || isnan(b)) return 0xFF00FFu;
    return level(r) << 16 | level(g) << 8 | level(b);
}

static void draw_image(unsigned char *pixels, int stride, const struct image_grid *g, int index,
                       int zoom, int left, int top)
{
    const int64_t plane = (int64_t)g->height * g->width;
    const float *image = g->images + index * plane * g->channels;
    for (int y = 0; y < g->height * zoom; y++) {
        uint32_t *row = (uint32_t *)(void *)(pixels + (int64_t)(top + y) * stride) + left;
        for (int x = 0; x < g->width * zoom; x++) {
            row[x] = pixel(image, g->channels, plane, (int64_t)(y / zoom) * g->width + x / zoom);
        }
    }
}

int image_grid_draw(const char *path, const struct image_grid *g)
{
    if (g->images == NULL || g->count < 1 || g->height < 1 || g->width < 1 ||
        (g->channels != 1 && g->channels != 3)) {
        message("cannot draw '%s': %d images of %d x %d x %d (1 or 3 channels are possible)", path,
                g->count, g->channels, g->height, g->width);
        return -1;
    }
    int columns = g->columns > 0 ? g->columns : (int)ceil(sqrt((double)g->count));
    if (columns > g->count) columns = g->count;
    const int rows = (g->count + columns - 1) / columns;
    int zoom = g->zoom;
    if (zoom < 1) {
        zoom = (int)((double)AIMED_WIDTH / ((double)columns * (g->width + 1)) + 0.5);
        zoom = zoom < 1 ? 1 : zoom > 8 ? 8 : zoom;
    }
    const int gap = g->gap < 0 ? 0 : g->gap > 0 ? g->gap : zoom < 2 ? 1 : zoom > 4 ? 4 : zoom;

    /* a small surface to measure the labels with */
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    cairo_t *cr = cairo_create(surface);
    double labels = 0, title = 0;
    font(cr, LABEL_SIZE, 0);
    for (int i = 0; g->row_labels != NULL && i < rows; i++) {
        labels = fmax(labels, text_width(cr, g->row_labels[i]) + 10);
    }
    font(cr, TITLE_SIZE, 1);
    if (g->title != NULL) title = text_width(cr, g->title);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);

    const double body_width = (double)columns * ((double)g->width * zoom + gap) - gap;
    const double body_height = (double)rows * ((double)g->height * zoom + gap) - gap;
    const double left = MARGIN + ceil(labels);
    const double top = MARGIN + (g->title != NULL ? 28 : 0) + (g->column_labels != NULL ? 20 : 0);
    const double total_width = ceil(fmax(left + body_width, MARGIN + fmin(title, 1200)) + MARGIN);
    const double total_height = top + body_height + MARGIN;
    if (total_width > LARGEST || total_height > LARGEST) {
        message(
            "cannot draw '%s': the picture would be %.0f x %.0f pixels, at most %d are possible",
            path, total_width, total_height, LARGEST);
        return -1;
    }

    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)total_width, (int)total_height);
    cr = cairo_create(surface);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_source_rgb(cr, 0.13, 0.13, 0.13);
    font(cr, TITLE_SIZE, 1);
    if (g->title != NULL) {
        cairo_move_to(cr, left, MARGIN + 14);
        if (left + title > total_width) cairo_move_to(cr, MARGIN, MARGIN + 14);
        cairo_show_text(cr, g->title);
    }
    font(cr, LABEL_SIZE, 0);
    for (int i = 0; g->column_labels != NULL && i < columns; i++) {
        const double centre = left + i * ((double)g->width * zoom + gap) + 0.5 * g->width * zoom;
        cairo_move_to(cr, round(centre - text_width(cr, g->column_labels[i]) / 2), top - 7);
        cairo_show_text(cr, g->column_labels[i]);
    }
    for (int i = 0; g->row_labels != NULL && i < rows; i++) {
        const double centre = top + i * ((double)g->height * zoom + gap) + 0.5 * g->height * zoom;
        cairo_move_to(cr, round(left - 10 - text_width(cr, g->row_labels[i])), round(centre + 5));
        cairo_show_text(cr, g->row_labels[i]);
    }
    cairo_destroy(cr);

    cairo_surface_flush(surface);
    unsigned char *pixels = cairo_image_surface_get_data(surface);
    for (int i = 0; pixels != NULL && i < g->count; i++) {
        draw_image(pixels, cairo_image_surface_get_stride(surface), g, i, zoom,
                   (int)left + i % columns * (g->width * zoom + gap),
                   (int)top + i / columns * (g->height * zoom + gap));
    }
    cairo_surface_mark_dirty(surface);
    const int status = png_write(surface, path);
    cairo_surface_destroy(surface);
    return status;
}

int image_grid_write(const char *path, const float *images, int count, int channels, int height,
                     int width, int columns, const char *title)
{
    struct image_grid g;
    memset(&g, 0, sizeof g);
    g.images = images;
    g.count = count;
    g.channels = channels;
    g.height = height;
    g.width = width;
    g.columns = columns;
    g.title = title;
    return image_grid_draw(path, &g);
}
