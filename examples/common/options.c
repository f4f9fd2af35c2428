/* options.c - command-line options of the example programs. */
#define _POSIX_C_SOURCE 200809L

#include "options.h"

#include "message.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRAINING 3 /* the last ones are of programs that train */
#define COMMON (9 + TRAINING)
#define OUT_LONGEST                                                                                \
    (OPTIONS_PATH_SIZE - 128) /* leaves room for file names and their temporary endings */
#define HELP_COLUMN 26

/* The options that every program has. `help` has no target. */
static void common_table(struct options *o, struct option table[COMMON])
{
    const struct option rows[COMMON] = {
        OPTION_TEXT("data", &o->data, "PATH", "folder of IDX files, or one file of images"),
        OPTION_INT("epochs", &o->epochs, 1, 1000000, "passes over the training rows"),
        OPTION_INT("batch", &o->batch, 1, 1000000, "rows in a mini-batch"),
        OPTION_INT("seed", &o->seed, 0, 9007199254740991.0, "of all randomness"),
        OPTION_INT("threads", &o->threads, 1, 256, "threads that compute"),
        OPTION_INT("limit", &o->limit, 0, 1000000000, "use only the first N rows; 0: all"),
        OPTION_TEXT("out", &o->out, "DIR", "folder for what the program writes"),
        OPTION_FLAG("quiet", &o->quiet, "no progress, no notes; only the result"),
        OPTION_FLAG("help", NULL, "print this and exit"),
        OPTION_TEXT("checkpoint", &o->checkpoint, "FILE",
                    "keep the training's state here after each epoch"),
        OPTION_TEXT("resume", &o->resume, "FILE", "go on from such a file, up to epoch --epochs"),
        OPTION_INT("stop-after", &o->stop_after, 0, 1000000,
                   "end after this epoch, as Ctrl-C would; 0: after --epochs"),
    };
    memcpy(table, rows, sizeof rows);
}

static int common_count(const struct options *o)
{
    return o->no_training ? COMMON - TRAINING : COMMON;
}

static int is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* The executable of a build in the tree is ROOT/build/examples/NAME. Returns 1 if ROOT/data/mnist
 * is a folder. */
static int data_beside_executable(char path[OPTIONS_PATH_SIZE])
{
    static const char tail[] = "/data/mnist";
    ssize_t length = readlink("/proc/self/exe", path, OPTIONS_PATH_SIZE - sizeof tail);
    if (length <= 0) return 0;
    path[length] = '\0';
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(path, '/');
        if (slash == NULL) return 0;
        *slash = '\0';
    }
    memcpy(path + strlen(path), tail, sizeof tail);
    return is_folder(path);
}

void options_init(struct options *o, const char *program, const char *summary)
{
    memset(o, 0, sizeof *o);
    message_program(program);
    o->program = program;
    o->summary = summary;
    if (is_folder("data/mnist") || !data_beside_executable(o->data_default)) {
        snprintf(o->data_default, sizeof o->data_default, "data/mnist");
    }
    snprintf(o->out_default, sizeof o->out_default, "build/out/%s", program);
    o->data = o->data_default;
    o->out = o->out_default;
    o->epochs = 10;
    o->batch = 128;
    o->seed = 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    o->threads = cores < 1 ? 1 : cores > 256 ? 256 : (int64_t)cores;
}

static const char *value_name(const struct option *option)
{
    if (option->value_name != NULL) return option->value_name;
    switch (option->kind) {
    case OPTION_KIND_INT:
        return "N";
    case OPTION_KIND_REAL:
        return "X";
    case OPTION_KIND_CHOICE:
        return "WORD";
    default:
        return "TEXT";
    }
}

