/* training.h - what programs that fit a model share: metrics by name, and the options --checkpoint
 * and --resume.
 *
 *     ... make a model of the options ...
 *     gm_model *model = gm_vae_model(vae);
 *     status = training_resume(&model, &r, &s);         with --resume another model
 *     vae = gm_vae_from_model(model);
 *     if (status != OPTIONS_GO_ON) goto out;            reported but for s, which run_end reports
 *     ...
 *     s = training_fit(&r, model, rows, &fit, 0);
 *
 * --checkpoint FILE keeps the state of the training there after each epoch; --resume FILE goes on
 * from it, bit for bit, with the same data, batch and other options. --epochs counts from the
 * beginning of the training in both; --stop-after N ends a run after epoch N as Ctrl-C would. A
 * schedule of the rate is part of the checkpoint, so both runs need the same --epochs there.
 */
#ifndef EXAMPLES_TRAINING_H
#define EXAMPLES_TRAINING_H

#include "run.h"

#include "gm/model.h"

/* A metric's value; NaN if there is none of that name. */
double training_metric(const gm_metric *metrics, int32_t count, const char *name);

/* Have both sets parameters of the same names and shapes in the same order? */
int training_same_parameters(const gm_params *a, const gm_params *b);

/* Has this file of a model also the state of a training, as --checkpoint writes it? 0 as well if it
 * cannot be read. */
int training_is_checkpoint(gm_context *context, const char *path);

/* With --resume: loads that file, which must hold a model like *model, and puts it in the place of
 * *model, which is released. Without it, and after a failure, *model stays. Returns OPTIONS_GO_ON,
 * or the status to exit with: 2 for a file that is missing, no checkpoint, or of another model,
 * which is reported; 1 with *s. */
int training_resume(gm_model **model, const struct run *r, gm_status *s);

/* gm_model_fit, up to epoch --epochs or --stop-after (then GM_E_CANCELLED, as after Ctrl-C) after
 * `earlier` ones that do not count (of earlier stages), with --checkpoint. A model that has so many
 * already is left as it is. */
gm_status training_fit(const struct run *r, gm_model *model, gm_dataset *rows,
                       const gm_fit_options *options, int64_t earlier);

/* Epochs that training_fit would make. */
int64_t training_epochs_left(const struct run *r, const gm_model *model, int64_t earlier);

#endif
