"""Threshold neurons and their gates by truth table; linear, bilinear and embedding against torch's."""

import itertools
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck

from dlbook import neurons as N

A, B = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}


def assert_like_torch(mine, theirs, *inputs):
    tolerance = TOLERANCE[inputs[-1].dtype]
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    value, expected = mine(*inputs), theirs(*inputs)
    assert value.dtype == expected.dtype
    torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)
    upstream = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(value, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


class TestThreshold:
    @pytest.mark.parametrize("dtype", [torch.long, torch.bool, torch.float32])
    def test_truth_tables(self, dtype, device):
        a, b = A.to(device, dtype), B.to(device, dtype)
        for gate, table in ((N.AND, [0, 0, 0, 1]), (N.OR, [0, 1, 1, 1]), (N.NAND, [1, 1, 1, 0])):
            assert gate(a, b).tolist() == table
            assert gate(a, b).device == a.device
        assert N.NOT(a).tolist() == [1, 1, 0, 0]
        assert N.AND(a, b[:, None]).shape == (4, 4)

    def test_nand_builds_a_half_adder(self):
        middle = N.NAND(A, B)
        total, carry = N.NAND(N.NAND(A, middle), N.NAND(B, middle)), N.NAND(middle, middle)
        assert (2 * carry + total).tolist() == (A + B).tolist()

    def test_fires_above_and_not_at_the_threshold(self):
        neuron = N.ThresholdNeuron(torch.tensor([2.0, -1.0, 0.5]), threshold=1.0)
        assert neuron(torch.tensor([[0.5, 0, 0], [0.6, 0, 0], [0, 0, 2], [1, 1, 1]])).tolist() == [0, 1, 0, 1]
        assert neuron.bias == -1
        assert neuron(torch.zeros(2, 5, 3)).shape == (2, 5)

    def test_no_single_neuron_computes_xor(self):
        corners = torch.stack([A, B], -1).float()
        values = torch.linspace(-2, 2, 9).tolist()
        for w1, w2, threshold in itertools.product(values, repeat=3):
            neuron = N.ThresholdNeuron(torch.tensor([w1, w2]), threshold)
            assert neuron(corners).tolist() != [0, 1, 1, 0]

    def test_moves_with_its_state(self):
        neuron = N.ThresholdNeuron(torch.tensor([1.0, 1.0]), 1.5)
        other = N.ThresholdNeuron(torch.zeros(2), 0)
        other.load_state_dict(neuron.state_dict())
        assert other(torch.tensor([1, 1])) == 1
        assert neuron.double()(torch.tensor([1, 1])).dtype == torch.float64

    @pytest.mark.bad_input
    def test_bad_input(self):
        with pytest.raises(ValueError, match="input: expected 2 numbers along the last axis; got"):
            N.ThresholdNeuron(torch.ones(2), 0)(torch.ones(3))
        with pytest.raises(ValueError, match=r"weight: expected shape \(inputs,\); got \(1, 2\)"):
            N.ThresholdNeuron(torch.ones(1, 2), 0)
        with pytest.raises(TypeError, match=r"weight: expected a torch\.Tensor"):
            N.ThresholdNeuron([1.0], 0)
        for gate in (N.AND, N.OR, N.NAND):
            with pytest.raises(TypeError, match=r"x2: expected a torch\.Tensor; got int"):
                gate(A, 1)
        with pytest.raises(TypeError, match=r"x: expected a torch\.Tensor"):
            N.NOT(1)


class TestLinear:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
    def test_like_torch(self, dtype, shape, device):
        x, weight, bias = (torch.randn(s, dtype=dtype, device=device) for s in (shape, (7, 3), (7,)))
        assert_like_torch(N.linear, F.linear, x, weight, bias)
        assert_like_torch(N.linear, F.linear, x, weight)
        assert_like_torch(N.linear, F.linear, x, weight[0])

    def test_edges(self):
        whole = torch.randint(5, (2, 3))
        assert torch.equal(N.linear(whole, whole), F.linear(whole, whole))
        x = torch.tensor([[math.inf, 1.0], [math.nan, 0.0], [1e38, 1e38]])
        weight = torch.tensor([[1.0, -1.0], [0.5, 10.0]])
        torch.testing.assert_close(N.linear(x, weight), F.linear(x, weight), equal_nan=True)
        assert N.linear(torch.ones(2, 3), torch.ones(3), torch.tensor(1.0)).tolist() == [4, 4]

    def test_gradcheck(self):
        inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((2, 3), (5, 3), (5,))]
        assert gradcheck(N.linear, inputs)
        assert gradgradcheck(N.linear, inputs)

    @pytest.mark.bad_input
    def test_bad_input(self):
        x, weight = torch.ones(2, 3), torch.ones(5, 3)
        with pytest.raises(ValueError, match=r"input: expected 3 features along the last axis; got \(2, 4\)"):
            N.linear(torch.ones(2, 4), weight)
        with pytest.raises(ValueError, match=r"bias: expected shape \(5,\); got \(1,\)"):
            N.linear(x, weight, torch.ones(1))
        with pytest.raises(TypeError, match=r"weight: expected dtype torch\.float32, as input has; got torch\.float64"):
            N.linear(x, weight.double())
        with pytest.raises(ValueError, match=r"weight: expected shape \(in_features,\) or"):
            N.linear(x, torch.ones(1, 5, 3))
        with pytest.raises(TypeError, match=r"bias: expected a torch\.Tensor"):
            N.linear(x, weight, 1.0)


