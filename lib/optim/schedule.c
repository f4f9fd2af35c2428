/* schedule.c - learning rates over steps. */
#include "gm/schedule.h"

#include <math.h>

#include "base/error.h"
#include "base/options.h"

static const double pi = 3.14159265358979323846;

gm_status gm_schedule_check(gm_context *ctx, const gm_schedule *schedule)
{
    gm_schedule s = GM_SCHEDULE_INIT;
    gm_status status = gm_options_check(ctx, "schedule", &s, sizeof s, schedule);
    if (status) return status;
    if (s.kind < GM_SCHEDULE_CONSTANT || s.kind > GM_SCHEDULE_LINEAR)
        return gm_fail(ctx, GM_E_INVALID, "schedule: kind is %d, expected GM_SCHEDULE_*",
                       (int)s.kind);
    if (s.reserved)
        return gm_fail(ctx, GM_E_INVALID, "schedule: reserved is %d, expected 0", (int)s.reserved);
    if (s.warmup < 0 || s.warmup == INT64_MAX)
        return gm_fail(ctx, GM_E_INVALID, "schedule: warmup is %lld, expected at least 0",
                       (long long)s.warmup);
    int timed =
        s.kind == GM_SCHEDULE_STEP || s.kind == GM_SCHEDULE_COSINE || s.kind == GM_SCHEDULE_LINEAR;
    if (timed && s.period < 1)
        return gm_fail(ctx, GM_E_INVALID, "schedule: period is %lld, expected at least 1",
                       (long long)s.period);
    int scaled = s.kind == GM_SCHEDULE_STEP || s.kind == GM_SCHEDULE_EXPONENTIAL;
    if (scaled && !(s.factor > 0 && isfinite(s.factor)))
        return gm_fail(ctx, GM_E_INVALID, "schedule: factor is %g, expected above 0", s.factor);
    if ((s.kind == GM_SCHEDULE_COSINE || s.kind == GM_SCHEDULE_LINEAR) &&
        !(s.floor >= 0 && s.floor <= 1))
        return gm_fail(ctx, GM_E_INVALID, "schedule: floor is %g, expected 0 to 1", s.floor);
    return GM_OK;
}

double gm_schedule_rate(const gm_schedule *schedule, double base, int64_t step)
{
    gm_schedule s = GM_SCHEDULE_INIT;
    if (gm_schedule_check(NULL, schedule) ||
        gm_options_check(NULL, "schedule", &s, sizeof s, schedule))
        return (double)NAN;
    if (step < 0) step = 0;
    if (step < s.warmup) return base * ((double)step + 1) / ((double)s.warmup + 1);
    int64_t t = step - s.warmup;
    double part = t < s.period ? (double)t / (double)s.period : 1;
    switch (s.kind) {
    case GM_SCHEDULE_STEP:
        return base * pow(s.factor, (double)(t / s.period));
    case GM_SCHEDULE_COSINE:
        return base * (s.floor + (1 - s.floor) * (1 + cos(pi * part)) / 2);
    case GM_SCHEDULE_EXPONENTIAL:
        return base * pow(s.factor, (double)t);
    case GM_SCHEDULE_LINEAR:
        return base * (1 + (s.floor - 1) * part);
    default:
        return base;
    }
}
