/* strided.c - walks over broadcast arrays, and the small helpers that all op files use. */
#include "autodiff/ops/ops.h"

void gm_strided_begin(gm_strided *g, int32_t rank, const int64_t *shape)
{
    memset(g, 0, sizeof *g);
    g->axes = rank;
    for (int32_t i = 0; i < rank; i++) g->size[i] = shape[i];
}

void gm_strided_array(gm_strided *g, int which, int32_t rank, const int64_t *shape)
{
    int64_t stride = 1;
    for (int32_t i = rank - 1; i >= 0; i--) {
        int32_t axis = i + g->axes - rank;
        g->stride[which][axis] = shape[i] == 1 ? 0 : stride;
        stride *= shape[i];
    }
}

static int merges(const gm_strided *g, int32_t outer, int32_t inner)
{
    for (int a = 0; a < GM_STRIDED_ARRAYS; a++)
        if (g->stride[a][outer] != g->stride[a][inner] * g->size[inner]) return 0;
    return 1;
}

static void axis_move(gm_strided *g, int32_t to, int32_t from)
{
    g->size[to] = g->size[from];
    for (int a = 0; a < GM_STRIDED_ARRAYS; a++) g->stride[a][to] = g->stride[a][from];
}

void gm_strided_merge(gm_strided *g)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < g->axes; i++) {
        if (g->size[i] == 1) continue;
        if (kept && merges(g, kept - 1, i)) {
            int64_t size = g->size[kept - 1];
            axis_move(g, kept - 1, i);
            g->size[kept - 1] *= size;
        } else {
            axis_move(g, kept++, i);
        }
    }
    if (!kept) { /* one element: every array has it */
        g->size[0] = 1;
        for (int a = 0; a < GM_STRIDED_ARRAYS; a++) g->stride[a][0] = 1;
        kept = 1;
    }
    g->axes = kept;
}

/* The axes outside the innermost one, split into those along which the target moves and those it is
 * repeated on. */
typedef struct walk_job {
    const gm_strided *g;
    int target, add;
    gm_run_fn fn;
    void *arg;
    int32_t kept[GM_MAX_RANK], reduced[GM_MAX_RANK];
    int32_t kept_axes, reduced_axes;
    int64_t reduced_count;
    int64_t chunk, chunks; /* cut of the innermost axis */
} walk_job;

static void walk_item(const walk_job *job, int64_t item)
{
    const gm_strided *g = job->g;
    int32_t last = g->axes - 1;
    int64_t from = item % job->chunks * job->chunk;
    int64_t n = g->size[last] - from < job->chunk ? g->size[last] - from : job->chunk;
    int64_t at[GM_STRIDED_ARRAYS], index[GM_MAX_RANK] = { 0 };
    for (int a = 0; a < GM_STRIDED_ARRAYS; a++) at[a] = from * g->stride[a][last];

    int64_t rest = item / job->chunks;
    for (int32_t i = job->kept_axes - 1; i >= 0; i--) {
        int32_t axis = job->kept[i];
        int64_t where = rest % g->size[axis];
        rest /= g->size[axis];
        for (int a = 0; a < GM_STRIDED_ARRAYS; a++) at[a] += where * g->stride[a][axis];
    }
    for (int64_t step = 0; step < job->reduced_count; step++) {
        job->fn(job->arg, at, n, step ? 1 : job->add);
        for (int32_t i = job->reduced_axes - 1; i >= 0; i--) {
            int32_t axis = job->reduced[i];
            int64_t back = ++index[i] == g->size[axis] ? g->size[axis] : 0;
            for (int a = 0; a < GM_STRIDED_ARRAYS; a++) at[a] += (1 - back) * g->stride[a][axis];
            if (!back) break;
            index[i] = 0;
        }
    }
}

static void walk_range(void *arg, int64_t begin, int64_t end)
{
    for (int64_t item = begin; item < end; item++) walk_item(arg, item);
}

void gm_strided_walk(gm_team *team, const gm_strided *g, int target, int add, gm_run_fn fn,
                     void *arg)
{
    walk_job job = { .g = g, .target = target, .add = add, .fn = fn, .arg = arg };
    int32_t last = g->axes - 1;
    int64_t kept_count = 1;
    job.reduced_count = 1;
    for (int32_t i = 0; i < last; i++) {
        if (g->stride[target][i]) {
            job.kept[job.kept_axes++] = i;
            kept_count *= g->size[i];
        } else {
            job.reduced[job.reduced_axes++] = i;
            job.reduced_count *= g->size[i];
        }
    }
    job.chunk = g->size[last];
    if (g->stride[target][last]) {
        int64_t chunk = GM_GRAIN / job.reduced_count / 16 * 16;
        if (chunk < 64) chunk = 64;
        if (chunk < job.chunk) job.chunk = chunk;
    }
    job.chunks = (g->size[last] - 1) / job.chunk + 1;
    gm_team_range(team, kept_count * job.chunks, gm_grain_rows(job.chunk * job.reduced_count),
                  walk_range, &job);
}

