"""Searches at their limits, their states, their trees, and their complaints."""

import collections
import dataclasses
import itertools
import math
from typing import NamedTuple

import pytest
import torch

from dlbook.beam_search import (
    Ancestry,
    Hypotheses,
    SearchNode,
    SearchTree,
    beam_search,
    coverage_penalty,
    exhaustive_search,
    greedy_search,
    length_divisor,
    sample,
    sampling_distribution,
    table_step,
)

ZERO = torch.tensor([0])


def uniform(vocabulary, dtype=torch.float32, device="cpu"):
    log_probs = torch.full((vocabulary, vocabulary), 1 / vocabulary, device=device).log().to(dtype)
    return lambda tokens, state: (log_probs[tokens], state)


def fixed(log_probs):
    """A step that says the same after everything."""
    return lambda tokens, state: (log_probs.expand(len(tokens), -1), state)


# extremes


@pytest.mark.parametrize("search", [beam_search, greedy_search, exhaustive_search, sample])
def test_one_token_is_left(device, search):
    log_probs = torch.full((7,), -math.inf, device=device)
    log_probs[5] = 0.0
    found = search(fixed(log_probs), torch.zeros(3, dtype=torch.long, device=device), max_length=2)
    assert found.tokens.tolist() == [[[5, 5]]] * 3
    assert found.log_probs.tolist() == [[0.0]] * 3
    assert found.tokens.device.type == found.scores.device.type == device.type


@pytest.mark.parametrize("search", [beam_search, greedy_search, exhaustive_search, sample])
def test_no_token_is_left(search):
    found = search(fixed(torch.full((5,), -math.inf)), ZERO, max_length=3, end=1, pad=9)
    assert isinstance(found, Hypotheses)
    assert found.tokens.shape == (1, 1, 0)
    assert (found.lengths.tolist(), found.scores.tolist(), found.log_probs.tolist()) == (
        [[0]],
        [[-math.inf]] * 1,
        [[-math.inf]],
    )


@pytest.mark.parametrize("search", [beam_search, greedy_search, exhaustive_search, sample])
def test_no_sentence_no_result(search):
    found = search(uniform(5), torch.zeros(0, dtype=torch.long), max_length=3, end=1)
    assert found.tokens.shape == (0, 1, 0)
    assert found.scores.shape == found.lengths.shape == (0, 1)


def test_the_beam_is_wider_than_the_vocabulary_and_the_tree(device):
    start = torch.zeros(2, dtype=torch.long, device=device)
    found = beam_search(uniform(2, device=device), start, width=50, n_best=11, max_length=3, end=1, pad=7)
    # 1; 01; 000, 001: four sequences end, or reach three tokens; the other places stay empty.
    assert found.tokens[1, :4].tolist() == [[1, 7, 7], [0, 1, 7], [0, 0, 0], [0, 0, 1]]
    assert found.lengths[0].tolist() == [1, 2, 3, 3] + [0] * 7
    assert bool((found.tokens[:, 4:] == 7).all())
    assert bool((found.scores[:, 4:] == -math.inf).all())


def test_all_end_at_the_first_step(device):
    log_probs = torch.tensor([-math.inf, 0.0], device=device)
    calls = []

    def step(tokens, state):
        calls.append(len(tokens))
        return fixed(log_probs)(tokens, state)

    start = torch.zeros(3, dtype=torch.long, device=device)
    found = beam_search(step, start, width=4, n_best=2, max_length=99, end=1, length_penalty=1.0)
    assert calls == [3]
    assert found.tokens.tolist() == [[[1], [0]]] * 3
    assert found.lengths.tolist() == [[1, 0]] * 3
    assert greedy_search(step, start, max_length=99, end=1).lengths.tolist() == [[1]] * 3


def test_a_length_of_one():
    log_probs = torch.tensor([0.1, 0.2, 0.4, 0.3]).log()
    options = {"max_length": 1, "n_best": 3}
    assert beam_search(fixed(log_probs), ZERO, width=3, **options).tokens.tolist() == [[[2], [3], [1]]]
    assert exhaustive_search(fixed(log_probs), ZERO, **options).tokens.tolist() == [[[2], [3], [1]]]


