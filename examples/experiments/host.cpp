// host.cpp - a C++17 program as host: a small variational autoencoder, trained and saved.
//
// The library's handles become std::unique_ptr with the matching release function, and its statuses
// become an exception, in some thirty lines at the top; below them is no clean-up at all. Two rules
// at the border: callbacks given to the library must not throw (they are called from C), and a
// handle that one object retains may be dropped at once.
#include "gm/gm.h"

extern "C" {
#include "common/image_grid.h"
#include "common/json.h"
#include "common/mnist.h"
#include "common/plot.h"
#include "common/progress.h"
#include "common/run.h"
#include "common/stop.h"
#include "common/training.h"
}

#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

template <auto release> struct Release {
    template <class T> void operator()(T *object) const
    {
        release(object);
    }
};
template <class T, auto release> using Handle = std::unique_ptr<T, Release<release>>;

using Layer = Handle<gm_layer, gm_layer_release>;
using Generator = Handle<gm_generator, gm_generator_release>;
using Vae = Handle<gm_vae, gm_vae_release>;
using Tensor = Handle<gm_tensor, gm_tensor_release>;
using Digits = Handle<mnist, mnist_close>;

// A failed call: its status, and the line that the context kept.
struct Error : std::runtime_error {
    Error(gm_status s, gm_context *context)
        : std::runtime_error(gm_context_error(context)), status(s)
    {
    }
    gm_status status;
};

void check(gm_context *context, gm_status s)
{
    if (s != GM_OK) throw Error(s, context);
}

// make<Layer>(context, gm_sequence_create, context): calls a constructor of the library and owns
// what it gives.
template <class H, class Create, class... Arguments>
H make(gm_context *context, Create create, Arguments... arguments)
{
    typename H::pointer object = nullptr;
    check(context, create(&object, arguments...));
    return H(object);
}

constexpr std::int64_t pixels = 784, hidden = 200, latent = 10;

Vae make_vae(gm_context *context)
{
    Layer encoder = make<Layer>(context, gm_sequence_create, context);
    gm_sequence_add_linear(encoder.get(), pixels, hidden);
    gm_sequence_add_relu(encoder.get());
    gm_sequence_add_linear(encoder.get(), hidden, 2 * latent);

    Layer net = make<Layer>(context, gm_sequence_create, context);
    gm_sequence_add_linear(net.get(), latent, hidden);
    gm_sequence_add_relu(net.get());
    gm_sequence_add_linear(net.get(), hidden, pixels);

    gm_generator_options shape = GM_GENERATOR_OPTIONS_INIT;
    shape.latent = latent;
    Generator decoder = make<Generator>(context, gm_generator_create, context, net.get(), &shape);
    // The model retains its parts; ours go at the end of this function.
    return make<Vae>(context, gm_vae_create, context, encoder.get(), decoder.get(), nullptr);
}

// "loss" of the metrics, NaN if it is not there.
double loss_of(const gm_metric *metrics, int count)
{
    for (int i = 0; i < count; i++) {
        if (std::string("loss") == metrics[i].name) return metrics[i].value;
    }
    return std::numeric_limits<double>::quiet_NaN();
}

struct Watch {
    progress bar;
    std::vector<double> losses, checks;
};

// The callback of fit; noexcept, for it is called from C.
std::int32_t on_report(void *user, const gm_fit_report *p) noexcept
{
    Watch &watch = *static_cast<Watch *>(user);
    const double loss = loss_of(p->metrics, p->metric_count);
    if (p->epoch_end != 0) {
        const double check = loss_of(p->validation, p->validation_count);
        watch.losses.push_back(loss); // the room is reserved, so this cannot throw
        watch.checks.push_back(check);
        progress_epoch(&watch.bar, p->epoch + 1, loss, check);
    } else {
        progress_step(&watch.bar, p->epoch + 1, p->row, p->rows, loss);
    }
    return stop_requested();
}

std::string out_path(const options &o, const char *file)
{
    std::vector<char> path(OPTIONS_PATH_SIZE);
    return options_out_path(&o, file, path.data());
}

