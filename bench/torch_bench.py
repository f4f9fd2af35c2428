"""PyTorch's side of the benchmark: the same models as bench/rows.c.

    python3 torch_bench.py THREADS FOLDER

prints a line about itself, then trains a block for each line "ROW SECONDS" on stdin and answers
with samples per second (0: no such row). The loop is an ordinary fast one: all data in memory as
one tensor, mini-batches by slices of a permutation, gradients set to None. Where PyTorch offers
several ways to the same result (the fused loss or sigmoid and loss, Adam over lists of tensors or
one by one), the fastest in a short trial is used.
"""
import gzip
import os
import re
import sys
import time

import torch
import torch.nn.functional as F

threads, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
torch.manual_seed(1)


def digits():
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


def vae(fused_loss, foreach):
    model = VAE()
    optimizer = adam(model.parameters(), 1e-3, foreach)

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


def adam(parameters, rate, foreach):
    try:
        return torch.optim.Adam(parameters, lr=rate, foreach=foreach)
    except TypeError:  # before 1.12
        return torch.optim.Adam(parameters, lr=rate)


# name: (batch, maker, the ways to try)
ROWS = {
    "vae": (128, vae, [(fused, foreach) for fused in (True, False) for foreach in (False, True)]),
}


class Work:
    def __init__(self, name):
        self.batch, maker, ways = ROWS[name]
        self.order, self.at = torch.randperm(len(data)), 0
        best = 0.0
        for way in ways:
            step = maker(*way)
            self.block(step, 0.2)
            rate = self.block(step, 0.4)
            if rate > best:
                best, self.step = rate, step

    def block(self, step, seconds):
        done, begin = 0, time.perf_counter()
        while True:
            if self.at + self.batch > len(data):
                self.order, self.at = torch.randperm(len(data)), 0
            step(data[self.order[self.at:self.at + self.batch]])
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


data = digits()
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
