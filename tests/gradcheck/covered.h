/* covered.h - the operations whose gradient checks are not in ops.c but in the file named. Each
 * file proves that it has a case for every name in its list; ops.c that every operation of the
 * table has a case there or stands in a list. */
#ifndef GM_TESTS_GRADCHECK_COVERED_H
#define GM_TESTS_GRADCHECK_COVERED_H

#define COVERED_NORM "batch_norm", "layer_norm", "group_norm", "instance_norm", "spectral_normalize"
#define COVERED_MASKED "masked_linear"
#define COVERED_TAPS "conv2d_taps", "gate"
#define COVERED_CONV                                                                               \
    "conv2d", "conv_transpose2d", "conv2d_weight", "max_pool2d", "avg_pool2d", "upsample_nearest", \
        "pixel_shuffle"
#define COVERED_MMD "mmd2"
#define COVERED_NADE "nade"

#endif
