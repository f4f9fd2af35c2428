#!/usr/bin/env python3
"""Writes tests/conv_tables.h: what PyTorch makes of a few small convolutions and pools.

Usage: python3 tests/make_conv_tables.py > tests/conv_tables.h
Inputs follow a rule that the test knows too, so only results are stored.
"""
import torch
import torch.nn.functional as F


def numbers(shape, salt):
    n = 1
    for s in shape:
        n *= s
    values = [((i * 37 + salt * 11 + i // 7) % 64 - 32) / 16 for i in range(n)]
    return torch.tensor(values).reshape(shape).requires_grad_()


def table(name, t):
    flat = ["%.9g" % v for v in t.detach().reshape(-1).tolist()]
    print("static const float %s[] = {" % name)
    line = "   "
    for v in flat:
        v = v if "." in v or "e" in v else v + ".0"
        piece = " %sf," % v
        if len(line) + len(piece) > 98:
            print(line)
            line = "   "
        line += piece
    print(line)
    print("};")


def case(name, fn, shapes):
    inputs = [numbers(s, k + 1) for k, s in enumerate(shapes)]
    y = fn(*inputs)
    g = numbers(tuple(y.shape), 9).detach()
    (y * g).sum().backward()
    print("\n/* %s: result %s. */" % (name, list(y.shape)))
    table("torch_%s" % name, y)
    for k, t in enumerate(inputs):
        table("torch_%s_%s" % (name, "dx dw db".split()[k]), t.grad)


print("/* conv_tables.h - results of PyTorch %s, written by tests/make_conv_tables.py. */" % torch.__version__)
print("#ifndef GM_TESTS_CONV_TABLES_H\n#define GM_TESTS_CONV_TABLES_H\n\n/* clang-format off */")
case("conv", lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
     [(2, 4, 5, 4), (6, 2, 3, 2), (6,)])
case("transpose", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=(3, 2), padding=(1, 0), dilation=(1, 2),
                                                     output_padding=(2, 1), groups=2),
     [(2, 4, 2, 3), (4, 3, 3, 2), (6,)])
case("dilated", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=1, dilation=3, output_padding=2, padding=2),
     [(1, 2, 3, 3), (2, 1, 2, 2), (1,)])
case("max", lambda x: F.max_pool2d(x, 3, stride=2, padding=1), [(2, 2, 5, 6)])
case("mean", lambda x: F.avg_pool2d(x, 3, stride=2, padding=1), [(2, 2, 5, 6)])
case("upsample", lambda x: F.interpolate(x, scale_factor=3, mode="nearest"), [(1, 2, 2, 3)])
case("shuffle", lambda x: F.pixel_shuffle(x, 2), [(1, 8, 2, 3)])
print("\n/* clang-format on */\n#endif")
