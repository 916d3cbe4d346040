"""Searches against exhaustive search, by hand, on random models whose every prefix has chances of its own."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlbook.beam_search import (
    beam_search,
    coverage_penalty,
    exact_search,
    exhaustive_search,
    greedy_search,
    length_divisor,
    table_step,
)

START, JE, MOI, SUIS, ETUDIANT = range(5)


def model(vocabulary, seed=0, device="cpu", dtype=torch.float64, spread=1.5, primes=1009):
    """A step whose log-probabilities depend on all that was said; its state is a number for the prefix, nested."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(primes, vocabulary, generator=generator, dtype=torch.float64) * spread
    table = table.log_softmax(1).to(device, dtype)

    def step(tokens, state):
        code = (state["code"] * 31 + tokens + 7) % primes
        return table[code], {"code": code, "constant": state["constant"]}

    return step


def begin(batch, device="cpu"):
    """Start tokens, all the same, and a state that tells the sentences apart."""
    code = torch.arange(batch, device=device) * 101
    return torch.zeros(batch, dtype=torch.long, device=device), {"code": code, "constant": None}


def score_of(step, start, state, tokens):
    """The sum of log-probabilities of one sentence's tokens, said one by one."""
    total = 0.0
    for token in tokens:
        log_probs, state = step(start, state)
        total += float(log_probs[0, token])
        start = torch.tensor([token])
    return total


def same(ours, other):
    """Whether two results are the same, but for what fills the tokens up."""
    torch.testing.assert_close(ours.scores, other.scores)
    torch.testing.assert_close(ours.log_probs, other.log_probs)
    torch.testing.assert_close(ours.lengths, other.lengths)
    assert torch.equal(ours.tokens, other.tokens)


def chances():
    """The chapter's: first Je .3 or moi .4, then suis with .8 or .6."""
    table = torch.zeros(5, 5, dtype=torch.float64)
    table[START, [JE, MOI, ETUDIANT]] = torch.tensor([0.3, 0.4, 0.3], dtype=torch.float64)
    table[JE, [SUIS, ETUDIANT]] = torch.tensor([0.8, 0.2], dtype=torch.float64)
    table[MOI, [SUIS, ETUDIANT]] = torch.tensor([0.6, 0.4], dtype=torch.float64)
    table[[SUIS, ETUDIANT], ETUDIANT] = 1.0
    return table


# by hand


def test_two_beams_keep_both_doors_open():
    start, step = torch.tensor([START]), table_step(chances())
    found = beam_search(step, start, width=2, max_length=2, n_best=2)
    torch.testing.assert_close(found.log_probs.exp(), torch.tensor([[0.24, 0.24]], dtype=torch.float64))
    assert {tuple(t) for t in found.tokens[0].tolist()} == {(JE, SUIS), (MOI, SUIS)}
    assert greedy_search(step, start, max_length=2).tokens.tolist() == [[[MOI, SUIS]]]


def test_adding_chances_prefers_what_multiplying_does_not():
    table, start = chances(), torch.tensor([START])
    adding = beam_search(lambda tokens, state: (table[tokens], state), start, width=2, max_length=2, n_best=2)
    assert adding.tokens.tolist() == [[[JE, SUIS], [MOI, SUIS]]]
    torch.testing.assert_close(adding.scores, torch.tensor([[1.1, 1.0]], dtype=torch.float64))
    # With .65 after moi the two disagree outright: .4 × .65 = .26 is more than .24, .4 + .65 = 1.05 less than 1.1.
    table[MOI, [SUIS, ETUDIANT]] = torch.tensor([0.65, 0.35], dtype=torch.float64)
    adding = beam_search(lambda tokens, state: (table[tokens], state), start, width=2, max_length=2)
    multiplying = beam_search(table_step(table), start, width=2, max_length=2)
    assert (adding.tokens[0, 0, 0], multiplying.tokens[0, 0, 0]) == (JE, MOI)


