/* gm/gm.h - all of libgm. Each header also stands alone. */
#ifndef GM_GM_H
#define GM_GM_H

#include "gm/archive.h"
#include "gm/autoregressive.h"
#include "gm/context.h"
#include "gm/conv.h"
#include "gm/data.h"
#include "gm/dcgan.h"
#include "gm/evaluate.h"
#include "gm/extend.h"
#include "gm/gan.h"
#include "gm/generator.h"
#include "gm/gradient.h"
#include "gm/layer.h"
#include "gm/layer_file.h"
#include "gm/loss.h"
#include "gm/model.h"
#include "gm/norm.h"
#include "gm/ops.h"
#include "gm/optimizer.h"
#include "gm/params.h"
#include "gm/rbm.h"
#include "gm/rng.h"
#include "gm/sbn.h"
#include "gm/schedule.h"
#include "gm/score.h"
#include "gm/tape.h"
#include "gm/tensor.h"
#include "gm/vae.h"

#endif