class TestBilinear:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    @pytest.mark.parametrize("batch", [(), (11,), (2, 11), (0,)])
    def test_like_torch(self, dtype, batch, device):
        sizes = ((*batch, 3), (*batch, 5), (7, 3, 5), (7,))
        inputs = [torch.randn(s, dtype=dtype, device=device) for s in sizes]
        assert_like_torch(N.bilinear, F.bilinear, *inputs)
        assert_like_torch(N.bilinear, F.bilinear, *inputs[:3])

    def test_gradcheck(self):
        inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((2, 3), (2, 5), (7, 3, 5), (7,))]
        assert gradcheck(N.bilinear, inputs)

    @pytest.mark.bad_input
    def test_bad_input(self):
        weight = torch.ones(7, 3, 5)
        with pytest.raises(ValueError, match="input2: expected 5 features along the last axis"):
            N.bilinear(torch.ones(2, 3), torch.ones(2, 3), weight)
        with pytest.raises(ValueError, match=r"input2: expected the leading dimensions of input1, \(2,\); got \(1,\)"):
            N.bilinear(torch.ones(2, 3), torch.ones(1, 5), weight)
        with pytest.raises(ValueError, match="weight: expected shape"):
            N.bilinear(torch.ones(2, 3), torch.ones(2, 5), weight[0])
        with pytest.raises(TypeError, match="input1: expected dtype"):
            N.bilinear(torch.ones(2, 3).double(), torch.ones(2, 5), weight)


class TestEmbedding:
    @pytest.mark.parametrize("padding_idx", [None, 0, 3, -1])
    @pytest.mark.parametrize("scale_grad_by_freq", [False, True])
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_like_torch(self, padding_idx, scale_grad_by_freq, dtype, device):
        weight = torch.randn(7, 3, dtype=dtype, device=device)
        for shape in ((11, 2), (5,), (), (0,), (2, 0)):
            for index in (torch.int64, torch.int32):
                rows = torch.randint(7, shape, dtype=index, device=device)
                settings = {"padding_idx": padding_idx, "scale_grad_by_freq": scale_grad_by_freq}
                mine, theirs = (lambda w, f=f, r=rows, s=settings: f(r, w, **s) for f in (N.embedding, F.embedding))
                assert_like_torch(mine, theirs, weight)

    @pytest.mark.parametrize("padding_idx", [None, 2])
    def test_sparse(self, padding_idx, device):
        rows = torch.tensor([[1, 1], [2, 6]], device=device)
        grads = []
        for function in (N.embedding, F.embedding):
            weight = torch.arange(21.0, device=device).view(7, 3).requires_grad_()
            (function(rows, weight, padding_idx, sparse=True) ** 2).sum().backward()
            grads.append(weight.grad)
        assert grads[0].is_sparse
        torch.testing.assert_close(grads[0].to_dense(), grads[1].to_dense())

    @pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
    @pytest.mark.parametrize("max_norm", [0.5, 1.0, 100.0])
    def test_max_norm_changes_the_table(self, norm_type, max_norm, device):
        rows = torch.tensor([[1, 1], [2, 6]], device=device)
        first = torch.randn(7, 3, device=device)
        second = first.clone()
        mine = N.embedding(rows, first, max_norm=max_norm, norm_type=norm_type)
        theirs = F.embedding(rows, second, max_norm=max_norm, norm_type=norm_type)
        torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(first, second)

    def test_gradients_of_gradients(self):
        weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
        rows = torch.tensor([1, 4, 1])
        assert gradcheck(lambda w: N.embedding(rows, w), weight)
        assert gradgradcheck(lambda w: N.embedding(rows, w), weight)

    def test_vmaps(self):
        weights, rows = torch.randn(3, 5, 2), torch.randint(5, (3, 7))
        slopes = torch.func.vmap(torch.func.grad(lambda w, r: N.embedding(r, w).square().sum()))(weights, rows)
        leaf = weights.clone().requires_grad_()
        total = sum(F.embedding(r, w).square().sum() for w, r in zip(leaf, rows, strict=True))
        torch.testing.assert_close(slopes, torch.autograd.grad(total, leaf)[0])

    @pytest.mark.bad_input
    def test_bad_input(self):
        weight = torch.ones(5, 3)
        for row in (5, -1):
            for max_norm in (None, 1.0):
                if row == -1 and max_norm:
                    continue
                with pytest.raises(ValueError, match=r"input: expected row numbers in \[0, 5\); got"):
                    N.embedding(torch.tensor([row]), weight, max_norm=max_norm)
        with pytest.raises(TypeError, match=r"input: expected dtype torch\.int64 or torch\.int32; got torch\.float32"):
            N.embedding(torch.ones(2), weight)
        with pytest.raises(ValueError, match=r"padding_idx: expected a row number in \[-5, 5\); got 5"):
            N.embedding(torch.tensor([1]), weight, padding_idx=5)
        with pytest.raises(ValueError, match="sparse: expected False, as scale_grad_by_freq is set"):
            N.embedding(torch.tensor([1]), weight, sparse=True, scale_grad_by_freq=True)
        with pytest.raises(ValueError, match=r"weight: expected shape \(num_embeddings, embedding_dim\)"):
            N.embedding(torch.tensor([1]), weight[0])


