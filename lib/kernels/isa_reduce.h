/* isa_reduce.h - sums that vectorise without licence to reorder, in an order that the length alone fixes.
 *
 * Term i goes to lane i mod `lanes`. Lanes are float within a block and double across blocks, so that rows of
 * millions stay accurate; at the end the lanes are folded in halves.
 */
#ifndef GM_KERNELS_ISA_REDUCE_H
#define GM_KERNELS_ISA_REDUCE_H

#include "kernels/isa_math.h"

#define GM_BLOCK 1024  /* terms between two transfers to double; a multiple of every lane count */
#define GM_CHUNK 512   /* values of a buffer on the stack */
#define GM_WIDE 64     /* lanes for terms that are only loaded and added */
#define GM_NARROW 16   /* lanes for terms with work in them */

/* Declares `double total`; `term` is an expression in `i`. */
#define GM_SUM(total, lanes, n, term)                                                              \
    double total;                                                                                  \
    do {                                                                                           \
        double wide_[lanes] = { 0 };                                                               \
        for (int64_t from_ = 0; from_ < (n); from_ += GM_BLOCK) {                                  \
            const int64_t to_ = (n) - from_ < GM_BLOCK ? (n) : from_ + GM_BLOCK;                   \
            const int64_t full_ = to_ - (to_ - from_) % (lanes);                                   \
            float lane_[lanes] = { 0 };                                                            \
            for (int64_t at_ = from_; at_ < full_; at_ += (lanes)) {                               \
                GM_LOOP for (int64_t j_ = 0; j_ < (lanes); j_++)                                   \
                {                                                                                  \
                    const int64_t i = at_ + j_;                                                    \
                    lane_[j_] += (term);                                                           \
                }                                                                                  \
            }                                                                                      \
            GM_LOOP for (int64_t i = full_; i < to_; i++) lane_[i - full_] += (term);              \
            GM_LOOP for (int64_t j_ = 0; j_ < (lanes); j_++) wide_[j_] += (double)lane_[j_];       \
        }                                                                                          \
        for (int64_t width_ = (lanes) / 2; width_ > 0; width_ /= 2)                                \
            GM_LOOP for (int64_t j_ = 0; j_ < width_; j_++) wide_[j_] += wide_[j_ + width_];       \
        total = wide_[0];                                                                          \
    } while (0)

/* y_i = value, or y_i += value; `value` is an expression in `i`. Stored arrays are not read. */
#define GM_STORE(y, n, add, value)                                                                 \
    do {                                                                                           \
        if (add) {                                                                                 \
            GM_LOOP for (int64_t i = 0; i < (n); i++) (y)[i] += (value);                           \
        } else {                                                                                   \
            GM_LOOP for (int64_t i = 0; i < (n); i++) (y)[i] = (value);                            \
        }                                                                                          \
    } while (0)

#endif
