"""Samples against the distribution that they are drawn from."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dlbook.beam_search import (
    coverage_penalty,
    exhaustive_search,
    greedy_search,
    length_divisor,
    sample,
    sampling_distribution,
)

VOCABULARY = 7
# One chance in a million that a right sampler fails; the seed is fixed besides.
SURE = 1e-6


def seeded(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def markov(seed=0, device="cpu"):
    table = torch.randn(VOCABULARY, VOCABULARY, generator=seeded(seed)).log_softmax(1).to(device)
    return lambda tokens, state: (table[tokens], state)


def start(batch=1, device="cpu"):
    return torch.arange(batch, device=device)


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.5}, {"temperature": 3.0}, {"top_k": 3}, {"top_p": 0.8}, {"top_k": 5, "top_p": 0.6}],
)
def test_first_tokens_come_as_often_as_their_distribution_says(device, options):
    step, n = markov(device=device), 20_000
    drawn = sample(step, start(2, device), max_length=1, num_samples=n, generator=seeded(1, device), **options)
    expected = sampling_distribution(step(start(2, device), None)[0], **options).exp().double().cpu()
    for row in range(2):
        counts = torch.bincount(drawn.tokens[row, :, 0].cpu(), minlength=VOCABULARY)
        possible = expected[row] > 0
        assert int(counts[~possible].sum()) == 0
        chances = expected[row, possible] / expected[row, possible].sum()
        assert stats.chisquare(counts[possible].numpy(), (n * chances).numpy()).pvalue > SURE


def test_whole_sequences_come_as_often_as_they_are_likely():
    step, n = markov(3), 50_000
    options = {"max_length": 3, "end": 2, "min_length": 2, "forbidden": 5}
    every = exhaustive_search(step, start(), n_best=200, **options)
    real = every.lengths[0] > 0
    # Renormalized at each step: what is forbidden leaves its share to the others.
    chances = []
    for tokens, length in zip(every.tokens[0, real].tolist(), every.lengths[0, real].tolist(), strict=True):
        chance, last = 1.0, 0
        for place, token in enumerate(tokens[:length]):
            log_probs = step(torch.tensor([last]), None)[0][0].clone()
            log_probs[[5, 2] if place == 0 else [5]] = -torch.inf
            chance, last = chance * float(log_probs.softmax(0)[token]), token
        chances.append(chance)
    drawn = sample(step, start(), num_samples=n, generator=seeded(2), **options)
    known = {tuple(t): i for i, t in enumerate(every.tokens[0, real].tolist())}
    counts = torch.zeros(len(known))
    for tokens in drawn.tokens[0].tolist():
        counts[known[tuple(tokens)]] += 1
    assert sum(chances) == pytest.approx(1.0)
    # Sequences too rare for the test's approximation count as one.
    common = torch.tensor(chances) * n > 10
    pooled = [torch.cat([x[common], x[~common].sum()[None]]).double() for x in (counts, n * torch.tensor(chances))]
    assert stats.chisquare(*(x.numpy() for x in pooled), sum_check=False).pvalue > SURE
    order = [known[tuple(tokens)] for tokens in drawn.tokens[0, :9].tolist()]
    torch.testing.assert_close(drawn.log_probs[0, :9], every.log_probs[0, real][order])
    assert torch.equal(drawn.scores, drawn.log_probs)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"temperature": 1e-30}, {"top_k": 1}, {"top_p": 1e-6}])
def test_without_chance_it_is_greedy_search(device, options):
    step, batch = markov(4, device), start(3, device)
    greedy = greedy_search(step, batch, max_length=11, end=6)
    drawn = sample(step, batch, max_length=11, end=6, num_samples=2, **options)
    for copy in range(2):
        assert torch.equal(drawn.tokens[:, copy], greedy.tokens[:, 0])
        torch.testing.assert_close(drawn.log_probs[:, copy], greedy.log_probs[:, 0])


def test_the_same_seed_says_the_same():
    options = {"max_length": 13, "num_samples": 3}
    first, second, third = (sample(markov(), start(2), generator=seeded(s), **options).tokens for s in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.equal(first[:, 0], first[:, 1])
    before = torch.random.get_rng_state()
    sample(markov(), start(2), generator=seeded(5), **options)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(3)
    first = sample(markov(), start(2), **options).tokens
    torch.manual_seed(3)
    assert torch.equal(first, sample(markov(), start(2), **options).tokens)


# the distribution


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    temperature=st.sampled_from([0.1, 0.7, 1.0, 2.5]),
    top_k=st.one_of(st.none(), st.integers(1, 30)),
    top_p=st.one_of(st.none(), st.floats(0.01, 1.0)),
)
def test_the_distribution_is_a_softmax_of_what_is_left(seed, temperature, top_k, top_p):
    logits = torch.randn(3, 11, generator=seeded(seed), dtype=torch.float64) * 2
    mine = sampling_distribution(logits, temperature, top_k, top_p)
    for row, ours in zip((logits / temperature).softmax(1).tolist(), mine.exp().tolist(), strict=True):
        order = sorted(range(11), key=lambda token: -row[token])[:top_k]
        share, kept = sum(row[token] for token in order), []
        for token in order:
            if top_p is None or not kept or sum(row[t] for t in kept) / share < top_p - 1e-12:
                kept.append(token)
        total = sum(row[token] for token in kept)
        assert ours == pytest.approx([row[t] / total if t in kept else 0.0 for t in range(11)])


def test_the_distribution_by_hand():
    chances = torch.tensor([[0.1, 0.4, 0.2, 0.3]])
    for options, expected in (
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
        ({"temperature": 0}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 99}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_p": 0.65}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.75}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_p": 1.0}, [0.1, 0.4, 0.2, 0.3]),
        # Of the three, 4/9 and 3/9 reach .7, which they would not do of all four.
        ({"top_k": 3, "top_p": 0.71}, [0, 4 / 7, 0, 3 / 7]),
    ):
        torch.testing.assert_close(
            sampling_distribution(chances.log(), **options).exp(), torch.tensor([expected], dtype=torch.float32)
        )


def test_the_distribution_at_its_limits(device):
    infinite = torch.full((2, 5), -torch.inf, device=device)
    for options in ({}, {"temperature": 0}, {"top_k": 2, "top_p": 0.5}):
        assert torch.equal(sampling_distribution(infinite, **options), infinite)
        one = infinite.clone()
        one[:, 3] = -7.0
        assert sampling_distribution(one, **options).exp().tolist() == [[0, 0, 0, 1, 0]] * 2
    equal = sampling_distribution(torch.zeros(5, device=device), top_k=2).exp()
    assert equal.tolist() == [0.5, 0.5, 0, 0, 0]
    hot = sampling_distribution(torch.tensor([0.0, -1e4, -torch.inf], device=device), temperature=1e30).exp()
    assert hot.tolist() == [0.5, 0.5, 0]
    large = torch.tensor([3e38, 0.0], device=device)
    assert sampling_distribution(large, temperature=0.1).exp().tolist() == [1, 0]


@pytest.mark.parametrize("options", [{"temperature": 0.7}, {"top_k": 3}, {"top_p": 0.9, "top_k": 4}])
def test_the_distribution_has_its_gradient(options):
    logits = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: sampling_distribution(x, **options).exp(), logits)


@pytest.mark.compile
@pytest.mark.parametrize(
    "function",
    [
        lambda x: sampling_distribution(x, 0.7, top_k=5, top_p=0.8),
        lambda x: coverage_penalty(x.exp()),
        lambda x: length_divisor(x.exp(), 0.6, "gnmt"),
    ],
)
def test_formulas_compile(function):
    x = torch.randn(3, 11).log_softmax(1)
    torch.testing.assert_close(torch.compile(function, fullgraph=True, backend="eager")(x), function(x))