class TestModules:
    PAIRS = (
        ("Linear", (3, 5), {}, [(2, 3)]),
        ("Linear", (3, 5), {"bias": False, "dtype": torch.float64}, [(2, 3)]),
        ("Bilinear", (3, 5, 7), {}, [(2, 3), (2, 5)]),
        ("Bilinear", (3, 5, 7, False), {}, [(2, 3), (2, 5)]),
        ("Embedding", (11, 3), {}, None),
        ("Embedding", (11, 3, -2), {"max_norm": 2.0, "norm_type": 3.0, "scale_grad_by_freq": True}, None),
        ("Embedding", (11, 3), {"sparse": True, "dtype": torch.float64}, None),
    )

    @pytest.mark.parametrize(("name", "arguments", "settings", "shapes"), PAIRS)
    def test_like_torch(self, name, arguments, settings, shapes, device):
        pair = []
        for source in (N, nn):
            torch.manual_seed(3)
            pair.append(getattr(source, name)(*arguments, **settings, device=device))
        mine, theirs = pair
        assert repr(mine) == repr(theirs)
        for key, value in theirs.state_dict().items():
            torch.testing.assert_close(mine.state_dict()[key], value)
        mine.load_state_dict(theirs.state_dict())
        theirs.load_state_dict(mine.state_dict())
        dtype = settings.get("dtype", torch.float32)
        if shapes is None:
            inputs = [torch.randint(11, (2, 7), device=device)]
        else:
            inputs = [torch.randn(s, dtype=dtype, device=device) for s in shapes]
        torch.testing.assert_close(mine(*inputs), theirs(*inputs))

    def test_from_pretrained(self):
        rows = torch.randn(5, 3)
        table = N.Embedding.from_pretrained(rows, padding_idx=-1)
        assert not table.weight.requires_grad
        assert torch.equal(table(torch.tensor([4])), rows[4:])
        assert table.padding_idx == 4
        assert N.Embedding.from_pretrained(rows, freeze=False).weight.requires_grad

    @pytest.mark.bad_input
    def test_bad_input(self):
        with pytest.raises(ValueError, match="in1_features: expected at least 1; got 0"):
            N.Bilinear(0, 3, 5)
        with pytest.raises(ValueError, match="padding_idx: expected a row number"):
            N.Embedding(5, 3, padding_idx=5)
        with pytest.raises(ValueError, match="embeddings: expected shape"):
            N.Embedding.from_pretrained(torch.ones(3))


COMPILED = """
import torch
from dlbook import neurons

for padding_idx in (1,):
    torch.compiler.reset()
    table, first, second = neurons.Embedding(7, 3, padding_idx), neurons.Linear(3, 5), neurons.Bilinear(5, 3, 2)
    rows = torch.tensor([[1, 6], [1, 0]])

    def net(rows):
        found = table(rows)
        return second(first(found), found)

    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(rows), net(rows))
    mine, plain = (torch.autograd.grad(f(rows).sum(), table.weight)[0] for f in (compiled, net))
    torch.testing.assert_close(mine, plain)
"""


def test_compiles_whole():
    # In a process of its own: the shape checks, even when off, cannot be traced inside an autograd function.
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