static void help_line(const struct option *option)
{
    int column = printf("  --%s", option->name);
    if (option->kind != OPTION_KIND_FLAG) column += printf(" %s", value_name(option));
    printf("%*s%s", column < HELP_COLUMN ? HELP_COLUMN - column : 2, "", option->help);
    if (option->kind == OPTION_KIND_CHOICE) {
        printf(":");
        for (int i = 0; option->choices[i] != NULL; i++) {
            printf("%s %s", i > 0 ? "," : "", option->choices[i]);
        }
    }
    /* "the preset's": a zero where zero could not be given */
    if (option->kind == OPTION_KIND_INT) {
        const int64_t value = *(const int64_t *)option->target;
        if (value == 0 && option->low > 0) {
            printf(" (default: the preset's)");
        } else {
            printf(" (default %" PRId64 ")", value);
        }
    } else if (option->kind == OPTION_KIND_REAL) {
        const double value = *(const double *)option->target;
        if (isfinite(value)) printf(" (default %g)", value);
    } else if (option->kind == OPTION_KIND_TEXT) {
        const char *value = *(const char *const *)option->target;
        if (value != NULL) printf(" (default %s)", value);
    } else if (option->kind == OPTION_KIND_CHOICE) {
        const int value = *(const int *)option->target;
        if (value >= 0) printf(" (default %s)", option->choices[value]);
    }
    printf("\n");
}

static void help_defaults(const struct options *o)
{
    const struct option_defaults *d = o->defaults;
    if (!d) return;
    printf("\nDefaults with a data set (what is given counts; --no-FLAG takes a flag back):\n");
    for (; d->dataset; d++)
        printf("  %s%s%s: %s\n", d->dataset, d->with ? " --" : "", d->with ? d->with : "",
               d->words);
}

static void print_help(const struct options *o, const struct option *common,
                       const struct option *own, int own_count)
{
    printf("%s [options]%s%s%s\n", message_name(), o->operand_name != NULL ? " " : "",
           o->operand_name != NULL ? o->operand_name : "", o->operand_most > 1 ? " ..." : "");
    if (o->summary != NULL) printf("%s\n", o->summary);
    printf("\n");
    for (int i = 0; i < own_count; i++) help_line(&own[i]);
    if (own_count > 0) printf("\n");
    for (int i = 0; i < common_count(o); i++) help_line(&common[i]);
    help_defaults(o);
    printf("\nThe last line on stdout is the result, one JSON object. Ctrl-C (or SIGTERM) stops "
           "after the "
           "present step and keeps "
           "what was\nlearnt; a second Ctrl-C ends the program at once.\n"
           "Exit status: 0 done, 1 failed while running, 2 wrong options or missing data.\n");
}

static int bad_int(const struct option *option, const char *text)
{
    message("--%s takes a whole number from %.0f to %.0f, got '%s'", option->name, option->low,
            option->high, text);
    return 2;
}

static int set_int(const struct option *option, const char *text)
{
    char *end = NULL;
    const char first = text[text[0] == '-' || text[0] == '+'];
    if (first < '0' || first > '9') return bad_int(option, text);
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (*end != '\0' || errno != 0) return bad_int(option, text);
    if ((double)value < option->low || (double)value > option->high) return bad_int(option, text);
    *(int64_t *)option->target = (int64_t)value;
    return OPTIONS_GO_ON;
}

static int set_real(const struct option *option, const char *text)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    /* the negated comparison also refuses NaN; strtod itself would skip leading space */
    if (text[0] == '\0' || text[0] == ' ' || *end != '\0' ||
        !(value >= option->low && value <= option->high)) {
        message("--%s takes a number from %g to %g, got '%s'", option->name, option->low,
                option->high, text);
        return 2;
    }
    *(double *)option->target = value;
    return OPTIONS_GO_ON;
}

static int set_choice(const struct option *option, const char *text)
{
    char list[256];
    size_t used = 0;
    list[0] = '\0';
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(text, option->choices[i]) == 0) {
            *(int *)option->target = i;
            return OPTIONS_GO_ON;
        }
        const char *glue = i == 0 ? "" : option->choices[i + 1] == NULL ? " or " : ", ";
        const int n = snprintf(list + used, sizeof list - used, "%s%s", glue, option->choices[i]);
        if (n > 0 && (size_t)n < sizeof list - used) used += (size_t)n;
    }
    message("--%s takes %s, got '%s'", option->name, list, text);
    return 2;
}

