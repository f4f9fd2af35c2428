"""PyTorch's side of the benchmark: the same models as bench/rows.c.

    python3 torch_bench.py THREADS FOLDER

prints a line about itself, then trains a block for each line "ROW SECONDS" on stdin and answers
with samples per second (0: no such row). The loop is an ordinary fast one: all data in memory as
one tensor, mini-batches by slices of a permutation, gradients set to None. Where PyTorch offers
several ways to the same result (the fused loss or sigmoid and loss, Adam over lists of tensors or
one by one, images with channels first or last, data and samples in one pass of D or in two), the
fastest in a short trial is used.
"""
import gzip
import itertools
import math
import os
import re
import sys
import time

import torch
import torch.nn.functional as F

threads, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
torch.manual_seed(1)


def read_digits():
    name = os.path.join(folder, "t10k-images-idx3-ubyte")
    for path, opener in ((name, open), (name + ".gz", gzip.open)):
        if os.path.exists(path):
            with opener(path, "rb") as f:
                raw = bytearray(f.read())[16:]
            return torch.frombuffer(raw, dtype=torch.uint8).view(-1, 784).float() / 255
    return torch.rand(10000, 784)


class VAE(torch.nn.Module):
    """784-400-20-400-784, ReLU, with two heads on the encoder."""

    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(784, 400)
        self.fc21 = torch.nn.Linear(400, 20)
        self.fc22 = torch.nn.Linear(400, 20)
        self.fc3 = torch.nn.Linear(20, 400)
        self.fc4 = torch.nn.Linear(400, 784)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mean, logvar = self.fc21(h), self.fc22(h)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.fc4(F.relu(self.fc3(z))), mean, logvar


class ConvVAE(torch.nn.Module):
    """Two convolutions on each side, kernel 4 and stride 2."""

    def __init__(self):
        super().__init__()
        relu = torch.nn.ReLU(inplace=True)
        self.encoder = torch.nn.Sequential(
            torch.nn.Conv2d(1, 32, 4, 2, 1), relu,
            torch.nn.Conv2d(32, 64, 4, 2, 1), relu, torch.nn.Flatten(),
            torch.nn.Linear(3136, 256), relu, torch.nn.Linear(256, 40))
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(20, 256), relu, torch.nn.Linear(256, 3136), relu,
            torch.nn.Unflatten(1, (64, 7, 7)), torch.nn.ConvTranspose2d(64, 32, 4, 2, 1), relu,
            torch.nn.ConvTranspose2d(32, 1, 4, 2, 1), torch.nn.Flatten())

    def forward(self, x):
        mean, logvar = self.encoder(x.view(-1, 1, 28, 28)).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.decoder(z), mean, logvar


def train_vae(model, fused_loss, foreach):
    optimizer = adam(model.parameters(), 1e-3, 0.9, foreach)

    def step(x):
        optimizer.zero_grad(set_to_none=True)
        logits, mean, logvar = model(x)
        if fused_loss:
            loss = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        else:
            loss = F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="sum")
        loss = loss - 0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
        (loss / len(x)).backward()
        optimizer.step()

    return step


def vae(fused_loss, foreach):
    return train_vae(VAE(), fused_loss, foreach)


def conv_vae(fused_loss, foreach, channels_last):
    return train_vae(laid_out(ConvVAE(), channels_last), fused_loss, foreach)


def train_gan(generator, discriminator, shape, foreach, joined):
    """Non-saturating: one update of D on data and samples, one of G on the same samples."""
    adam_g = adam(generator.parameters(), 2e-4, 0.5, foreach)
    adam_d = adam(discriminator.parameters(), 2e-4, 0.5, foreach)
    weights = list(discriminator.parameters())

    def step(x):
        x = x.view(shape)
        fake = generator(torch.randn(len(x), 100))
        adam_d.zero_grad(set_to_none=True)
        if joined:
            of_data, of_fake = discriminator(torch.cat((x, fake.detach()))).chunk(2)
        else:
            of_data, of_fake = discriminator(x), discriminator(fake.detach())
        (F.softplus(-of_data).mean() + F.softplus(of_fake).mean()).backward()
        adam_d.step()
        adam_g.zero_grad(set_to_none=True)
        for w in weights:  # no gradients of D's weights while G moves
            w.requires_grad_(False)
        F.softplus(-discriminator(fake)).mean().backward()
        for w in weights:
            w.requires_grad_(True)
        adam_g.step()

    return step