def test_a_length_penalty_lets_the_longer_win():
    # 1 ends. At once with .4; or 2 and then the end, .6 × .6 = .36: less likely, but better a token.
    table = torch.tensor([[0.0, 0.4, 0.6], [0.0, 1.0, 0.0], [0.2, 0.6, 0.2]])
    arguments = {"width": 3, "max_length": 2, "end": 1, "n_best": 2}
    short = beam_search(table_step(table), torch.tensor([0]), **arguments)
    long = beam_search(table_step(table), torch.tensor([0]), length_penalty=1.0, **arguments)
    assert short.tokens.tolist() == [[[1, 0], [2, 1]]]
    assert short.lengths.tolist() == [[1, 2]]
    assert long.tokens.tolist() == [[[2, 1], [1, 0]]]
    torch.testing.assert_close(long.scores, torch.tensor([[math.log(0.36) / 2, math.log(0.4)]]))
    torch.testing.assert_close(long.log_probs, torch.tensor([[math.log(0.36), math.log(0.4)]]))


def test_length_divisors_by_hand():
    assert length_divisor(1, 0.6, "gnmt") == 1
    assert length_divisor(13, 2, "gnmt") == 9
    assert length_divisor(5, 0) == 1
    assert length_divisor(4, -0.5) == 0.5
    torch.testing.assert_close(length_divisor(torch.tensor([1.0, 4.0]), 0.5), torch.tensor([1.0, 2.0]))


def test_coverage_penalty_by_hand(device):
    attended = torch.tensor([[0.5, 3.0, 0.25], [1.0, 1.0, 2.0], [0.0, 1.0, 1.0]], device=device)
    expected = torch.tensor([0.2 * math.log(0.125), 0.0, -math.inf], device=device)
    torch.testing.assert_close(coverage_penalty(attended), expected)
    assert coverage_penalty(attended, beta=0).tolist() == [0, 0, 0]
    inside = torch.rand(3, 5, dtype=torch.float64, device=device) * 0.8 + 0.1
    assert torch.autograd.gradcheck(coverage_penalty, inside.requires_grad_())


def test_a_table_is_looked_up(device):
    table = torch.rand(5, 5, device=device)
    log_probs, state = table_step(table)(torch.tensor([3, 1, 3], device=device), "as it was")
    torch.testing.assert_close(log_probs.exp(), table[[3, 1, 3]])
    assert state == "as it was"


# against exhaustive search


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.integers(1, 5),
    max_length=st.integers(1, 4),
    batch=st.integers(1, 3),
    end=st.sampled_from([None, 0, (0,), "two"]),
    alpha=st.sampled_from([0.0, 0.7, 1.0, 2.5, -0.8]),
    rule=st.sampled_from(["power", "gnmt"]),
    stop=st.sampled_from(["exact", "never"]),
    data=st.data(),
)
def test_a_beam_as_wide_as_the_tree_is_exhaustive_search(
    seed, vocabulary, max_length, batch, end, alpha, rule, stop, data
):
    end = (0, vocabulary - 1) if end == "two" else end
    min_length = data.draw(st.integers(0, max_length))
    forbidden = data.draw(st.lists(st.integers(0, vocabulary - 1), max_size=vocabulary - 1))
    n_best = data.draw(st.integers(1, 7))
    rules = {"end": end, "min_length": min_length, "forbidden": forbidden}
    options = {**rules, "max_length": max_length, "length_penalty": alpha, "length_rule": rule, "n_best": n_best}
    start, state = begin(batch)
    step = model(vocabulary, seed)
    wide = beam_search(step, start, state, width=max(vocabulary**max_length, n_best), stop=stop, **options)
    same(wide, exhaustive_search(step, start, state, **options))
    narrow = beam_search(step, start, state, width=1, **{**options, "n_best": 1})
    assert bool((narrow.scores[:, 0] <= wide.scores[:, 0] + 1e-12).all())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), vocabulary=st.integers(1, 7), alpha=st.sampled_from([0.0, -1.0]), data=st.data())
def test_a_beam_of_one_is_greedy_search(seed, vocabulary, alpha, data):
    max_length = data.draw(st.integers(1, 7))
    rules = {
        "max_length": max_length,
        "min_length": data.draw(st.integers(0, max_length)),
        "end": data.draw(st.sampled_from([None, 0])),
        "pad": 99,
    }
    start, state = begin(3)
    step = model(vocabulary, seed)
    beam = beam_search(step, start, state, width=1, length_penalty=alpha, **rules)
    greedy = greedy_search(step, start, state, **rules)
    assert torch.equal(beam.tokens, greedy.tokens)
    torch.testing.assert_close(beam.log_probs, greedy.log_probs)
    torch.testing.assert_close(beam.lengths, greedy.lengths)


