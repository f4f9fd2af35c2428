/* double.h - the prelude of the double-precision build: every float of the library becomes a
 * double.
 *
 * Finite differences need more digits than float has. The same sources are built a second time with
 * -DGM_DOUBLE -include tests/double.h; the result is used by tests/gradcheck and never installed.
 * The system's headers come first, so that only the library's own floats change.
 */
#ifndef GM_TESTS_DOUBLE_H
#define GM_TESTS_DOUBLE_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cblas.h>
#include <check.h>
#include <zlib.h>

#define float double

#undef FLT_MAX
#undef FLT_MIN
#undef FLT_EPSILON
#undef FLT_MANT_DIG
#undef FLT_DIG
#undef FLT_TRUE_MIN
#undef FLT_MAX_EXP
#undef FLT_MIN_EXP
#undef HUGE_VALF
#define FLT_MAX DBL_MAX
#define FLT_MIN DBL_MIN
#define FLT_EPSILON DBL_EPSILON
#define FLT_MANT_DIG DBL_MANT_DIG
#define FLT_DIG DBL_DIG
#define FLT_TRUE_MIN DBL_TRUE_MIN
#define FLT_MAX_EXP DBL_MAX_EXP
#define FLT_MIN_EXP DBL_MIN_EXP
#define HUGE_VALF HUGE_VAL

#define acosf acos
#define asinf asin
#define atanf atan
#define atan2f atan2
#define cbrtf cbrt
#define ceilf ceil
#define copysignf copysign
#define cosf cos
#define coshf cosh
#define erff erf
#define erfcf erfc
#define exp2f exp2
#define expf exp
#define expm1f expm1
#define fabsf fabs
#define floorf floor
#define fmaf fma
#define fmaxf fmax
#define fminf fmin
#define fmodf fmod
#define frexpf frexp
#define hypotf hypot
#define ldexpf ldexp
#define lgammaf lgamma
#define log10f log10
#define log1pf log1p
#define log2f log2
#define logf log
#define lrintf lrint
#define lroundf lround
#define modff modf
#define nearbyintf nearbyint
#define nextafterf nextafter
#define powf pow
#define rintf rint
#define roundf round
#define scalbnf scalbn
#define sinf sin
#define sinhf sinh
#define sqrtf sqrt
#define strtof strtod
#define tanf tan
#define tanhf tanh
#define tgammaf tgamma
#define truncf trunc

#define cblas_sgemm cblas_dgemm
#define cblas_sgemv cblas_dgemv
#define cblas_sger cblas_dger
#define cblas_ssyrk cblas_dsyrk
#define cblas_strmm cblas_dtrmm
#define cblas_strsm cblas_dtrsm
#define cblas_sdot cblas_ddot
#define cblas_saxpy cblas_daxpy
#define cblas_sscal cblas_dscal
#define cblas_snrm2 cblas_dnrm2
#define cblas_sasum cblas_dasum
#define cblas_scopy cblas_dcopy
#define cblas_isamax cblas_idamax

#endif
