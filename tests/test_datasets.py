import random

import numpy as np
import pytest
import torch

from dlbook import datasets

GENERATED = [datasets.blobs, datasets.moons, datasets.spirals, datasets.logic_gates]


# ---------------------------------------------------------------------------------------------------- generated sets


@pytest.mark.parametrize("make", GENERATED)
def test_a_generated_set_is_reproducible_and_touches_no_global_seed(make):
    state = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    inputs, targets = make(n=101, noise=0.1, seed=7)
    assert inputs.shape == (101, 2)
    assert inputs.dtype == torch.float32
    assert targets.shape == (101,)
    assert targets.dtype == torch.int64
    again, other = make(n=101, noise=0.1, seed=7), make(n=101, noise=0.1, seed=8)
    assert torch.equal(inputs, again.inputs)
    assert not torch.equal(inputs, other.inputs)
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1:] == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


@pytest.mark.parametrize("make", GENERATED)
def test_noise_has_the_stated_size(make):
    clean, noisy = make(n=20_000, noise=0.0, seed=3), make(n=20_000, noise=0.25, seed=3)
    difference = noisy.inputs - clean.inputs
    assert difference.mean(0).abs().max() < 0.01
    torch.testing.assert_close(difference.std(0), torch.tensor([0.25, 0.25]), rtol=0.02, atol=0.0)


@pytest.mark.parametrize(("gate", "function"), [
    ("and", lambda a, b: a and b),
    ("or", lambda a, b: a or b),
    ("nand", lambda a, b: not (a and b)),
    ("nor", lambda a, b: not (a or b)),
    ("xor", lambda a, b: a != b),
])  # fmt: skip
def test_logic_gates_are_their_truth_tables(gate, function):
    inputs, targets = datasets.logic_gates(gate, n=7)
    assert inputs[:4].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert torch.equal(inputs[4:], inputs[:3])
    assert targets.tolist() == [int(function(*map(bool, corner))) for corner in inputs.tolist()]


@pytest.mark.parametrize("make", [datasets.blobs, datasets.spirals])
def test_classes_are_balanced(make):
    assert torch.bincount(make(n=11, classes=5).targets).tolist() == [3, 2, 2, 2, 2]


def test_blobs_lie_round_centres_on_the_unit_circle():
    inputs, targets = datasets.blobs(4, noise=0.0, classes=4)
    torch.testing.assert_close(inputs, torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]]))
    assert targets.tolist() == [0, 1, 2, 3]


def test_moons_are_two_half_circles():
    inputs, targets = datasets.moons(500, noise=0.0)
    upper, lower = inputs[targets == 0], inputs[targets == 1] - torch.tensor([1.0, 0.5])
    torch.testing.assert_close(torch.cat([upper, lower]).norm(dim=1), torch.ones(500))
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 1e-6
    assert lower[:, 0].min() < -0.9  # the lower moon spans its whole width too
    assert lower[:, 0].max() > 0.9


def test_spirals_turn_with_the_radius():
    inputs, targets = datasets.spirals(999, noise=0.0, classes=3, turns=0.3)
    radius, angle = inputs.norm(dim=1), torch.atan2(inputs[:, 1], inputs[:, 0])
    assert radius.max() <= 1 + 1e-6
    expected = 2 * torch.pi * (0.3 * radius + targets / 3)
    torch.testing.assert_close(torch.cos(angle - expected), torch.ones(999))


@pytest.mark.bad_input
def test_generated_sets_name_a_bad_argument():
    for make in GENERATED:
        with pytest.raises(ValueError, match=r"n: expected .*got 0"):
            make(n=0)
        with pytest.raises(ValueError, match=r"noise: expected .*got -1"):
            make(n=5, noise=-1)
    with pytest.raises(ValueError, match=r"gate: expected one of 'and'.*got 'maybe'"):
        datasets.logic_gates("maybe")
    for make in (datasets.blobs, datasets.spirals):
        with pytest.raises(ValueError, match=r"classes: expected .*got 0"):
            make(classes=0)


def test_examples_move_to_a_device(device):
    data = datasets.Dataset(datasets.moons(6), datasets.moons(4, seed=1)).to(device)
    assert {tensor.device.type for pair in data for tensor in pair} == {device.type}
    assert data.train.inputs.shape == (6, 2)
    assert data.test.targets.shape == (4,)


# ------------------------------------------------------------------------------------------------------------ digits


def test_digits_are_scaled_and_split_evenly():
    train, test = datasets.digits()
    assert train.inputs.shape == (1437, 1, 8, 8)
    assert test.inputs.shape == (360, 1, 8, 8)
    assert (train.inputs.dtype, train.targets.dtype) == (torch.float32, torch.int64)
    for part in (train, test):
        assert (part.inputs.min(), part.inputs.max()) == (0, 1)
        shares = torch.bincount(part.targets, minlength=10) / len(part.targets)
        assert (shares - 0.1).abs().max() < 0.01
    assert torch.equal(test.inputs, datasets.digits().test.inputs)
    assert not torch.equal(test.targets, datasets.digits(seed=1).test.targets)


def test_digits_are_scikit_learns_each_once():
    from sklearn.datasets import load_digits

    rows = torch.cat([torch.cat([part.inputs.flatten(1) * 16, part.targets[:, None]], 1) for part in datasets.digits()])
    images, labels = load_digits(return_X_y=True)
    expected = np.column_stack([images, labels])
    assert sorted(rows.tolist()) == sorted(expected.tolist())


def test_examples_are_a_plain_pair_that_moves_as_one(device):
    pair = datasets.Examples(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    inputs, targets = pair.to(device)
    assert (inputs.device.type, targets.device.type) == (device.type, device.type)
    moved = datasets.Dataset(pair, pair).to(device)
    assert torch.equal(moved.test.targets.cpu(), pair.targets)