@pytest.mark.parametrize("seed", range(7))
def test_exact_search_finds_what_exhaustive_search_finds(seed, device):
    step, (start, state) = model(5, seed, device, spread=0.7), begin(11, device)
    options = {"max_length": 6, "end": 3, "forbidden": 1, "pad": 4}
    same(exact_search(step, start, state, width=1, **options), exhaustive_search(step, start, state, **options))


def test_exact_search_finds_what_a_narrow_beam_loses():
    step, (start, state) = model(5, spread=0.7), begin(53)
    narrow = beam_search(step, start, state, width=2, max_length=6, end=3)
    exact = exact_search(step, start, state, max_length=6, end=3)
    assert bool((exact.log_probs >= narrow.log_probs - 1e-12).all())
    assert int((exact.log_probs > narrow.log_probs + 1e-12).sum()) > 5


def test_a_beam_as_wide_as_the_best_is_improbable_has_not_lost_it():
    step, (start, state) = model(5, 3, spread=0.7), begin(53)
    best = exhaustive_search(step, start, state, max_length=5, end=3)
    for width in (2, 7, 13, 29):
        found = beam_search(step, start, state, width=width, max_length=5, end=3)
        sure = best.log_probs.exp() >= 1 / width
        assert torch.equal(found.log_probs[sure], best.log_probs[sure])
    assert bool(sure.any())


def test_exact_search_says_when_it_would_need_more():
    step, (start, state) = model(5, spread=0.1), begin(3)
    with pytest.raises(ValueError, match="max_width: expected enough to be certain; 3 sentences are not with 4"):
        exact_search(step, start, state, max_length=7, width=2, max_width=7)
    with pytest.raises(ValueError, match="max_width"):
        exact_search(step, start, state, max_length=7, width=8, max_width=7)


def test_exhaustive_search_scores_each_sequence_once():
    step, (start, state) = model(3), begin(1)
    found = exhaustive_search(step, start, state, max_length=3, end=2, n_best=100)
    # 1 of length 1, 2 of length 2, 4 × 3 of length 3.
    real = found.lengths[0] > 0
    assert int(real.sum()) == 15
    assert bool((found.scores[0, ~real] == -math.inf).all())
    sequences = [tuple(t[:n]) for t, n in zip(found.tokens[0].tolist(), found.lengths[0].tolist(), strict=True) if n]
    assert len(set(sequences)) == 15
    torch.testing.assert_close(found.log_probs[0, real].exp().sum(), torch.tensor(1.0, dtype=torch.float64))
    for tokens, log_prob in zip(sequences, found.log_probs[0].tolist(), strict=False):
        assert score_of(step, start, state, tokens) == pytest.approx(log_prob)


def test_a_wider_beam_may_still_miss_the_best():
    # The best sequence begins with the least likely token: only a beam of three looks behind it.
    table = torch.tensor([[0.0, 0.5, 0.3, 0.2], [0.25] * 4, [0.25] * 4, [1.0, 0.0, 0.0, 0.0]])
    step, start = table_step(table), torch.tensor([0])
    firsts = [int(beam_search(step, start, width=width, max_length=2).tokens[0, 0, 0]) for width in (1, 2, 3)]
    assert firsts == [1, 1, 3]


# how sentences, options and states go together


@pytest.mark.parametrize("options", [{}, {"length_penalty": 0.8}, {"stop": "full"}, {"stop": "never"}])
def test_a_sentence_does_not_depend_on_its_batch(device, options):
    step, (start, state) = model(11, device=device), begin(5, device)
    options = {"width": 3, "max_length": 13, "end": 4, "n_best": 2, **options}
    together = beam_search(step, start, state, **options)
    assert len(set(together.lengths[:, 0].tolist())) > 1
    for i in range(5):
        alone = beam_search(step, start[i : i + 1], {**state, "code": state["code"][i : i + 1]}, **options)
        torch.testing.assert_close(alone.scores[0], together.scores[i])
        longest = alone.tokens.shape[2]
        assert torch.equal(alone.tokens[0], together.tokens[i, :, :longest])