def gan(foreach, joined):
    """100-1200-1200-784 against 784-512-256-1."""
    relu, leaky = torch.nn.ReLU(inplace=True), torch.nn.LeakyReLU(0.2, inplace=True)
    generator = torch.nn.Sequential(
        torch.nn.Linear(100, 1200), relu, torch.nn.Linear(1200, 1200), relu,
        torch.nn.Linear(1200, 784), torch.nn.Sigmoid())
    discriminator = torch.nn.Sequential(
        torch.nn.Linear(784, 512), leaky, torch.nn.Linear(512, 256), leaky,
        torch.nn.Linear(256, 1))
    return train_gan(generator, discriminator, (-1, 784), foreach, joined)


def dcgan(foreach, channels_last):
    """Width 64, 28 x 28; batch norm, so D sees data and samples one after the other."""
    relu, leaky = torch.nn.ReLU(inplace=True), torch.nn.LeakyReLU(0.2, inplace=True)
    generator = torch.nn.Sequential(
        torch.nn.Linear(100, 128 * 7 * 7, bias=False), torch.nn.Unflatten(1, (128, 7, 7)),
        torch.nn.BatchNorm2d(128), relu,
        torch.nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), torch.nn.BatchNorm2d(64), relu,
        torch.nn.ConvTranspose2d(64, 1, 4, 2, 1), torch.nn.Tanh())
    discriminator = torch.nn.Sequential(
        torch.nn.Conv2d(1, 64, 4, 2, 1), leaky,
        torch.nn.Conv2d(64, 128, 4, 2, 1, bias=False), torch.nn.BatchNorm2d(128), leaky,
        torch.nn.Flatten(), torch.nn.Linear(128 * 7 * 7, 1))
    for net in (generator, discriminator):
        for name, w in net.named_parameters():
            if w.dim() > 1:
                torch.nn.init.normal_(w, 0, 0.02)
            elif name.endswith("bias"):
                torch.nn.init.zeros_(w)
    generator = laid_out(generator, channels_last)
    discriminator = laid_out(discriminator, channels_last)
    return train_gan(generator, discriminator, (-1, 1, 28, 28), foreach, False)


def gmmn(foreach, by_cdist, by_squaring):
    """10-64-256-256-1024-784, the root of MMD^2 under the sum of six Gaussians."""
    relu = torch.nn.ReLU(inplace=True)
    net = torch.nn.Sequential(
        torch.nn.Linear(10, 64), relu, torch.nn.Linear(64, 256), relu,
        torch.nn.Linear(256, 256), relu, torch.nn.Linear(256, 1024), relu,
        torch.nn.Linear(1024, 784), torch.nn.Sigmoid())
    optimizer = adam(net.parameters(), 1e-3, 0.9, foreach)
    factors = [-0.5 / variance for variance in (2, 5, 10, 20, 40, 80)]

    def kernel(a, b):
        if by_cdist:
            d = torch.cdist(a, b).square()
        else:
            norms = a.square().sum(1)[:, None] + b.square().sum(1)[None]
            d = torch.addmm(norms, a, b.t(), alpha=-2).clamp(min=0)
        if by_squaring:  # variances 40, 20, 10 and 5 are squares, one of the other
            e80 = torch.exp(d * factors[5])
            e40 = e80.square()
            e20 = e40.square()
            e10 = e20.square()
            e5 = e10.square()
            return e80 + e40 + e20 + e10 + e5 + torch.exp(d * factors[0])
        return sum(torch.exp(d * factor) for factor in factors)

    def step(x):
        samples = net(torch.rand(len(x), 10) * 2 - 1)
        with torch.no_grad():
            of_data = kernel(x, x).mean()
        mmd2 = kernel(samples, samples).mean() - 2 * kernel(samples, x).mean() + of_data
        optimizer.zero_grad(set_to_none=True)
        mmd2.clamp(min=0).sqrt().backward()
        optimizer.step()

    return step


