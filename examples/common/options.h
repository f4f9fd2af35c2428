/* options.h - command-line options of the example programs.
 *
 * Every program takes
 *
 *     --data PATH  --epochs N  --batch N  --seed N  --threads N  --limit N  --out DIR  --quiet
 *     --help
 *
 * and may add options of its own as a table:
 *
 *     static const char *const presets[] = { "pytorch", "paper", NULL };
 *     int preset = 0;
 *     double rate = 1e-3;
 *     const struct option own[] = {
 *         OPTION_CHOICE("preset", &preset, presets, "which published set-up to follow"),
 *         OPTION_REAL("rate", &rate, 1e-9, 1.0, "learning rate of Adam"),
 *     };
 *     struct options o;
 *     options_init(&o, "vae", "Trains a variational autoencoder on handwritten digits.");
 *     int status = options_parse(&o, argc, argv, own, 2);
 *     if (status != OPTIONS_GO_ON) return status;
 *
 * "--name value" and "--name=value" both work, and "--no-name" takes a flag back. What a target
 * holds before options_parse is its default, and --help shows it; a table of option_defaults has
 * others for data sets by name. Anything wrong is one line on stderr and exit status 2.
 */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#define OPTIONS_GO_ON (-1)        /* nothing to exit for */
#define OPTIONS_OPERANDS 8        /* words without dashes at most */
#define OPTIONS_DEFAULTS_SIZE 256 /* bytes of a data set's defaults */
#define OPTIONS_PATH_SIZE 4096    /* bytes of a path buffer, the closing zero included */

/* Kinds and their targets. */
#define OPTION_KIND_INT 0    /* int64_t, low <= value <= high */
#define OPTION_KIND_REAL 1   /* double, low <= value <= high */
#define OPTION_KIND_TEXT 2   /* const char *, points into argv afterwards; never empty */
#define OPTION_KIND_CHOICE 3 /* int, index into a NULL-terminated list of words */
#define OPTION_KIND_FLAG 4   /* int, set to 1; takes no value */

struct option {
    const char *name; /* without the dashes */
    int kind;
    void *target;
    const char *help;
    double low, high;           /* INT (exact up to 2^53) and REAL */
    const char *const *choices; /* CHOICE */
    const char *value_name;     /* what --help calls the value; NULL: N, X, TEXT */
};

#define OPTION_INT(name, target, low, high, help)                                                  \
    {                                                                                              \
        (name), OPTION_KIND_INT, (target), (help), (double)(low), (double)(high), NULL, NULL       \
    }
#define OPTION_REAL(name, target, low, high, help)                                                 \
    {                                                                                              \
        (name), OPTION_KIND_REAL, (target), (help), (double)(low), (double)(high), NULL, NULL      \
    }
#define OPTION_TEXT(name, target, value_name, help)                                                \
    {                                                                                              \
        (name), OPTION_KIND_TEXT, (target), (help), 0, 0, NULL, (value_name)                       \
    }
#define OPTION_CHOICE(name, target, list, help)                                                    \
    {                                                                                              \
        (name), OPTION_KIND_CHOICE, (target), (help), 0, 0, (list), NULL                           \
    }
#define OPTION_FLAG(name, target, help)                                                            \
    {                                                                                              \
        (name), OPTION_KIND_FLAG, (target), (help), 0, 0, NULL, NULL                               \
    }

/* What a data set has for defaults: the options that a figure in docs/models/ was measured with. */
struct option_defaults {
    const char *dataset;
    const char
        *with; /* a flag: only if it was given; NULL: always. The first that applies counts */
    const char *words; /* options of the program, as on its command line */
};

struct options {
    const char *program;
    const char *summary;      /* the first line of --help */
    const char *operand_name; /* set before parsing when the program takes one word without dashes
                                 ("FILE") */
    const char *operand;      /* that word, or NULL if it was not given */
    int operand_most;         /* set before parsing when it takes several such words, at most
                                 OPTIONS_OPERANDS */
    int operand_count;
    const char *operands[OPTIONS_OPERANDS]; /* all of them; operand is the first */

    const char *data;
    int64_t
        epochs; /* 0 before parsing: --help says "the preset's"; stays 0 unless given. Default 10 */
    int64_t batch;                   /* likewise. Default 128 */
    const char *checkpoint, *resume; /* files, of programs that train; NULL: not given */
    int64_t stop_after;              /* an epoch; 0: none */
    int no_training;                 /* set before parsing by a program without these three */
    int64_t seed;
    int64_t threads;
    int64_t limit; /* 0: all rows */
    const char *out;
    int quiet;

    const struct option_defaults *defaults; /* set before parsing; up to one without a dataset.
                                               NULL: none */

    const struct option *own; /* what options_parse was given */
    int own_count;
    uint64_t given; /* bits of the common options and, behind them, the program's own */
    char defaults_text[OPTIONS_DEFAULTS_SIZE];
    char data_default[OPTIONS_PATH_SIZE];
    char out_default[OPTIONS_PATH_SIZE];
};

/* Fills in the defaults: data/mnist here or else in the repository that the executable was built
 * in; threads = the processors online (at most 256); out = build/out/<program>; seed 1; 10 epochs;
 * batch 128; no limit. The strings are kept as pointers. The struct must stay where it is: its
 * defaults point into it. */
void options_init(struct options *o, const char *program, const char *summary);

/* Reads argv and creates the folder --out with its parents. Returns OPTIONS_GO_ON, or the status to
 * exit with: 0 after --help, 2 after a mistake, which has been reported. own may be NULL when
 * own_count is 0; the table is read later, too, and stays where it is. */
int options_parse(struct options *o, int argc, char **argv, const struct option *own,
                  int own_count);

/* The epoch after which a run ends: --stop-after if that is given and less than --epochs. */
int64_t options_last_epoch(const struct options *o);

/* Was this option ("epochs", or one of the program's own) given on the command line? */
int options_given(const struct options *o, const char *name);

/* After options_parse: sets the options that o->defaults has for this data set and the command line
 * does not have, and lists them on stderr unless quiet. Returns OPTIONS_GO_ON, or 2 for a table
 * that is wrong. */
int options_take_defaults(struct options *o, const char *dataset);

/* Writes "OUT/file" into path. Names up to 100 bytes always fit after options_parse. Returns path.
 */
const char *options_out_path(const struct options *o, const char *file,
                             char path[OPTIONS_PATH_SIZE]);

#endif