static int set_value(const struct option *option, const char *text)
{
    switch (option->kind) {
    case OPTION_KIND_INT:
        return set_int(option, text);
    case OPTION_KIND_REAL:
        return set_real(option, text);
    case OPTION_KIND_CHOICE:
        return set_choice(option, text);
    default:
        if (text[0] == '\0') {
            message("--%s takes a %s, got an empty one", option->name, value_name(option));
            return 2;
        }
        *(const char **)option->target = text;
        return OPTIONS_GO_ON;
    }
}

static const struct option *find(const struct option *table, int count, const char *name,
                                 size_t length)
{
    for (int i = 0; i < count; i++) {
        if (strncmp(table[i].name, name, length) == 0 && table[i].name[length] == '\0')
            return &table[i];
    }
    return NULL;
}

/* mkdir -p, and a check that files can be made there. */
static int make_out(const char *out)
{
    char path[OPTIONS_PATH_SIZE];
    const size_t length = strlen(out);
    if (length > OUT_LONGEST) {
        message("--out is %zu bytes long, at most %d are possible", length, OUT_LONGEST);
        return 2;
    }
    memcpy(path, out, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        const char kept = path[i];
        path[i] = '\0';
        struct stat info;
        if (mkdir(path, 0777) != 0 && !is_folder(path)) {
            const int reason = errno;
            if (stat(path, &info) == 0) {
                message("--out: '%s' is a file, not a folder", path);
            } else {
                message("--out: cannot make the folder '%s': %s", path, strerror(reason));
            }
            return 2;
        }
        path[i] = kept;
    }
    if (access(out, W_OK | X_OK) != 0) {
        message("--out: cannot write in '%s': %s", out, strerror(errno));
        return 2;
    }
    return OPTIONS_GO_ON;
}

/* Can files be made in the folder of `path`? Asked before the first epoch, not after it. */
static int check_checkpoint(const char *path)
{
    char folder[OPTIONS_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= sizeof folder) {
        message("--checkpoint is %zu bytes long, at most %d are possible", strlen(path),
                OUT_LONGEST);
        return 2;
    }
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (is_folder(path)) {
        message("--checkpoint '%s' is a folder, expected a file", path);
        return 2;
    }
    if (access(length > 0 ? folder : ".", W_OK | X_OK) != 0) {
        message("--checkpoint: cannot write '%s': %s", path, strerror(errno));
        return 2;
    }
    return OPTIONS_GO_ON;
}

/* An option by its name, the program's own first; *bit: its place in `given`. */
static const struct option *look_up(const struct options *o, const struct option *common,
                                    const char *name, size_t length, int *bit)
{
    const struct option *found = find(o->own, o->own_count, name, length);
    if (found) {
        *bit = COMMON + (int)(found - o->own);
        return found;
    }
    found = find(common, common_count(o), name, length);
    if (found) *bit = (int)(found - common);
    return found;
}

/* Sets the option of `word`, which begins with dashes, from the word itself ("--name=value") or
 * from `next` (NULL: there is none); *used is 1 if it took that. `later`: leaves what was given
 * already. OPTIONS_GO_ON, or 2, reported. */
