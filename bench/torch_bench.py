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


def laid_out(net, channels_last):
    return net.to(memory_format=torch.channels_last) if channels_last else net


def adam(parameters, rate, beta1, foreach):
    try:
        return torch.optim.Adam(parameters, lr=rate, betas=(beta1, 0.999), foreach=foreach)
    except TypeError:  # before 1.12
        return torch.optim.Adam(parameters, lr=rate, betas=(beta1, 0.999))


def ways(count):
    return list(itertools.product((True, False), repeat=count))


# name: (batch, darkest value, maker, the ways to try)
ROWS = {
    "vae": (128, 0, vae, ways(2)),
    "conv_vae": (128, 0, conv_vae, ways(3)),
    "gan": (128, 0, gan, ways(2)),
    "dcgan": (64, -1, dcgan, ways(2)),
    "gmmn": (1000, 0, gmmn, ways(3)),
}


class Work:
    def __init__(self, name):
        self.batch, low, maker, choices = ROWS[name]
        self.data = digits * (1 - low) + low
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
    if name not in ROWS:
        print(0, flush=True)
        continue
    if name not in works:
        works[name] = Work(name)
    print(works[name].block(works[name].step, float(seconds)), flush=True)
