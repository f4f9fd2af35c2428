/* conv_naive.h - the convolution family as its definition says it, element by element in double:
 * what the library is compared with. */
#ifndef GM_TESTS_CONV_NAIVE_H
#define GM_TESTS_CONV_NAIVE_H

#include <stdint.h>
#include <string.h>

#include "kernels/conv/conv.h"

/* Visits every term of T(w, x, y): fn gets the three elements' places. */
typedef void (*naive_fn)(void *arg, int64_t w, int64_t x, int64_t y);

static inline void naive_walk(const gm_conv_map *m, naive_fn fn, void *arg)
{
    int64_t cg = m->c / m->groups, og = m->o / m->groups;
    for (int64_t n = 0; n < m->images; n++)
        for (int64_t o = 0; o < m->o; o++)
            for (int64_t i = 0; i < m->oh; i++)
                for (int64_t j = 0; j < m->ow; j++)
                    for (int64_t c = 0; c < cg; c++)
                        for (int64_t a = 0; a < m->kh; a++)
                            for (int64_t b = 0; b < m->kw; b++) {
                                int64_t r = i * m->sh - m->ph + a * m->dh;
                                int64_t s = j * m->sw - m->pw + b * m->dw;
                                if (r < 0 || r >= m->h || s < 0 || s >= m->w) continue;
                                int64_t in = o / og * cg + c;
                                fn(arg, ((o * cg + c) * m->kh + a) * m->kw + b,
                                   ((n * m->c + in) * m->h + r) * m->w + s,
                                   ((n * m->o + o) * m->oh + i) * m->ow + j);
                            }
}

typedef struct naive_arrays {
    const float *w, *x, *y;
    double *out;
} naive_arrays;

static inline void naive_response(void *arg, int64_t w, int64_t x, int64_t y)
{
    naive_arrays *a = arg;
    a->out[y] += (double)a->w[w] * (double)a->x[x];
}

static inline void naive_image(void *arg, int64_t w, int64_t x, int64_t y)
{
    naive_arrays *a = arg;
    a->out[x] += (double)a->w[w] * (double)a->y[y];
}

static inline void naive_weight(void *arg, int64_t w, int64_t x, int64_t y)
{
    naive_arrays *a = arg;
    a->out[w] += (double)a->x[x] * (double)a->y[y];
}

#endif