class NADE(torch.nn.Module):
    """784 bits, 500 sigmoid units."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(0.01 * torch.randn(784, 500))
        self.c = torch.nn.Parameter(torch.zeros(500))
        self.v = torch.nn.Parameter(0.01 * torch.randn(784, 500))
        self.b = torch.nn.Parameter(torch.zeros(784))

    def forward(self, x):
        """The usual loop over the columns."""
        a, logits = self.c.expand(len(x), -1), []
        for d, (w, v) in enumerate(zip(self.w.unbind(), self.v.unbind())):
            logits.append(torch.mv(torch.sigmoid(a), v))
            a = torch.addr(a, x[:, d], w)
        return torch.stack(logits, 1) + self.b

    def whole(self, x):
        """All columns at once, with the hidden units of every column in memory."""
        a = torch.cumsum(x.unsqueeze(2) * self.w, 1)
        a = torch.cat((torch.zeros_like(a[:, :1]), a[:, :-1]), 1) + self.c
        return torch.einsum("ndh,dh->nd", torch.sigmoid(a), self.v) + self.b

    @torch.no_grad()
    def sample(self):
        a, x, u = self.c.clone(), torch.zeros(784), torch.rand(784).tolist()
        logits = self.b.tolist()
        for d, (w, v) in enumerate(zip(self.w.unbind(), self.v.unbind())):
            p = torch.dot(torch.sigmoid(a), v).item() + logits[d]
            if u[d] < 1 / (1 + math.exp(-p)):
                x[d] = 1
                a += w
        return x


def nade(loop, foreach):
    model = NADE()
    optimizer = adam(model.parameters(), 1e-3, 0.9, foreach)
    conditionals = model if loop else model.whole

    def step(x):
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(conditionals(x), x, reduction="sum") / len(x)
        loss.backward()
        optimizer.step()

    return step


class MaskedLinear(torch.nn.Linear):
    def __init__(self, size):
        super().__init__(size, size)
        self.register_buffer("mask", torch.tril(torch.ones(size, size), -1))

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)

    @torch.no_grad()
    def sample(self):
        x, u, logits = torch.zeros(len(self.bias)), torch.rand(len(self.bias)).tolist(), self.bias.tolist()
        for d, w in enumerate(self.weight.unbind()):
            p = torch.dot(w[:d], x[:d]).item() + logits[d]
            x[d] = u[d] < 1 / (1 + math.exp(-p))
        return x


def linear_ar(foreach):
    model = MaskedLinear(784)
    optimizer = adam(model.parameters(), 1e-3, 0.9, foreach)

    def step(x):
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(model(x), x, reduction="sum")
        (loss / len(x)).backward()
        optimizer.step()

    return step


class Masked(torch.nn.Linear):
    def __init__(self, inputs, outputs, mask):
        super().__init__(inputs, outputs)
        self.register_buffer("mask", mask.float())

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(torch.nn.Module):
    """784-500-500-784 with the masks of gm/made.h's default."""

    def __init__(self):
        super().__init__()
        columns, hidden = torch.arange(1, 785), 1 + torch.arange(500) * 783 // 500
        self.layers = torch.nn.ModuleList([
            Masked(784, 500, hidden[:, None] >= columns[None]),
            Masked(500, 500, hidden[:, None] >= hidden[None]),
            Masked(500, 784, columns[:, None] > hidden[None])])

    def forward(self, x):
        h = F.relu(self.layers[0](x))
        return self.layers[2](F.relu(self.layers[1](h)))

    @torch.no_grad()
    def sample(self):
        """The usual way: the net once for each column. The masked weights are multiplied out once."""
        weights = [(layer.weight * layer.mask, layer.bias) for layer in self.layers]
        x, u = torch.zeros(1, 784), torch.rand(784).tolist()
        for d in range(784):
            h = F.relu(F.linear(F.relu(F.linear(x, *weights[0])), *weights[1]))
            p = (torch.dot(weights[2][0][d], h[0]) + weights[2][1][d]).item()
            x[0, d] = u[d] < 1 / (1 + math.exp(-p))
        return x


