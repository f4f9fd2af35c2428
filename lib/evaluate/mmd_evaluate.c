/* mmd_evaluate.c - the two-sample test of gm/two_sample.h of samples against data, as an
 * evaluation. */
#include "evaluate/result.h"
#include "gm/sample_quality.h"
#include "gm/two_sample.h"

static int64_t at_most(int64_t rows, int64_t limit)
{
    return limit && limit < rows ? limit : rows;
}

gm_status gm_mmd_evaluate(gm_result *out, gm_context *ctx, const gm_rows *samples,
                          const gm_rows *data, const gm_mmd_evaluate_options *options)
{
    if (!ctx) return GM_E_INVALID;
    gm_mmd_evaluate_options o = GM_MMD_EVALUATE_OPTIONS_INIT;
    gm_two_sample_options test = GM_TWO_SAMPLE_OPTIONS_INIT;
    gm_two_sample_result found = GM_TWO_SAMPLE_RESULT_INIT;
    gm_result r = GM_RESULT_INIT;
    gm_mmd_kernel *kernel = NULL;
    gm_table t[2];
    gm_rows rows[2];
    gm_status status;
    GM_TRY(gm_result_check(ctx, "mmd", out));
    GM_TRY(gm_options_read(ctx, "mmd", &o, sizeof o, options));
    if (o.limit < 0 || !(o.bandwidth >= 0))
        GM_TRY(gm_model_fail(ctx, GM_E_INVALID,
                             "mmd: limit is %lld, bandwidth is %g, expected at least 0",
                             (long long)o.limit, o.bandwidth));
    GM_TRY(gm_table_pair(ctx, "mmd", samples, data, t));
    for (int i = 0; i < 2; i++) {
        t[i].rows = at_most(t[i].rows, o.limit);
        rows[i] = (gm_rows){ t[i].values, t[i].rows, t[i].width };
    }
    if (o.bandwidth == 0)
        GM_TRY(gm_median_bandwidth(&o.bandwidth, ctx, &rows[0], &rows[1], o.seed));
    GM_TRY(gm_mmd_kernel_create(&kernel, ctx));
    GM_TRY(gm_mmd_kernel_add_gaussian(kernel, 1, o.bandwidth));
    test.permutations = o.permutations;
    test.seed = o.seed;
    test.on_progress = o.on_progress;
    test.user = o.user;
    GM_TRY(gm_two_sample_test(&found, kernel, &rows[0], &rows[1], &test));
    r.value = found.mmd2;
    r.standard_error = found.standard_error;
    r.p_value = found.p_value;
    r.sigma = o.bandwidth;
    r.samples = t[0].rows;
    r.rows = t[1].rows;
    r.k = o.permutations;
    r.seed = o.seed;
    r.protocol = "mmd-test";
    gm_result_give(out, &r);
out:
    gm_mmd_kernel_release(kernel);
    return status;
}
