// host.cpp - a C++17 program as host: MADE (Germain et al. 2015) on digits, saved and loaded again.
//
//     c++ -std=c++17 host.cpp $(pkg-config --cflags --libs gm) -o host
//     ./host [IMAGES [MODEL]]     an IDX file of images, plain or gz; where to save the model
//
// Handles become std::unique_ptr with the matching release, statuses an exception.
#include <gm/gm.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

template <auto release> struct Release {
    template <class T> void operator()(T *object) const
    {
        release(object);
    }
};
template <class T, auto release> using Handle = std::unique_ptr<T, Release<release>>;
using Context = Handle<gm_context, gm_context_release>;
using Dataset = Handle<gm_dataset, gm_dataset_release>;
using Made = Handle<gm_made, gm_made_release>;
using Model = Handle<gm_model, gm_model_release>;
using Tensor = Handle<gm_tensor, gm_tensor_release>;

static void check(gm_status s, const gm_context *context)
{
    if (s != GM_OK)
        throw std::runtime_error(std::string(gm_status_name(s)) + ": " + gm_context_error(context));
}

// make<Dataset>(context, gm_dataset_open_idx, context, path): owns what a constructor gives.
template <class H, class Create, class... Arguments>
static H make(const gm_context *context, Create create, Arguments... arguments)
{
    typename H::pointer object = nullptr;
    check(create(&object, arguments...), context);
    return H(object);
}

static void run(const char *images, const char *file)
{
    const Context owner = make<Context>(nullptr, gm_context_create, GM_HEADER_VERSION, nullptr);
    gm_context *const context = owner.get();
    const Dataset bytes = make<Dataset>(context, gm_dataset_open_idx, context, images);
    const Dataset bits = make<Dataset>(context, gm_dataset_threshold, bytes.get(), 127.0);

    const std::int64_t pixels = gm_dataset_row_size(bits.get());
    const Made made = make<Made>(context, gm_made_create, context, pixels, nullptr);
    gm_model *const model = gm_made_model(made.get()); // borrowed: the same object, for the verbs
    gm_fit_options fit = GM_FIT_OPTIONS_INIT;
    fit.epochs = 3;
    check(gm_model_fit(model, bits.get(), &fit), context);
    check(gm_model_save(model, file), context);

    // A file of any family becomes a model again, with the same likelihoods to the last bit.
    const Model loaded = make<Model>(context, gm_model_load, context, file);
    const Tensor rows = make<Tensor>(context, gm_dataset_read_tensor, bits.get(), 0, 5, 0);
    std::vector<double> before(5), after(5);
    const float *values = gm_tensor_read(rows.get());
    check(gm_model_log_prob(model, values, 5, before.data()), context);
    check(gm_model_log_prob(loaded.get(), values, 5, after.data()), context);
    for (const double nats : after) std::cout << "log p(x) = " << nats << " nats\n";
    if (before != after) throw std::runtime_error("the loaded model differs");
}

int main(int argc, char **argv)
{
    try {
        const char *images = argc > 1 ? argv[1] : "data/mnist/t10k-images-idx3-ubyte.gz";
        run(images, argc > 2 ? argv[2] : "made.safetensors");
    } catch (const std::exception &error) {
        std::cerr << "host: " << error.what() << "\n";
        return 1;
    }
}