static int set_option(struct options *o, const struct option *common, const char *word,
                      const char *next, int later, int *used)
{
    const char *name = word + 2;
    const size_t length = word[1] == '-' ? strcspn(name, "=") : 0;
    const struct option *option = NULL;
    int bit = 0, on = 1;
    *used = 0;
    if (length > 0) option = look_up(o, common, name, length, &bit);
    if (option == NULL && length > 3 && strncmp(name, "no-", 3) == 0) {
        option = look_up(o, common, name + 3, length - 3, &bit);
        if (option != NULL && (option->kind != OPTION_KIND_FLAG || !option->target)) option = NULL;
        on = 0;
    }
    if (option == NULL) {
        message("unknown option '%s'; see --help", word);
        return 2;
    }
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    if (option->kind == OPTION_KIND_FLAG) {
        if (value != NULL) {
            message("--%.*s takes no value, got '%s'", (int)length, name, value);
            return 2;
        }
        if (!later || !(o->given >> bit & 1u)) *(int *)option->target = on;
    } else {
        if (value == NULL && (next == NULL || strncmp(next, "--", 2) == 0)) {
            message("--%s takes a value (%s); see --help", option->name, value_name(option));
            return 2;
        }
        *used = value == NULL;
        if (later && o->given >> bit & 1u) return OPTIONS_GO_ON;
        const int status = set_value(option, value != NULL ? value : next);
        if (status != OPTIONS_GO_ON) return status;
    }
    if (!later) o->given |= UINT64_C(1) << bit;
    return OPTIONS_GO_ON;
}

int options_parse(struct options *o, int argc, char **argv, const struct option *own, int own_count)
{
    struct option common[COMMON];
    common_table(o, common);
    o->own = own;
    o->own_count = own_count;
    int only_operands = 0, status;

    /* first of all, so that it shows the defaults and works whatever else is on the line */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(o, common, own, own_count);
            return 0;
        }
    }
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            const int most = o->operand_most > 1 ? o->operand_most : o->operand_name != NULL;
            if (o->operand_count >= most) {
                message("unexpected argument '%s'; see --help", word);
                return 2;
            }
            if (o->operand == NULL) o->operand = word;
            o->operands[o->operand_count++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_operands = 1;
            continue;
        }
        int used = 0;
        status = set_option(o, common, word, i + 1 < argc ? argv[i + 1] : NULL, 0, &used);
        if (status != OPTIONS_GO_ON) return status;
        i += used;
    }
    if (o->checkpoint && (status = check_checkpoint(o->checkpoint)) != OPTIONS_GO_ON) return status;
    return make_out(o->out);
}

/* One of the program's own flags. */
static int is_on(const struct options *o, const char *flag)
{
    const struct option *found = find(o->own, o->own_count, flag, strlen(flag));
    return found && *(const int *)found->target;
}

int options_take_defaults(struct options *o, const char *dataset)
{
    struct option common[COMMON];
    const struct option_defaults *d = o->defaults;
    int used, status;
    common_table(o, common);
    while (d && d->dataset && (strcmp(d->dataset, dataset) || (d->with && !is_on(o, d->with)))) d++;
    if (!d || !d->dataset) return OPTIONS_GO_ON;
    if (strlen(d->words) >= sizeof o->defaults_text) {
        message("the defaults of %s are too long", dataset);
        return 2;
    }
    if (!o->quiet) message("%s: by default %s", dataset, d->words);
    char *rest = strcpy(o->defaults_text, d->words), *word = strtok_r(NULL, " ", &rest);
    while (word) {
        char *next = strtok_r(NULL, " ", &rest);
        if ((status = set_option(o, common, word, next, 1, &used)) != OPTIONS_GO_ON) return status;
        word = used ? strtok_r(NULL, " ", &rest) : next;
    }
    return OPTIONS_GO_ON;
}

int64_t options_last_epoch(const struct options *o)
{
    return o->stop_after > 0 && o->stop_after < o->epochs ? o->stop_after : o->epochs;
}

int options_given(const struct options *o, const char *name)
{
    struct options scratch = *o;
    struct option common[COMMON];
    int bit = 0;
    common_table(&scratch, common);
    return look_up(&scratch, common, name, strlen(name), &bit) && (o->given >> bit & 1u);
}

const char *options_out_path(const struct options *o, const char *file,
                             char path[OPTIONS_PATH_SIZE])
{
    const size_t length = strlen(o->out);
    const char *slash = length > 0 && o->out[length - 1] == '/' ? "" : "/";
    snprintf(path, OPTIONS_PATH_SIZE, "%s%s%s", o->out, slash, file);
    return path;
}
