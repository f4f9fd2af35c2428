/* sbn_record.c - what of a sigmoid belief network's states, and of q, goes onto the model's tape in
 * more than one place. */
#include "gm/loss.h"
#include "gm/ops.h"
#include "models/belief/sbn_net.h"
#include "models/family.h"

gm_var gm_sbn_record_rows(gm_sbn *sbn, const float *rows, int64_t m)
{
    const int64_t shape[2] = { m, gm_sbn_layer_size(sbn, 0) };
    return gm_input_array(gm_sbn_model(sbn)->tape, 2, shape, rows);
}

void gm_sbn_record_hidden(gm_sbn *sbn, const float *hidden, int64_t m, gm_var *layers)
{
    gm_tape *tape = gm_sbn_model(sbn)->tape;
    const int64_t shape[2] = { m, gm_sbn_hidden_units(sbn) };
    gm_var all = gm_input_array(tape, 2, shape, hidden);
    int64_t at = 0;
    for (int32_t l = 1; l <= gm_sbn_layers(sbn); l++) {
        layers[l] = gm_slice(tape, all, 1, at, at + gm_sbn_layer_size(sbn, l));
        at += gm_sbn_layer_size(sbn, l);
    }
}

gm_var gm_sbn_record_q(gm_sbn *sbn, int32_t l, gm_var below, int64_t k)
{
    gm_tape *tape = gm_sbn_model(sbn)->tape;
    gm_var logits = gm_sbn_apply_recognition(tape, sbn, l, below);
    return l == 1 && k > 1 ? gm_repeat_rows(tape, logits, k) : logits;
}

void gm_sbn_record_draws(gm_sbn *sbn, int64_t k, gm_var *layers, gm_var *logits)
{
    for (int32_t l = 1; l <= gm_sbn_layers(sbn); l++) {
        gm_var a = gm_sbn_record_q(sbn, l, layers[l - 1], k);
        layers[l] = gm_bernoulli_draw(gm_sbn_model(sbn)->tape, a);
        if (logits) logits[l] = a;
    }
}

gm_var gm_sbn_record_minus_log_q(gm_sbn *sbn, int64_t k, const gm_var *layers, const gm_var *logits)
{
    gm_tape *tape = gm_sbn_model(sbn)->tape;
    gm_var sum = GM_NO_VAR;
    for (int32_t l = 1; l <= gm_sbn_layers(sbn); l++) {
        gm_var a = logits ? logits[l] : gm_sbn_record_q(sbn, l, layers[l - 1], k);
        gm_var part = gm_bce_with_logits(tape, a, layers[l]);
        sum = l == 1 ? part : gm_add(tape, sum, part);
    }
    return sum;
}
