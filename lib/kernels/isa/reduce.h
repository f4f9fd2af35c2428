/* reduce.h - sums that vectorise without licence to reorder, in an order that the length alone
 * fixes.
 *
 * Term i goes to lane i mod `lanes`. Lanes are float within a block and double across blocks, so
 * that rows of millions stay accurate; at the end the lanes are folded in halves.
 */
#ifndef GM_KERNELS_ISA_REDUCE_H
#define GM_KERNELS_ISA_REDUCE_H

#include "kernels/isa/math.h"

#define GM_BLOCK 1024 /* terms between two transfers to double; a multiple of every lane count */
#define GM_CHUNK 1024 /* values of a buffer on the stack */

/* Declares `double total`; `term` is an expression in `i` that is only loaded, multiplied and
 * added. */
#define GM_SUM(total, lanes, n, term)                                                              \
    double total;                                                                                  \
    do {                                                                                           \
        double wide_[lanes] = { 0 };                                                               \
        for (int64_t from_ = 0; from_ < (n); from_ += GM_BLOCK) {                                  \
            const int64_t to_ = (n)-from_ < GM_BLOCK ? (n) : from_ + GM_BLOCK;                     \
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
            for (int64_t j_ = 0; j_ < width_; j_++) wide_[j_] += wide_[j_ + width_];               \
        total = wide_[0];                                                                          \
    } while (0)

/* The same for terms with work in them: `term` is compiled once, into a buffer that is then
 * summed. */
#define GM_SUM_OF(total, n, term)                                                                  \
    double total = 0;                                                                              \
    do {                                                                                           \
        float term_[GM_CHUNK];                                                                     \
        for (int64_t at_ = 0; at_ < (n); at_ += GM_CHUNK) {                                        \
            const int64_t size_ = (n)-at_ < GM_CHUNK ? (n)-at_ : GM_CHUNK;                         \
            GM_LOOP for (int64_t j_ = 0; j_ < size_; j_++)                                         \
            {                                                                                      \
                const int64_t i = at_ + j_;                                                        \
                term_[j_] = (term);                                                                \
            }                                                                                      \
            total += sum(term_, size_);                                                            \
        }                                                                                          \
    } while (0)

/* y_i = value, or y_i += value; `value` is an expression in `i`, compiled once. What is stored
 * over is not read. y may be an array that value reads at i. */
#define GM_STORE(y, n, add, value)                                                                 \
    do {                                                                                           \
        float term_[GM_CHUNK];                                                                     \
        for (int64_t at_ = 0; at_ < (n); at_ += GM_CHUNK) {                                        \
            const int64_t size_ = (n)-at_ < GM_CHUNK ? (n)-at_ : GM_CHUNK;                         \
            float *to_ = (add) ? term_ : (y) + at_;                                                \
            GM_LOOP for (int64_t j_ = 0; j_ < size_; j_++)                                         \
            {                                                                                      \
                const int64_t i = at_ + j_;                                                        \
                to_[j_] = (value);                                                                 \
            }                                                                                      \
            if (add) accumulate((y) + at_, term_, size_, 1);                                       \
        }                                                                                          \
    } while (0)

/* y_i = value */
#define GM_MAP(y, n, value)                                                                        \
    do {                                                                                           \
        GM_LOOP for (int64_t i = 0; i < (n); i++)(y)[i] = (value);                                 \
    } while (0)

#endif