void draw(const run &r, gm_model *model, const char *file, const char *title)
{
    gm_model_seed(model, static_cast<std::uint64_t>(r.options.seed));
    const Tensor images = make<Tensor>(r.context, gm_model_sample, model, std::int64_t{ 100 });
    if (image_grid_write(out_path(r.options, file).c_str(), gm_tensor_read(images.get()), 100, 1,
                         28, 28, 10, title) != 0)
        throw std::runtime_error("no picture");
}

void plot_losses(const options &o, const Watch &watch)
{
    plot_series lines[2] = {};
    lines[0].label = "training";
    lines[0].y = watch.losses.data();
    lines[1].label = "validation";
    lines[1].y = watch.checks.data();
    lines[1].dashed = 1;
    for (plot_series &line : lines) line.count = static_cast<int>(watch.losses.size());
    plot whole = {};
    whole.title = "A variational autoencoder, hosted by C++";
    whole.x_label = "epoch";
    whole.panels = 1;
    whole.panel[0].y_label = "loss (nats per image)";
    whole.series = lines;
    whole.series_count = 2;
    if (!watch.losses.empty() && plot_write(out_path(o, "loss.png").c_str(), &whole) != 0)
        throw std::runtime_error("no picture");
}

// The status to exit with.
int work(const run &r, const mnist &digits)
{
    const options &o = r.options;
    Vae vae = make_vae(r.context);
    gm_model *model = gm_vae_model(vae.release()); // the same object, so its owner is passed on
    gm_status s = GM_OK;
    const int status = training_resume(&model, &r, &s);
    vae.reset(gm_vae_from_model(model));
    check(r.context, s);
    if (status != OPTIONS_GO_ON) return status;
    if (gm_model_epochs(model) == 0) draw(r, model, "samples_first.png", "before training");

    Watch watch;
    watch.losses.reserve(static_cast<std::size_t>(o.epochs));
    watch.checks.reserve(static_cast<std::size_t>(o.epochs));
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.batch = o.batch;
    fit.on_report = on_report;
    fit.user = &watch;
    fit.validation = digits.valid != nullptr ? digits.valid : digits.test;
    progress_begin(&watch.bar, o.epochs, o.quiet);
    s = training_fit(&r, model, digits.train, &fit, 0);
    progress_end(&watch.bar);
    const bool stopped = s == GM_E_CANCELLED;
    if (!stopped) check(r.context, s);

    gm_metric metrics[GM_MAX_METRICS];
    std::int32_t count = 0;
    check(r.context,
          gm_model_evaluate(model, digits.test, nullptr, metrics, GM_MAX_METRICS, &count));
    draw(r, model, "samples_last.png", "samples after training");
    plot_losses(o, watch);
    check(r.context, gm_model_save(model, out_path(o, "model.safetensors").c_str()));

    json j;
    json_begin(&j, "vae", digits.name);
    mnist_json(&j, &digits);
    json_whole(&j, "epochs", gm_model_epochs(model));
    json_number(&j, "test_loss", loss_of(metrics, count));
    json_number(&j, "samples_per_second", progress_rate(&watch.bar));
    json_number(&j, "seconds", run_seconds(&r));
    if (stopped) json_flag(&j, "stopped", 1);
    if (json_end(&j) != 0) throw std::runtime_error("no result");
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    run r;
    options_init(&r.options, "host", "Trains a small variational autoencoder from C++.");
    r.options.epochs = 30;
    int status = run_start(&r, argc, argv, nullptr, 0);
    if (status != OPTIONS_GO_ON) return status;
    gm_status failure = GM_OK;
    {
        mnist digits = {};
        const Digits guard(&digits);
        status = mnist_open(&digits, r.context, &r.options, MNIST_ROWS);
        if (status == OPTIONS_GO_ON) {
            try {
                status = work(r, digits);
            } catch (const Error &e) {
                failure = e.status; // run_end prints the context's line
            } catch (const std::bad_alloc &) {
                std::fprintf(stderr, "host: no memory\n");
                status = 1;
            } catch (const std::exception &) {
                status = 1; // the helpers have said why
            }
        }
    }
    return run_end(&r, failure, status);
}
