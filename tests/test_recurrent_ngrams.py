"""The n-gram baseline against counting by hand, in dictionaries, and against what probabilities must be."""

import math
from collections import Counter, defaultdict

import pytest
import torch

from dlbook.recurrent import NGram

CLASSES = 7
SMOOTHING = ("witten_bell", "kneser_ney", "add_one")


def text(length, seed=0, classes=CLASSES):
    """A text with habits: squaring a uniform draw prefers the small tokens, and every other token repeats one."""
    generator = torch.Generator().manual_seed(seed)
    draws = (classes * torch.rand(length, generator=generator) ** 2).long()
    return torch.where(torch.arange(length) % 3 == 2, draws.roll(2), draws)


def by_hand(train, order, smoothing):
    """The probability of a token after a context, from dictionaries."""
    counts = [Counter(tuple(train[k : k + n]) for k in range(len(train) - n + 1)) for n in range(1, order + 1)]
    if smoothing == "kneser_ney":
        for n in range(order - 1, 0, -1):
            counts[n - 1] = Counter(gram[1:] for gram in counts[n])
    follow = [defaultdict(dict) for _ in counts]
    for table, counted in zip(follow, counts, strict=True):
        for gram, count in counted.items():
            table[gram[:-1]][gram[-1]] = count

    def probability(token, context):
        context = context[max(0, len(context) - order + 1) :]
        shorter = probability(token, context[1:]) if context else 1 / CLASSES
        seen = follow[len(context)].get(tuple(context), {})
        total, kinds, count = sum(seen.values()), len(seen), seen.get(token, 0)
        if smoothing == "add_one":
            return (count + 1) / (total + CLASSES)
        if not total:
            return shorter
        if smoothing == "witten_bell":
            return (count + kinds * shorter) / (total + kinds)
        sizes = Counter(counts[len(context)].values())
        discount = sizes[1] / max(sizes[1] + 2 * sizes[2], 1) if sizes[1] else 0.5
        return (max(count - discount, 0) + discount * kinds * shorter) / total

    return probability


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_it_counts_as_dictionaries_do(device, order, smoothing):
    train, held_out = text(211), text(53, seed=1)
    model = NGram(order, CLASSES, smoothing).fit(train.to(device))
    expected = by_hand(train.tolist(), order, smoothing)
    tokens = held_out.tolist()
    probs = torch.tensor([expected(token, tokens[:place]) for place, token in enumerate(tokens)])
    found = model.log_probs(held_out.to(device))
    assert found.device.type == device.type
    torch.testing.assert_close(found.cpu(), probs.log(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_probabilities_of_all_tokens_add_up_to_one(order, smoothing):
    model = NGram(order, CLASSES, smoothing).fit(text(101))
    contexts = torch.randint(CLASSES, (11, 5), generator=torch.Generator().manual_seed(3))
    every = torch.cat([contexts[:, None].expand(-1, CLASSES, -1), torch.arange(CLASSES).expand(11, -1)[..., None]], -1)
    last = model.log_probs(every)[..., -1].exp()
    assert last.shape == (11, CLASSES)
    torch.testing.assert_close(last.sum(-1), torch.ones(11))
    assert (last > 0).all()


def test_hand_values():
    # after 0 came 1, 1 and 2; 1 makes up 2 of 6 tokens, and before any counting a third
    model = NGram(2, 3).fit(torch.tensor([0, 1, 0, 1, 0, 2]))
    alone = (2 + 3 * (1 / 3)) / (6 + 3)
    assert model.log_probs(torch.tensor([1])).exp().item() == pytest.approx(alone)
    assert model.log_probs(torch.tensor([0, 1])).exp()[1].item() == pytest.approx((2 + 2 * alone) / (3 + 2))
    # 2 came last: nothing is known of what follows, so the shorter context answers
    assert model.log_probs(torch.tensor([2, 1])).exp()[1].item() == pytest.approx(alone)


def test_a_longer_memory_pays_only_if_the_text_has_one():
    period = torch.arange(4).repeat(50)
    losses = [-NGram(order, 4).fit(period).log_probs(period)[4:].mean().item() for order in (1, 2)]
    assert losses[0] == pytest.approx(math.log(4), rel=1e-3)
    assert losses[1] < 0.1


def test_a_transposed_text_is_read_without_a_warning():
    texts = text(30).view(5, 6).T
    model = NGram(3, CLASSES).fit(text(101))
    torch.testing.assert_close(model.log_probs(texts), model.log_probs(texts.contiguous()))


def test_texts_shorter_than_the_order():
    assert NGram(5, CLASSES).fit(text(2)).log_probs(text(3)).isfinite().all()
    assert NGram(5, CLASSES).fit(text(50)).log_probs(text(1)).shape == (1,)
    assert NGram(3, CLASSES, "kneser_ney").fit(text(2)).log_probs(text(9)).isfinite().all()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NGram(0, 3), ValueError, "order: expected at least 1"),
        (lambda: NGram(2, 0), ValueError, "classes: expected at least 1"),
        (lambda: NGram(2.0, 3), TypeError, "order: expected a whole number"),
        (lambda: NGram(11, 65), ValueError, r"order: expected classes\*\*order below 2\*\*63; got 65\*\*11"),
        (lambda: NGram(2, 3, "none"), ValueError, "smoothing: expected one of 'witten_bell'"),
        (lambda: NGram(2, 3).fit(torch.tensor([0, 3])), ValueError, "tokens: expected whole numbers from 0 to 2"),
        (lambda: NGram(2, 3).fit(torch.tensor([[0, 1]])), ValueError, r"tokens: expected shape \(time,\)"),
        (lambda: NGram(2, 3).fit(torch.tensor([], dtype=torch.long)), ValueError, "tokens: expected at least one"),
        (lambda: NGram(2, 3).log_probs(torch.tensor([0])), RuntimeError, "call fit first"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