int64_t gm_grain_rows(int64_t cols)
{
    if (cols < 1) cols = 1;
    return cols < GM_GRAIN ? GM_GRAIN / cols : 1;
}

int64_t gm_sizes_product(const int64_t *sizes, int64_t count)
{
    int64_t product = 1;
    for (int64_t i = 0; i < count; i++) product *= sizes[i];
    return product;
}

typedef struct fill_job {
    const gm_kernels *k;
    float *y;
    const float *x;
    float value;
    int add;
} fill_job;

static void fill_range(void *arg, int64_t begin, int64_t end)
{
    const fill_job *job = arg;
    job->k->fill(job->y + begin, job->value, end - begin);
}

void gm_fill_over(const gm_call *c, float *y, float value, int64_t n)
{
    fill_job job = { .k = c->k, .y = y, .value = value };
    gm_team_range(c->team, n, GM_GRAIN, fill_range, &job);
}

static void accumulate_range(void *arg, int64_t begin, int64_t end)
{
    const fill_job *job = arg;
    job->k->accumulate(job->y + begin, job->x + begin, end - begin, job->add);
}

void gm_accumulate_over(const gm_call *c, float *y, const float *x, int64_t n, int add)
{
    fill_job job = { .k = c->k, .y = y, .x = x, .add = add };
    gm_team_range(c->team, n, GM_GRAIN, accumulate_range, &job);
}

int gm_same_shape(const gm_node *a, const gm_node *b)
{
    if (a->rank != b->rank) return 0;
    for (int32_t i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i]) return 0;
    return 1;
}

void gm_infer_same(gm_call *c)
{
    c->out->rank = c->in[0]->rank;
    memcpy(c->out->shape, c->in[0]->shape, sizeof c->out->shape);
}

static gm_status fail_broadcast(gm_call *c)
{
    char a[GM_SHAPE_TEXT], b[GM_SHAPE_TEXT], third[GM_SHAPE_TEXT] = "";
    const gm_node *p = c->in[0], *q = c->in[1], *r = c->inputs > 2 ? c->in[2] : NULL;
    gm_shape_text(a, p->rank, p->shape);
    gm_shape_text(b, q->rank, q->shape);
    if (r) gm_shape_text(third, r->rank, r->shape);
    return gm_fail(c->ctx, GM_E_SHAPE, "%s: %s%s%s and %s do not broadcast", c->op->name, a,
                   r ? ", " : "", r ? b : "", r ? third : b);
}

gm_status gm_infer_broadcast(gm_call *c)
{
    gm_node *out = c->out;
    out->rank = 0;
    for (int32_t k = 0; k < c->inputs; k++)
        if (c->in[k]->rank > out->rank) out->rank = c->in[k]->rank;
    for (int32_t i = 1; i <= out->rank; i++) {
        int64_t size = 1;
        for (int32_t k = 0; k < c->inputs; k++) {
            const gm_node *a = c->in[k];
            int64_t own = i <= a->rank ? a->shape[a->rank - i] : 1;
            if (own == 1 || own == size) continue;
            if (size != 1) return fail_broadcast(c);
            size = own;
        }
        out->shape[out->rank - i] = size;
    }
    return GM_OK;
}

gm_status gm_fail_shapes(gm_call *c, const char *a, const gm_node *na, const char *b,
                         const gm_node *nb, const char *tail)
{
    char ta[GM_SHAPE_TEXT], tb[GM_SHAPE_TEXT];
    return gm_fail(c->ctx, GM_E_SHAPE, "%s: %s is %s, %s is %s%s", c->op->name, a,
                   gm_shape_text(ta, na->rank, na->shape), b,
                   gm_shape_text(tb, nb->rank, nb->shape), tail);
}

int gm_tape_open(const gm_tape *tape)
{
    return tape && gm_tape_status(tape) == GM_OK;
}

int32_t gm_axis_of(int32_t axis, int32_t rank)
{
    if (axis < -rank || axis >= rank) return -1;
    return axis < 0 ? axis + rank : axis;
}

int gm_whole_below(float value, int64_t limit, int64_t *index)
{
    /* The first comparison is false for NaN; below 2^62 the conversion is exact. */
    if (!(value >= 0) || value >= (float)0x1p62) return 0;
    *index = (int64_t)value;
    return (float)*index == value && *index < limit;
}