def test_one_word_only():
    found = beam_search(uniform(1), ZERO, width=3, n_best=2, max_length=2)
    assert (found.tokens.tolist(), found.lengths.tolist()) == ([[[0, 0], [0, 0]]], [[2, 0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [13, 1307])
def test_equals_are_taken_in_order(device, dtype, vocabulary):
    """With every token equally likely the lowest come first, whatever ``topk`` would take."""
    start = torch.zeros(2, dtype=torch.long, device=device)
    step = uniform(vocabulary, dtype, device)
    found = beam_search(step, start, width=3, n_best=3, max_length=3)
    assert found.tokens.tolist() == [[[0, 0, 0], [0, 0, 1], [0, 0, 2]]] * 2
    assert greedy_search(step, start, max_length=3).tokens.tolist() == [[[0, 0, 0]]] * 2
    ending = beam_search(step, start, width=3, n_best=3, max_length=3, end=2)
    assert ending.tokens[0, 0].tolist() == [2, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_adds_up_in_full(device, dtype):
    log_probs = torch.randn(7, device=device).log_softmax(0).to(dtype)
    start = torch.zeros(1, dtype=torch.long, device=device)
    for search in (beam_search, greedy_search):
        found = search(fixed(log_probs), start, max_length=501)
        assert found.log_probs.dtype == found.scores.dtype == torch.float32
        torch.testing.assert_close(found.log_probs[0, 0], 501 * log_probs.max().float())
    assert sample(fixed(log_probs), start, max_length=3).log_probs.dtype == torch.float32
    assert sampling_distribution(log_probs).dtype == torch.float32


@pytest.mark.parametrize("vocabulary", [255, 1023, 1024, 1025, 2003])
def test_a_large_vocabulary_is_looked_through_whole(device, vocabulary):
    """All places of the best, in the last words too, which fill no block."""
    log_probs = torch.randn(vocabulary, device=device)
    for _ in range(7):
        log_probs = log_probs.roll(vocabulary // 7)
        log_probs[-1] += 1.0
        found = beam_search(fixed(log_probs), ZERO.to(device), width=3, n_best=3, max_length=1)
        assert torch.equal(found.tokens[0, :, 0], log_probs.sort(descending=True).indices[:3])


def test_unlikely_is_not_impossible():
    """Sums far below what half precision or ``exp`` could hold are still told apart."""
    log_probs = torch.tensor([-3000.0, -3001.0], dtype=torch.float64)
    found = beam_search(fixed(log_probs), ZERO, width=2, n_best=2, max_length=40)
    assert found.log_probs.tolist() == [[-120000.0, -120001.0]]


def test_the_sum_has_a_gradient():
    table = torch.rand(5, 5, dtype=torch.float64).log_softmax(1).requires_grad_()
    found = beam_search(lambda tokens, state: (table[tokens], state), ZERO, width=3, max_length=4, length_penalty=1.0)
    (gradient,) = torch.autograd.grad(found.scores[0, 0], table)
    expected, last = torch.zeros(5, 5, dtype=torch.float64), 0
    for token in found.tokens[0, 0].tolist():
        expected[last, token] += 1 / 4
        last = token
    torch.testing.assert_close(gradient, expected)


# states


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


@dataclasses.dataclass
class Box:
    inside: list


class Own:
    def __init__(self, rows):
        self.rows = rows

    def reorder(self, index):
        return Own(self.rows[index])


def test_every_nested_part_of_the_state_follows_its_hypothesis():
    """Each part keeps what was said; all of them must agree with the tokens that come out."""

    def step(tokens, state):
        grown = [torch.cat([said, tokens[:, None]], 1) for said in parts(state)]
        for said in grown[1:]:
            assert torch.equal(grown[0], said)
        code = (
            grown[0][:, 1:].double()
            @ torch.tensor([3.1, 0.7, 5.3, 0.2, 0.9, 1.7], dtype=torch.float64)[: grown[0].shape[1] - 1]
        )
        log_probs = torch.sin(code[:, None] * torch.arange(1, 8) + torch.arange(7)).mul(2).log_softmax(1)
        return log_probs, nest(grown)

    def parts(state):
        pair, box, mapping, (own, number, none, scalar) = state
        assert (number, none, float(scalar)) == (3, None, 0.5)
        assert isinstance(mapping, collections.defaultdict)
        return [pair.left, pair.right, *box.inside, mapping["key"], own.rows]

    def nest(said):
        mapping = collections.defaultdict(list, key=said[3])
        return Pair(*said[:2]), Box([said[2]]), mapping, (Own(said[4]), 3, None, torch.tensor(0.5))

    state = nest([torch.zeros(2, 0, dtype=torch.long)] * 5)
    start = torch.zeros(2, dtype=torch.long)
    found = beam_search(step, start, state, width=3, max_length=5, n_best=3)
    best = exhaustive_search(step, start, state, max_length=5, n_best=1)
    assert bool((found.scores[:, :1] <= best.scores + 1e-12).all())
    wide = beam_search(step, start, state, width=7**4, max_length=5)
    assert torch.equal(wide.tokens, best.tokens)
    assert sample(step, start, state, max_length=4, num_samples=3).tokens.shape == (2, 3, 4)


def test_the_first_state_stays_as_it_was():
    state = {"said": torch.zeros(1, 2)}
    before = state["said"].clone()
    beam_search(lambda tokens, s: (torch.zeros(len(tokens), 3).log_softmax(1), s), ZERO, state, max_length=3)
    assert torch.equal(state["said"], before)


# the tree


def test_a_tree_tells_what_was_kept_pruned_and_finished():
    table = torch.tensor([[0.0, 0.5, 0.3, 0.2], [0.0, 0.1, 0.6, 0.3], [0.0, 0.0, 0.1, 0.9], [0.0, 0.0, 0.0, 1.0]])
    found = beam_search(
        table_step(table), torch.tensor([0, 1]), width=2, max_length=3, end=3, record=99, length_penalty=1.0
    )
    tree, other = found.trees
    assert isinstance(tree, SearchTree)
    nodes = tree.nodes
    assert nodes[0] == SearchNode(0, -1, 0, 0.0, 0.0, None, "start", True)
    assert other.nodes[0].token == 1
    statuses = {tuple(tree.path(i)): node.status for i, node in enumerate(nodes)}
    assert statuses[(1,)] == statuses[(2,)] == "kept"
    assert statuses[(3,)] == "pruned"
    assert statuses[(1, 2)] == "kept"
    assert statuses[(2, 3)] == "finished"
    for i, node in enumerate(nodes[1:], 1):
        parent = nodes[node.parent]
        assert node.parent < i
        assert node.step == parent.step + 1
        assert node.total == pytest.approx(parent.total + node.log_prob)
        assert node.log_prob == pytest.approx(math.log(table[parent.token, node.token]))
        assert i in tree.children(node.parent)
        assert (node.score is not None) == (node.status == "finished")
        assert node.score is None or node.score == pytest.approx(node.total / node.step)
    best = [i for i, node in enumerate(nodes) if node.best]
    assert tree.path(best[-1]) == found.tokens[0, 0, : found.lengths[0, 0]].tolist()
    assert nodes[best[-1]].score == pytest.approx(float(found.scores[0, 0]))
    assert tree.find([3, 3, 3]) is None
    assert tree.find(tree.path(5)) == 5


def test_an_end_outside_the_beam_is_pruned():
    log_probs = torch.tensor([0.6, 0.1, 0.3]).log()
    (tree,) = beam_search(fixed(log_probs), ZERO, width=1, max_length=2, end=2, record=3).trees
    first = {node.token: node.status for node in tree.nodes if node.step == 1}
    assert first == {0: "kept", 1: "pruned", 2: "pruned"}
    narrow = torch.tensor([0.6, 0.4]).log()
    (tree,) = beam_search(fixed(narrow), ZERO, width=2, max_length=3, end=1, record=1).trees
    second = {tuple(tree.path(i)): node.status for i, node in enumerate(tree.nodes)}
    # .6 × .6 is less than .4: the search ends.
    assert second == {(): "start", (0,): "kept", (1,): "finished", (0, 0): "kept", (0, 1): "finished"}


def test_a_tree_is_laid_out_without_crossings():
    step = uniform(3)
    (tree,) = beam_search(step, ZERO, width=4, max_length=4, end=2, record=12).trees
    places = tree.positions()
    assert [x for x, _ in places] == [node.step for node in tree.nodes]
    assert len(set(places)) == len(places)
    assert (min(y for _, y in places), max(y for _, y in places)) == (0.0, 1.0)
    spans = {}
    for i, node in enumerate(tree.nodes):
        if below := tree.children(i):
            heights = [places[j][1] for j in below]
            assert places[i][1] == pytest.approx((heights[0] + heights[-1]) / 2)
            spans.setdefault(node.step, []).append((min(heights), max(heights)))
    for level in spans.values():
        level.sort()
        assert all(first[1] < second[0] for first, second in itertools.pairwise(level))


def test_a_tree_ends_with_its_sentence_and_may_be_a_root_alone():
    table = torch.tensor([[0.0, 0.5, 0.5], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    found = beam_search(table_step(table), torch.tensor([1, 0]), width=1, max_length=4, end=2, record=1)
    assert [max(node.step for node in tree.nodes) for tree in found.trees] == [1, 2]
    assert beam_search(table_step(table), ZERO, max_length=2).trees == ()
    (bare,) = beam_search(fixed(torch.full((3,), -math.inf)), ZERO, max_length=2, record=1).trees
    assert (len(bare.nodes), bare.positions()) == (1, [(0.0, 0.0)])


# errors

SEARCHES = [beam_search, greedy_search, exhaustive_search, sample]


@pytest.mark.bad_input
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"start": [0]}, TypeError, "start: expected a torch.Tensor; got list"),
        ({"start": torch.zeros(2)}, TypeError, "start: expected whole numbers; got dtype torch.float32"),
        ({"start": torch.zeros(2, 1, dtype=torch.long)}, ValueError, r"start: expected one token per .* got \(2, 1\)"),
        ({"max_length": 0}, ValueError, "max_length: expected a number in"),
        ({"min_length": 4}, ValueError, r"min_length: expected a number in \[0, 3\]; got 4"),
        ({"end": 5}, ValueError, r"end: expected tokens from 0 to 4; got \(5,\)"),
        ({"forbidden": [1, -1]}, ValueError, r"forbidden: expected tokens from 0 to 4; got \(1, -1\)"),
        ({"step": lambda tokens, state: tokens}, TypeError, r"step: expected it to return \(log_probs, state\)"),
        ({"step": lambda tokens, state: (0.5, None)}, TypeError, "step's log_probs: expected a torch.Tensor"),
        ({"step": lambda tokens, state: (torch.ones(2, 5).long(), 0)}, TypeError, "step's log_probs: .* torch.int64"),
        ({"step": lambda tokens, state: (torch.ones(5), 0)}, ValueError, r"log_probs: expected shape \(2, voc.*\(5,\)"),
        ({"step": lambda tokens, state: (torch.ones(3, 5), 0)}, ValueError, r"expected shape \(2, .* got \(3, 5\)"),
        ({"step": lambda tokens, state: (torch.ones(2, 0), 0)}, ValueError, r"expected shape \(2, .* got \(2, 0\)"),
    ],
)
def test_bad_arguments_of_every_search(search, arguments, error, message):
    good = {"step": uniform(5), "start": torch.zeros(2, dtype=torch.long), "max_length": 3}
    with pytest.raises(error, match=message):
        search(**{**good, **arguments})


@pytest.mark.bad_input
@pytest.mark.parametrize("search", [beam_search, exhaustive_search])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_best": 0}, "n_best: expected a number in"),
        ({"length_penalty": math.nan}, "length_penalty: expected a number in"),
        ({"length_penalty": math.inf}, "length_penalty: expected a number in"),
        ({"length_rule": "google"}, "length_rule: expected one of 'power', 'gnmt'; got 'google'"),
        ({"coverage": lambda state: torch.zeros(2, 1)}, r"coverage: expected one number per row.*\(2, 1\)"),
        ({"coverage": lambda state: torch.zeros(3)}, r"coverage: expected one number per row.*\(3,\)"),
    ],
)
def test_bad_arguments_of_ranked_searches(search, arguments, message):
    with pytest.raises(ValueError, match=message):
        search(uniform(5), torch.zeros(2, dtype=torch.long), end=1, max_length=2, **arguments)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: beam_search(uniform(5), ZERO, width=0, max_length=2), ValueError, "width: expected a number in"),
        (lambda: beam_search(uniform(5), ZERO, width=2, n_best=3, max_length=2), ValueError, r"n_best: .*\[1, 2\]"),
        (lambda: beam_search(uniform(5), ZERO, stop="soon", max_length=2), ValueError, "stop: expected one of 'exact'"),
        (lambda: beam_search(uniform(5), ZERO, record=-1, max_length=2), ValueError, "record: expected a number in"),
        (
            lambda: exhaustive_search(uniform(10), torch.zeros(2, dtype=torch.long), max_length=8),
            ValueError,
            "max_length: expected at most limit=1,000,000 sequences; 10 tokens and max_length=8 give 200,000,000 for 2",
        ),
        (
            lambda: exhaustive_search(uniform(3), ZERO, max_length=3, end=2, limit=14),
            ValueError,
            "give 15 for 1 sentence$",
        ),
        (lambda: sample(uniform(5), ZERO, max_length=2, num_samples=0), ValueError, "num_samples: expected a number"),
        (lambda: sample(uniform(5), ZERO, max_length=2, temperature=-1), ValueError, "temperature: expected a number"),
        (lambda: sample(uniform(5), ZERO, max_length=2, temperature=math.inf), ValueError, "temperature: expected"),
        (lambda: sample(uniform(5), ZERO, max_length=2, top_k=0), ValueError, "top_k: expected a number in"),
        (
            lambda: sample(uniform(5), ZERO, max_length=2, top_p=0.0),
            ValueError,
            r"top_p: expected a number in \(0, 1\]",
        ),
        (lambda: sampling_distribution(torch.zeros(3), top_p=1.5), ValueError, r"top_p: expected a number in \(0, 1\]"),
        (lambda: sampling_distribution(ZERO), TypeError, "log_probs: expected a floating-point tensor"),
        (lambda: length_divisor(3, 1.0, "mean"), ValueError, "length_rule: expected one of"),
        (lambda: coverage_penalty(ZERO), TypeError, "attended: expected a floating-point tensor"),
        (lambda: coverage_penalty(torch.ones(2), beta=-1), ValueError, "beta: expected a number in"),
        (lambda: table_step(torch.ones(2, 3)), ValueError, r"chances: expected shape \(vocabulary, vocabulary\)"),
        (lambda: table_step(torch.full((2, 2), 1.5)), ValueError, r"chances: expected numbers in \[0, 1\]"),
        (lambda: table_step(torch.full((2, 2), math.nan)), ValueError, r"chances: expected numbers in \[0, 1\]"),
        (lambda: table_step(torch.ones(2, 2).long()), TypeError, "chances: expected a floating-point tensor"),
        (lambda: Ancestry(-1), ValueError, "batch: expected a number in"),
        (
            lambda: Ancestry(2).reorder(torch.tensor([0, 1, 1])).extend(),
            ValueError,
            "rows: expected a multiple of batch=2",
        ),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ((None, object()), TypeError, r"state: expected tensors, None or numbers.*reorder\(index\); got object"),
        (
            {"hidden": torch.zeros(2, 1, 4)},
            ValueError,
            r"state: expected tensors of 1 rows first; got shape \(2, 1, 4\)",
        ),
    ],
)
@pytest.mark.parametrize("search", [beam_search, exhaustive_search])
def test_a_state_that_cannot_be_reordered(search, state, error, message):
    with pytest.raises(error, match=message):
        search(uniform(5), ZERO, state, max_length=2)
