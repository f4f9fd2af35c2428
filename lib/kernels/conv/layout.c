/* layout.c - images into frames, patches into matrices and back. */
#include "kernels/conv/plan.h"

void gm_conv_pad(const gm_kernels *k, const gm_conv_frame *f, gm_conv_slots *s, int32_t slot,
                 int64_t most, float *to, const float *from, int64_t planes)
{
    int64_t wide = gm_conv_min(f->w, f->pw - f->left), high = gm_conv_min(f->h, f->ph - f->top);
    if (!s->framed[slot]) {
        memset(to, 0, (size_t)(most * f->ph * f->pw) * sizeof(float));
        s->framed[slot] = 1;
    }
    if (wide <= 0 || high <= 0) return;
    to += f->top * f->pw + f->left;
    for (int64_t p = 0; p < planes; p++)
        k->copy_rows(to + p * f->ph * f->pw, f->pw, from + p * f->h * f->w, f->w, high, wide);
}

/* The outputs first .. end - 1 whose tap falls inside: 0 <= i stride + shift < size. */
typedef struct inside {
    int64_t first, end;
} inside;

static inside inside_of(int64_t out, int64_t size, int64_t stride, int64_t shift)
{
    inside in = { 0, 0 };
    if (shift < 0) in.first = gm_conv_ceil(-shift, stride);
    if (shift < size) in.end = (size - 1 - shift) / stride + 1;
    if (in.end > out) in.end = out;
    if (in.first > in.end) in.first = in.end;
    return in;
}

void gm_conv_columns(const gm_conv_map *m, int64_t channels, float *to, int64_t ld, const float *x)
{
    int64_t sw = m->sw;
    for (int64_t c = 0; c < channels; c++, x += m->h * m->w)
        for (int64_t a = 0; a < m->kh; a++)
            for (int64_t b = 0; b < m->kw; b++, to += ld) {
                int64_t down = a * m->dh - m->ph, right = b * m->dw - m->pw;
                inside rows = inside_of(m->oh, m->h, m->sh, down);
                inside cols = inside_of(m->ow, m->w, sw, right);
                float *line = to;
                for (int64_t i = 0; i < m->oh; i++, line += m->ow) {
                    int out = i < rows.first || i >= rows.end;
                    int64_t first = out ? m->ow : cols.first, end = out ? m->ow : cols.end;
                    for (int64_t j = 0; j < first; j++) line[j] = 0;
                    if (out) continue;
                    const float *from = x + (i * m->sh + down) * m->w;
                    if (sw == 1)
                        for (int64_t j = first; j < end; j++) line[j] = from[j + right];
                    else if (sw == 2)
                        for (int64_t j = first; j < end; j++) line[j] = from[2 * j + right];
                    else
                        for (int64_t j = first; j < end; j++) line[j] = from[j * sw + right];
                    for (int64_t j = end; j < m->ow; j++) line[j] = 0;
                }
                for (int64_t j = m->oh * m->ow; j < ld; j++) to[j] = 0;
            }
}

void gm_conv_fold(const gm_conv_map *m, int64_t channels, float *x, const float *from, int64_t ld)
{
    int64_t sw = m->sw;
    for (int64_t c = 0; c < channels; c++, x += m->h * m->w)
        for (int64_t a = 0; a < m->kh; a++)
            for (int64_t b = 0; b < m->kw; b++, from += ld) {
                int64_t down = a * m->dh - m->ph, right = b * m->dw - m->pw;
                inside rows = inside_of(m->oh, m->h, m->sh, down);
                inside cols = inside_of(m->ow, m->w, sw, right);
                for (int64_t i = rows.first; i < rows.end; i++) {
                    float *to = x + (i * m->sh + down) * m->w;
                    const float *line = from + i * m->ow;
                    if (sw == 1)
                        for (int64_t j = cols.first; j < cols.end; j++) to[j + right] += line[j];
                    else if (sw == 2)
                        for (int64_t j = cols.first; j < cols.end; j++)
                            to[2 * j + right] += line[j];
                    else
                        for (int64_t j = cols.first; j < cols.end; j++)
                            to[j * sw + right] += line[j];
                }
            }
}