def test_stopping_exactly_changes_nothing_but_the_time():
    calls = dict.fromkeys(("exact", "full", "never"), 0)
    found = {}
    for stop in calls:
        step, (start, state) = model(7, seed=3), begin(3)

        def counted(tokens, state, step=step, stop=stop):
            calls[stop] += 1
            return step(tokens, state)

        options = {"width": 4, "max_length": 29, "end": 1, "length_penalty": 0.5, "n_best": 3}
        found[stop] = beam_search(counted, start, state, stop=stop, **options)
    same(found["exact"], found["never"])
    assert calls["full"] < calls["exact"] < calls["never"] == 29
    assert bool((found["full"].scores <= found["exact"].scores).all())


def test_tokens_score_what_they_say(device):
    step, (start, state) = model(11, device=device), begin(1, device)
    options = {"length_penalty": 0.7, "length_rule": "gnmt", "end": 3}
    found = beam_search(step, start, state, width=5, max_length=7, n_best=5, pad=-1, **options)
    assert len({tuple(t) for t in found.tokens[0].tolist()}) == 5
    cpu, (start, state) = model(11), begin(1)
    for tokens, n, total, score in zip(
        found.tokens[0].tolist(), found.lengths[0], found.log_probs[0], found.scores[0], strict=True
    ):
        assert score_of(cpu, start, state, tokens[:n]) == pytest.approx(float(total))
        assert float(score) == pytest.approx(float(total) / ((5 + int(n)) / 6) ** 0.7)
        assert tokens[n:] == [-1] * (found.tokens.shape[2] - int(n))
        assert 3 not in tokens[: n - 1]
    assert bool((found.scores.diff() <= 0).all())


def test_limits_hold():
    step, (start, state) = model(7), begin(5)
    rules = {"max_length": 11, "min_length": 5, "end": 2, "forbidden": [3, 6]}
    for found in (
        beam_search(step, start, state, width=3, n_best=3, **rules),
        greedy_search(step, start, state, **rules),
    ):
        assert int(found.lengths.min()) >= 5
        assert int(found.lengths.max()) <= 11
        assert not bool(torch.isin(found.tokens, torch.tensor([3, 6])).any())
        shorter = found.lengths < 11
        assert bool((found.tokens.gather(2, found.lengths[..., None] - 1)[..., 0][shorter] == 2).all())
        assert bool(shorter.any())


def test_coverage_changes_the_ranking():
    """A state that adds up attention: each token but the end looks at the source word of its number."""
    vocabulary, source = 4, 3
    inner = model(vocabulary, seed=1)

    def step(tokens, state):
        log_probs, inner_state = inner(tokens, {"code": state["code"], "constant": None})
        looked = torch.eye(vocabulary, dtype=torch.float64)[tokens][:, 1:] * 0.9 + 0.05
        return log_probs, {"code": inner_state["code"], "attended": state["attended"] + looked}

    def coverage(state):
        return coverage_penalty(state["attended"], beta=2.0)

    start, state = begin(2)
    state = {"code": state["code"], "attended": torch.zeros(2, source, dtype=torch.float64)}
    options = {"max_length": 4, "end": 0, "n_best": 5, "length_penalty": 0.6}
    plain = exhaustive_search(step, start, state, **options)
    covered = exhaustive_search(step, start, state, coverage=coverage, **options)
    assert not torch.equal(plain.tokens[:, 0], covered.tokens[:, 0])
    same(beam_search(step, start, state, width=4**4, coverage=coverage, **options), covered)
    tokens, n = covered.tokens[0, 0], int(covered.lengths[0, 0])
    seen = torch.zeros(source, dtype=torch.float64)
    for token in [0, *tokens[: n - 1].tolist()]:
        seen += torch.eye(vocabulary, dtype=torch.float64)[token][1:] * 0.9 + 0.05
    expected = covered.log_probs[0, 0] / n**0.6 + 2 * seen.clamp(max=1).log().sum()
    torch.testing.assert_close(covered.scores[0, 0], expected)