def made(foreach):
    model = MADE()
    optimizer = adam(model.parameters(), 1e-3, 0.9, foreach)

    def step(x):
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(model(x), x, reduction="sum")
        (loss / len(x)).backward()
        optimizer.step()

    return step


class MaskedConv(torch.nn.Conv2d):
    """Mask A hides the middle and all that follows, mask B what follows (van den Oord et al. 2016)."""

    def __init__(self, kind, inputs, outputs, size):
        super().__init__(inputs, outputs, size, padding=size // 2)
        mask = torch.zeros(size, size)
        mask[: size // 2] = 1
        mask[size // 2, : size // 2 + (kind == "B")] = 1
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Residual(torch.nn.Module):
    def __init__(self, h):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.ReLU(), torch.nn.Conv2d(2 * h, h, 1), torch.nn.ReLU(inplace=True),
            MaskedConv("B", h, h, 3), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(h, 2 * h, 1))

    def forward(self, x):
        return x + self.net(x)


class PixelCNN(torch.nn.Sequential):
    def __init__(self, h=16):
        super().__init__(
            MaskedConv("A", 1, 2 * h, 7), *[Residual(h) for _ in range(15)], torch.nn.ReLU(),
            torch.nn.Conv2d(2 * h, 32, 1), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(32, 1, 1))

    @torch.no_grad()
    def sample(self):
        x = torch.zeros(1, 1, 28, 28)
        for i in range(784):
            x.view(-1)[i] = torch.bernoulli(torch.sigmoid(self(x).view(-1)[i]))
        return x


def pixelcnn(foreach, channels_last):
    model = laid_out(PixelCNN(), channels_last)
    optimizer = adam(model.parameters(), 1e-3, 0.9, foreach)

    def step(x):
        x = x.view(-1, 1, 28, 28)
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(model(x), x, reduction="sum")
        (loss / len(x)).backward()
        optimizer.step()

    return step


class SBN(torch.nn.Module):
    """784-200-200 with its recognition network and, for NVIL, baselines of 100 tanh units."""

    def __init__(self):
        super().__init__()
        linear = torch.nn.Linear
        self.down = torch.nn.ModuleList([linear(200, 784), linear(200, 200)])
        self.top = torch.nn.Parameter(torch.zeros(200))
        self.up = torch.nn.ModuleList([linear(784, 200), linear(200, 200)])
        self.baselines = torch.nn.ModuleList([
            torch.nn.Sequential(linear(n, 100), torch.nn.Tanh(), linear(100, 1)) for n in (784, 200)])

    @torch.no_grad()
    def sample(self):
        h = torch.bernoulli(torch.sigmoid(self.top))
        for layer in (self.down[1], self.down[0]):
            h = torch.bernoulli(torch.sigmoid(layer(h)))
        return h


def sbn(fused_loss, foreach):
    """Mnih and Gregor 2014: one draw a row, signals less baselines and running means, over running deviations."""
    model = SBN()
    optimizer = adam(model.parameters(), 1e-3, 0.9, foreach)
    centre, variance = [0.0, 0.0], [0.0, 0.0]
    seen = [False, False]

    def log_p(logits, bits):
        if fused_loss:
            return -F.binary_cross_entropy_with_logits(logits, bits, reduction="none").sum(1)
        return (bits * logits - F.softplus(logits)).sum(1)

    def step(x):
        layers, q = [x], []
        for up in model.up:
            logits = up(layers[-1])
            with torch.no_grad():
                layers.append(torch.bernoulli(torch.sigmoid(logits)))
            q.append(log_p(logits, layers[-1]))
        p = [log_p(down(layers[i + 1]), layers[i]) for i, down in enumerate(model.down)]
        p.append(log_p(model.top.expand(len(x), -1), layers[2]))
        loss, signal = -(p[0] + p[1] + p[2]).mean(), p[2].detach()
        for i in (1, 0):
            signal = signal + p[i].detach() - q[i].detach()
            base = model.baselines[i](layers[i]).squeeze(1)
            v, m = torch.var_mean(signal - base.detach(), unbiased=False)
            keep = 0.9 if seen[i] else 0.0
            fresh = keep * centre[i] + (1 - keep) * m.item(), keep * variance[i] + (1 - keep) * v.item()
            c, s = (centre[i], variance[i]) if seen[i] else fresh
            centre[i], variance[i], seen[i] = fresh[0], fresh[1], True
            miss = signal - c - base
            loss = loss - (miss.detach() / max(1, math.sqrt(s)) * q[i]).mean() + miss.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def laid_out(net, channels_last):
    return net.to(memory_format=torch.channels_last) if channels_last else net


def adam(parameters, rate, beta1, foreach):
    try:
        return torch.optim.Adam(parameters, lr=rate, betas=(beta1, 0.999), foreach=foreach)
    except TypeError:  # before 1.12
        return torch.optim.Adam(parameters, lr=rate, betas=(beta1, 0.999))


def ways(count):
    return list(itertools.product((True, False), repeat=count))


# name: (batch, darkest value, maker, the ways to try); darkest value "bits": 0 or 1
ROWS = {
    "vae": (128, 0, vae, ways(2)),
    "conv_vae": (128, 0, conv_vae, ways(3)),
    "gan": (128, 0, gan, ways(2)),
    "dcgan": (64, -1, dcgan, ways(2)),
    "gmmn": (1000, 0, gmmn, ways(3)),
    "nade": (100, "bits", nade, ways(2)),
    "linear_ar": (100, "bits", linear_ar, ways(1)),
    "made": (100, "bits", made, ways(1)),
    "pixelcnn": (32, "bits", pixelcnn, ways(2)),
    "sbn": (100, "bits", sbn, ways(2)),
}
# Models that draw one image when told.
SAMPLERS = {"nade": NADE, "linear_ar": lambda: MaskedLinear(784), "made": MADE, "pixelcnn": PixelCNN,
            "sbn": SBN}


class Work:
    def __init__(self, name):
        self.batch, low, maker, choices = ROWS[name]
        self.data = (digits > 0.5).float() if low == "bits" else digits * (1 - low) + low
        self.order, self.at = torch.randperm(len(self.data)), 0
        best = 0.0
        for way in choices:
            step = maker(*way)
            self.block(step, 0.2)
            rate = self.block(step, 0.4)
            if rate > best:
                best, self.step = rate, step

    def block(self, step, seconds):
        done, begin = 0, time.perf_counter()
        while True:
            if self.at + self.batch > len(self.data):
                self.order, self.at = torch.randperm(len(self.data)), 0
            step(self.data[self.order[self.at:self.at + self.batch]])
            self.at += self.batch
            done += self.batch
            spent = time.perf_counter() - begin
            if spent >= seconds:
                return done / spent


class Draws:
    def __init__(self, name):
        self.model = self.step = SAMPLERS[name]()

    def block(self, model, seconds):
        done, begin = 0, time.perf_counter()
        while True:
            model.sample()
            done += 1
            spent = time.perf_counter() - begin
            if spent >= seconds:
                return done / spent


def blas():
    """The library that the process has loaded for its matrix products."""
    try:
        with open("/proc/self/maps") as f:
            library = r"lib(mkl_core|mkl_rt|openblas\w*|blis\w*|blas)[-.0-9a-z]*\.so"
            names = set(re.findall(library, f.read()))
    except OSError:
        names = set()
    return "+".join(sorted(names)) or "its own BLAS"


digits = read_digits()
torch.mm(torch.rand(64, 64), torch.rand(64, 64))
print("PyTorch %s with %s" % (torch.__version__, blas()), flush=True)
works = {}
for line in sys.stdin:
    name, seconds = line.split()
    row, _, draws = name.partition(".")
    if row not in (SAMPLERS if draws else ROWS):
        print(0, flush=True)
        continue
    if name not in works:
        works[name] = (Draws if draws else Work)(row)
    print(works[name].block(works[name].step, float(seconds)), flush=True)
