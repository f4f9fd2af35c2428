# Writes tests/norm_reference.h: what PyTorch (1.13 and later) gives for the inputs of tests/test_norm.c.
#
#     python3 tests/reference/norm.py > tests/norm_reference.h
import torch
from torch import nn
import torch.nn.functional as F

def fill(shape, mul, mod, scale):
    n = 1
    for s in shape: n *= s
    return torch.tensor([((i * mul) % mod - mod // 2) * scale for i in range(n)], dtype=torch.float32).reshape(shape)

def show(name, t):
    v = t.detach().flatten().tolist()
    print("static const float %s[] = {" % name)
    for i in range(0, len(v), 6):
        print("    " + ", ".join("%.9ff" % x for x in v[i:i + 6]) + ",")
    print("};")

def batch(name, shape, act):
    c = shape[1]
    bn = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(c, eps=1e-3, momentum=0.25)
    with torch.no_grad():
        bn.weight.copy_(fill([c], 3, 7, 0.5)); bn.bias.copy_(fill([c], 2, 5, 0.25))
    for step in range(2):
        x = (fill(shape, 37 + step, 23, 0.125)).requires_grad_(True)
        bn.zero_grad()
        y = act(bn(x))
        (y * fill(shape, 11, 13, 0.25)).sum().backward()
    show(name + "_y", y); show(name + "_dx", x.grad)
    show(name + "_dgamma", bn.weight.grad); show(name + "_dbeta", bn.bias.grad)
    show(name + "_mean", bn.running_mean); show(name + "_variance", bn.running_var)
    bn.eval()
    show(name + "_eval", act(bn(fill(shape, 37, 23, 0.125))))

print("/* norm_reference.h - PyTorch's results. Made by: python3 tests/reference/norm.py > tests/norm_reference.h */")
print("#ifndef GM_TESTS_NORM_REFERENCE_H\n#define GM_TESTS_NORM_REFERENCE_H\n")
batch("rows", [5, 3], lambda t: t)
batch("images", [2, 3, 2, 3], lambda t: F.leaky_relu(t, 0.2))

x = fill([3, 2, 4], 37, 23, 0.125).requires_grad_(True)
g = fill([2, 4], 3, 7, 0.5).requires_grad_(True); b = fill([2, 4], 2, 5, 0.25).requires_grad_(True)
y = torch.tanh(F.layer_norm(x, [2, 4], g, b, 1e-3))
(y * fill([3, 2, 4], 11, 13, 0.25)).sum().backward()
show("layer_y", y); show("layer_dx", x.grad); show("layer_dgamma", g.grad); show("layer_dbeta", b.grad)

x = fill([2, 3, 2, 3], 37, 23, 0.125).requires_grad_(True)
g = fill([3], 3, 7, 0.5).requires_grad_(True); b = fill([3], 2, 5, 0.25).requires_grad_(True)
y = F.elu(F.instance_norm(x, None, None, g, b, True, 0.1, 1e-3), 0.7)
(y * fill([2, 3, 2, 3], 11, 13, 0.25)).sum().backward()
show("instance_y", y); show("instance_dx", x.grad); show("instance_dgamma", g.grad); show("instance_dbeta", b.grad)

lin = nn.Linear(5, 3)
with torch.no_grad(): lin.weight.copy_(fill([3, 5], 37, 23, 0.125)); lin.bias.copy_(fill([3], 2, 5, 0.25))
# The older of PyTorch's two: like the paper's algorithm 1 it computes v first.
sn = nn.utils.spectral_norm(lin, n_power_iterations=1, eps=1e-12)
with torch.no_grad():
    sn.weight_u.copy_(F.normalize(fill([3], 3, 7, 0.5), dim=0)); sn.weight_v.copy_(F.normalize(fill([5], 2, 5, 0.25) + 0.1, dim=0))
for step in range(2):
    sn.zero_grad()
    y = sn(fill([4, 5], 11, 13, 0.25))
    (y * fill([4, 3], 11, 13, 0.25)).sum().backward()
show("spectral_y", y); show("spectral_dw", sn.weight_orig.grad)
show("spectral_u", sn.weight_u); show("spectral_v", sn.weight_v)
sn.eval(); show("spectral_eval", sn(fill([4, 5], 11, 13, 0.25)))
print("\n#endif")
