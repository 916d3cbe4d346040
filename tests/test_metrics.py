"""Metrics of labels, curves, probabilities and sentences against scikit-learn, sacreBLEU and hand-made values."""

import itertools
import math
import warnings

import numpy as np
import pytest
import sacrebleu
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlbook import metrics as M

RATES = {"precision": sk.precision_score, "recall": sk.recall_score, "f1_score": sk.f1_score, "tpr": sk.recall_score}
NAN = math.nan


def close(mine, expected, tolerance=1e-6):
    expected = torch.as_tensor(np.array(expected, order="C"), dtype=mine.dtype)
    torch.testing.assert_close(mine.cpu(), expected, rtol=tolerance, atol=tolerance, equal_nan=True)


def theirs(function, *args, **kwargs):
    """The scikit-learn answer; it warns where a metric is undefined, and we answer the same without a warning."""
    args = [a.cpu().numpy() if isinstance(a, torch.Tensor) else a for a in args]
    kwargs = {k: v.cpu().numpy() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def examples(n, classes, device="cpu"):
    return torch.randint(classes, (n,), device=device), torch.randint(classes, (n,), device=device)


LABEL_PAIRS = [
    ([0, 0, 0], [0, 0, 0]),
    ([1, 1], [1, 1]),
    ([0, 0, 1], [0, 0, 0]),
    ([0, 0, 0], [1, 1, 1]),
    ([0, 1, 1, 0], [1, 0, 0, 1]),
    ([0], [1]),
    ([-1, 1, 1], [1, -1, 1]),
    ([3, 3, 7], [7, 3, 3]),
]


class TestConfusionMatrix:
    @pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("labels", [None, [2, 0, 4], [0, 1, 2, 3, 4, 9], [-1, 3]])
    def test_like_sklearn(self, normalize, weighted, labels, device):
        y_true, y_pred = examples(97, 5, device)
        weight = torch.rand(97, dtype=torch.float64, device=device) if weighted else None
        labels = None if labels is None else torch.tensor(labels, device=device)
        kwargs = {"labels": labels, "sample_weight": weight, "normalize": normalize}
        mine = M.confusion_matrix(y_true, y_pred, **kwargs)
        assert mine.is_floating_point() == (weighted or normalize is not None)
        close(mine, theirs(sk.confusion_matrix, y_true, y_pred, **kwargs))

    @pytest.mark.parametrize(("true", "said"), LABEL_PAIRS)
    def test_few_labels(self, true, said):
        true, said = torch.tensor(true), torch.tensor(said)
        for normalize in (None, "true", "pred", "all"):
            mine = M.confusion_matrix(true, said, normalize=normalize)
            close(mine, theirs(sk.confusion_matrix, true, said, normalize=normalize))

    def test_booleans_floats_and_nothing(self):
        true, said = torch.tensor([True, False, True]), torch.tensor([True, True, True])
        assert M.confusion_matrix(true, said).tolist() == [[0, 1], [0, 2]]
        assert M.confusion_matrix(true.double(), said.double()).tolist() == [[0, 1], [0, 2]]
        empty = torch.zeros(0, dtype=torch.long)
        assert M.confusion_matrix(empty, empty).shape == (0, 0)
        assert M.confusion_matrix(empty, empty, labels=torch.tensor([4, 5])).tolist() == [[0, 0], [0, 0]]

    @pytest.mark.bad_input
    def test_bad_input(self):
        y = torch.tensor([0, 1])
        with pytest.raises(ValueError, match="y_pred: expected as many examples as y_true of shape"):
            M.confusion_matrix(y, torch.tensor([0]))
        with pytest.raises(TypeError, match=r"y_true: expected a torch\.Tensor; got list"):
            M.confusion_matrix([0, 1], y)
        with pytest.raises(ValueError, match="normalize: expected one of"):
            M.confusion_matrix(y, y, normalize="rows")
        with pytest.raises(ValueError, match="labels: expected at least one that occurs in y_true"):
            M.confusion_matrix(y, y, labels=torch.tensor([5]))
        with pytest.raises(ValueError, match="labels: expected at least one label"):
            M.confusion_matrix(y, y, labels=torch.tensor([], dtype=torch.long))
        with pytest.raises(ValueError, match="sample_weight: expected shape"):
            M.confusion_matrix(y, y, sample_weight=torch.ones(3))


class TestRates:
    @pytest.mark.parametrize("name", RATES)
    @pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
    @pytest.mark.parametrize("zero_division", [0.0, 1.0, NAN])
    def test_many_classes(self, name, average, zero_division, device):
        y_true, y_pred = torch.randint(4, (53,), device=device), torch.randint(1, 6, (53,), device=device)
        for labels, weighted in itertools.product([None, [3, 1], [0, 5, 9]], [False, True]):
            weight = torch.rand(53, device=device, dtype=torch.float64) if weighted else None
            kwargs = {"average": average, "sample_weight": weight, "zero_division": zero_division}
            kwargs["labels"] = None if labels is None else torch.tensor(labels, device=device)
            mine = getattr(M, name)(y_true, y_pred, **kwargs)
            close(mine, theirs(RATES[name], y_true, y_pred, **kwargs))

    @pytest.mark.parametrize("name", RATES)
    @pytest.mark.parametrize(("true", "said"), LABEL_PAIRS)
    @pytest.mark.parametrize("average", ["binary", "micro", "macro", "weighted", None])
    def test_two_classes_and_one(self, name, true, said, average):
        true, said = torch.tensor(true), torch.tensor(said)
        for zero_division in (0.0, 1.0, NAN):
            kwargs = {"average": average, "zero_division": zero_division, "pos_label": int(true.max())}
            close(getattr(M, name)(true, said, **kwargs), theirs(RATES[name], true, said, **kwargs))

    def test_booleans_and_a_default_of_one(self):
        true, said = torch.tensor([True, True, False]), torch.tensor([True, False, False])
        assert M.recall(true, said) == 0.5
        assert M.precision(true, said) == 1

    def test_a_class_that_nobody_has_weighs_nothing(self):
        true, said = torch.tensor([0, 1]), torch.tensor([0, 1])
        labels = torch.tensor([7, 8])
        for zero_division in (0.0, 1.0, NAN):
            kwargs = {"labels": labels, "average": "weighted", "zero_division": zero_division}
            close(M.recall(true, said, **kwargs), theirs(sk.recall_score, true, said, **kwargs))

    def test_fpr_is_the_specificity_left_over(self):
        true, said = examples(101, 2)
        specificity = theirs(sk.recall_score, true, said, pos_label=0)
        close(M.fpr(true, said), 1 - specificity)
        for average in ("macro", None, "micro"):
            true, said = examples(101, 5)
            tables = theirs(sk.multilabel_confusion_matrix, true, said)
            wrong, right = tables[:, 0, 1], tables[:, 0, 0]
            each = wrong / (wrong + right)
            expected = {"macro": each.mean(), None: each, "micro": wrong.sum() / (wrong + right).sum()}[average]
            close(M.fpr(true, said, average=average), expected)
        one = torch.ones(3, dtype=torch.long)
        assert M.fpr(one, one) == 0
        assert M.fpr(one, one, zero_division=NAN).isnan()

    def test_a_worked_case(self):
        # 100 objects, 90 called, 80 of them right; 1000 in all.
        true, said = torch.zeros(1000, dtype=torch.long), torch.zeros(1000, dtype=torch.long)
        true[:100], said[20:110] = 1, 1
        close(M.precision(true, said), 80 / 90)
        close(M.recall(true, said), 0.8)
        close(M.tpr(true, said), 0.8)
        close(M.fpr(true, said), 10 / 900)
        close(M.f1_score(true, said), 160 / 190)

    @pytest.mark.bad_input
    @pytest.mark.parametrize("name", [*RATES, "fpr"])
    def test_bad_input(self, name):
        function = getattr(M, name)
        y = torch.tensor([0, 1, 2])
        with pytest.raises(ValueError, match="average: 'binary' expected two classes"):
            function(y, y)
        with pytest.raises(ValueError, match="one of them pos_label=5"):
            function(y[:2], y[:2], pos_label=5)
        with pytest.raises(ValueError, match="average: expected one of"):
            function(y, y, average="samples")
        with pytest.raises(ValueError, match="y_pred: expected as many"):
            function(y, y[:2])
        with pytest.raises(ValueError, match=r"y_true: expected shape \(n,\)"):
            function(y[:, None], y)
        with pytest.raises(TypeError, match=r"y_pred: expected a torch\.Tensor"):
            function(y, 3)


class TestAccuracy:
    @pytest.mark.parametrize("normalize", [True, False])
    @pytest.mark.parametrize("weighted", [True, False])
    def test_like_sklearn(self, normalize, weighted, device):
        true, said = examples(31, 3, device)
        weight = torch.rand(31, device=device) if weighted else None
        kwargs = {"normalize": normalize, "sample_weight": weight}
        close(M.accuracy(true, said, **kwargs), theirs(sk.accuracy_score, true, said, **kwargs))
        true, said = torch.randint(2, (2, 31, 3), device=device)
        close(M.accuracy(true, said, **kwargs), theirs(sk.accuracy_score, true, said, **kwargs))

    def test_no_example(self):
        assert M.accuracy(torch.zeros(0), torch.zeros(0)).isnan()

    @pytest.mark.bad_input
    def test_bad_input(self):
        with pytest.raises(ValueError, match="y_pred: expected the shape of y_true"):
            M.accuracy(torch.zeros(3), torch.zeros(3, 2))

    @pytest.mark.compile
    def test_compiles(self):
        true, said = examples(11, 3)
        assert torch.compile(M.accuracy, fullgraph=True, backend="eager")(true, said) == M.accuracy(true, said)


SCORES = {
    "distinct": lambda n: torch.randperm(n).double() / n,
    "ties": lambda n: torch.randint(5, (n,)).double() / 5,
    "constant": lambda n: torch.full((n,), 0.5, dtype=torch.float64),
}
TRUTHS = {
    "both": lambda n: torch.randint(2, (n,)),
    "signs": lambda n: 2 * torch.randint(2, (n,)) - 1,
    "positive only": lambda n: torch.ones(n, dtype=torch.long),
    "negative only": lambda n: torch.zeros(n, dtype=torch.long),
}


@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("weight", ["none", "random", "some zero"])
@pytest.mark.parametrize("n", [1, 2, 3, 43])
class TestCurves:
    def inputs(self, scores, truth, weight, n, device):
        w = None if weight == "none" else torch.rand(n, dtype=torch.float64) + 0.1
        if weight == "some zero":
            w[1::3] = 0
        return TRUTHS[truth](n).to(device), SCORES[scores](n).to(device), None if w is None else w.to(device)

    @pytest.mark.parametrize("name", ["roc_curve", "precision_recall_curve"])
    def test_like_sklearn(self, name, scores, truth, weight, n, device):
        y_true, y_score, w = self.inputs(scores, truth, weight, n, device)
        for drop in (False, True):
            kwargs = {"sample_weight": w, "drop_intermediate": drop}
            for mine, expected in zip(
                getattr(M, name)(y_true, y_score, **kwargs),
                theirs(getattr(sk, name), y_true, y_score, **kwargs),
                strict=True,
            ):
                close(mine, expected, 1e-12)

    def test_average_precision(self, scores, truth, weight, n, device):
        y_true, y_score, w = self.inputs(scores, truth, weight, n, device)
        mine = M.average_precision(y_true, y_score, sample_weight=w)
        assert mine.dtype == torch.float64
        close(mine, theirs(sk.average_precision_score, y_true, y_score, sample_weight=w), 1e-12)


class TestCurvesMore:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=25))
    def test_any_ties(self, rows):
        y_true = torch.tensor([int(y) for y, _ in rows])
        y_score = torch.tensor([s for _, s in rows])
        for name in ("roc_curve", "precision_recall_curve"):
            for mine, expected in zip(
                getattr(M, name)(y_true, y_score), theirs(getattr(sk, name), y_true, y_score), strict=True
            ):
                close(mine, expected)
        close(M.average_precision(y_true, y_score), theirs(sk.average_precision_score, y_true, y_score))

    def test_positive_label(self):
        y_true, y_score = torch.randint(3, (41,)), torch.rand(41)
        for name in ("roc_curve", "precision_recall_curve"):
            mine = getattr(M, name)(y_true, y_score, pos_label=2)
            for one, expected in zip(mine, theirs(getattr(sk, name), y_true, y_score, pos_label=2), strict=True):
                close(one, expected)
        y_true = y_true % 2 + 3
        close(
            M.average_precision(y_true, y_score, pos_label=4),
            theirs(sk.average_precision_score, y_true, y_score, pos_label=4),
        )

    @pytest.mark.parametrize("average", ["macro", "micro", "weighted", "samples", None])
    @pytest.mark.parametrize("weighted", [True, False])
    def test_average_precision_of_several_classes(self, average, weighted, device):
        weight = torch.rand(37, dtype=torch.float64, device=device) if weighted else None
        y_true = torch.randint(2, (37, 5), device=device)
        y_true[:, 3], y_true[2] = 0, 0
        y_score = torch.randint(7, (37, 5), device=device).double()
        kwargs = {"average": average, "sample_weight": weight}
        close(
            M.average_precision(y_true, y_score, **kwargs),
            theirs(sk.average_precision_score, y_true, y_score, **kwargs),
        )
        if average != "samples":
            y_true = 3 * torch.arange(37, device=device).remainder(5) + 2
            expected = theirs(sk.average_precision_score, y_true, y_score, **kwargs)
            close(M.average_precision(y_true, y_score, **kwargs), expected)

    def test_average_precision_when_no_class_has_a_positive(self):
        y_true, y_score = torch.zeros(7, 3, dtype=torch.long), torch.rand(7, 3)
        assert M.average_precision(y_true, y_score, average="weighted") == 0
        assert M.average_precision(y_true, y_score) == 0

    def test_half_precision_scores_count_exactly(self, device):
        n = 5000
        y_true = torch.arange(n, device=device) % 2
        y_score = torch.rand(n, device=device).bfloat16()
        expected = theirs(sk.average_precision_score, y_true, y_score.float())
        mine = M.average_precision(y_true, y_score)
        assert mine.dtype == torch.float32
        close(mine, expected)
        close(M.roc_curve(y_true, y_score)[1], theirs(sk.roc_curve, y_true, y_score.float())[1])

    def test_infinite_scores_have_a_place(self):
        y_true = torch.tensor([0, 1, 0, 1])
        mine = M.roc_curve(y_true, torch.tensor([-math.inf, -math.inf, 0.0, math.inf]))
        expected = M.roc_curve(y_true, torch.tensor([-9.0, -9.0, 0.0, 9.0]))
        assert torch.equal(mine[0], expected[0])
        assert torch.equal(mine[1], expected[1])

    def test_auc_is_a_probability(self):
        y_true, y_score = torch.randint(2, (61,)), torch.randint(9, (61,)).double()
        positive, negative = y_score[y_true == 1, None], y_score[y_true == 0]
        wins = ((positive > negative).double() + (positive == negative).double() / 2).mean()
        area = M.auc(*M.roc_curve(y_true, y_score)[:2])
        torch.testing.assert_close(area, wins)
        close(area, theirs(sk.roc_auc_score, y_true, y_score))

    def test_auc(self, device):
        x, y = torch.rand(2, 17, device=device)
        x = x.sort().values
        close(M.auc(x, y), theirs(sk.auc, x, y))
        close(M.auc(x.flip(0), y), theirs(sk.auc, x.flip(0), y))
        assert M.auc(torch.tensor([0, 2]), torch.tensor([1, 2])) == 3
        assert M.auc(torch.ones(2), torch.ones(2)) == 0

    @pytest.mark.bad_input
    def test_bad_input(self):
        y, s = torch.tensor([0, 1]), torch.tensor([0.1, 0.2])
        for name in ("roc_curve", "precision_recall_curve", "average_precision"):
            function = getattr(M, name)
            with pytest.raises(ValueError, match="y_score: expected numbers; got NaN"):
                function(y, torch.tensor([NAN, 0.0]))
            with pytest.raises(ValueError, match="y_score: expected at least one example"):
                function(y[:0], s[:0])
            with pytest.raises(ValueError, match="y_score: expected as many"):
                function(y, s[:1])
            with pytest.raises(TypeError, match=r"y_score: expected a torch\.Tensor"):
                function(y, [0.1, 0.2])
        for name in ("roc_curve", "precision_recall_curve"):
            with pytest.raises(ValueError, match="pos_label: expected a label"):
                getattr(M, name)(y + 1, s)
        with pytest.raises(ValueError, match="at most two labels, one of them pos_label=1"):
            M.average_precision(y + 3, s)
        with pytest.raises(ValueError, match="y_score: expected shape"):
            M.average_precision(y, torch.rand(2, 3))
        with pytest.raises(ValueError, match="average: expected one of"):
            M.average_precision(y, s, average="binary")
        with pytest.raises(ValueError, match="both directions"):
            M.auc(torch.tensor([0.0, 1.0, 0.5]), torch.ones(3))
        with pytest.raises(ValueError, match="at least two points"):
            M.auc(torch.ones(1), torch.ones(1))

    @pytest.mark.compile
    def test_average_precision_compiles(self):
        y_true, y_score = torch.randint(2, (29,)), torch.rand(29)
        compiled = torch.compile(M.average_precision, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(y_true, y_score), M.average_precision(y_true, y_score))


class TestTopK:
    @pytest.mark.parametrize("k", [1, 2, 4, 5, 7])
    def test_like_sklearn(self, k, device):
        y_true = torch.arange(43, device=device) % 5
        for y_score in (torch.rand(43, 5, device=device), torch.randint(3, (43, 5), device=device), torch.ones(43, 5)):
            for normalize, weighted in itertools.product([True, False], repeat=2):
                weight = torch.rand(43, dtype=torch.float64, device=device) if weighted else None
                kwargs = {"k": k, "normalize": normalize, "sample_weight": weight}
                mine = M.top_k_accuracy(y_true, y_score.to(device), **kwargs)
                close(mine, theirs(sk.top_k_accuracy_score, y_true, y_score, **kwargs))

    @pytest.mark.bad_input
    def test_bad_input(self):
        y, s = torch.tensor([0, 1]), torch.rand(2, 3)
        with pytest.raises(ValueError, match=r"k: expected a number in \[1, inf\]"):
            M.top_k_accuracy(y, s, k=0)
        with pytest.raises(ValueError, match=r"y_true: expected class indices in \[0, 3\); got 3 to 4"):
            M.top_k_accuracy(y + 3, s)
        with pytest.raises(ValueError, match=r"y_score: expected shape \(n, classes\)"):
            M.top_k_accuracy(y, s[:, 0])

    @pytest.mark.compile
    def test_compiles(self):
        y, s = torch.tensor([0, 1]), torch.rand(2, 3)
        assert torch.compile(M.top_k_accuracy, fullgraph=True, backend="eager")(y, s) == M.top_k_accuracy(y, s)


class TestPerplexity:
    def test_is_the_exponential_of_cross_entropy(self, device):
        logits = 3 * torch.randn(2, 3, 7, dtype=torch.float64, device=device)
        target = torch.randint(7, (2, 3), device=device)
        target[1, 1] = 4
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=4).exp()
        torch.testing.assert_close(M.perplexity(logits, target, ignore_index=4), expected)
        torch.testing.assert_close(M.perplexity(logits.log_softmax(-1), target, ignore_index=4), expected)
        # Adding a constant and large logits change nothing.
        torch.testing.assert_close(M.perplexity(logits + 1e4, target, ignore_index=4), expected)

    def test_extremes(self):
        assert M.perplexity(torch.tensor([[0.0, -math.inf]]), torch.tensor([0])) == 1
        assert M.perplexity(torch.tensor([[0.0, -math.inf]]), torch.tensor([1])) == math.inf
        assert M.perplexity(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long)).isnan()
        assert M.perplexity(torch.zeros(2, 5), torch.full((2,), -100)).isnan()
        half = M.perplexity(torch.zeros(300, 50, dtype=torch.bfloat16), torch.zeros(300, dtype=torch.long))
        close(half, 50.0, 1e-5)

    @pytest.mark.bad_input
    def test_bad_input(self):
        with pytest.raises(TypeError, match="logits: expected a floating-point tensor"):
            M.perplexity(torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, dtype=torch.long))
        with pytest.raises(ValueError, match=r"target: expected shape \(2,\); got \(3,\)"):
            M.perplexity(torch.zeros(2, 3), torch.zeros(3, dtype=torch.long))
        with pytest.raises(ValueError, match=r"target: expected class indices in \[0, 3\)"):
            M.perplexity(torch.zeros(2, 3), torch.tensor([0, 3]))

    @pytest.mark.compile
    def test_compiles(self):
        logits, target = torch.randn(5, 3), torch.tensor([0, 1, -100, 2, 1])
        compiled = torch.compile(M.perplexity, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(logits, target), M.perplexity(logits, target))


class TestCalibration:
    @pytest.mark.parametrize("n_bins", [1, 4, 15])
    def test_bin_by_bin(self, n_bins, device):
        probs = torch.rand(211, 3, dtype=torch.float64, device=device).softmax(-1)
        target = torch.randint(3, (211,), device=device)
        confidence, said = probs.max(1)
        expected = 0.0
        for i in range(n_bins):
            inside = (confidence > i / n_bins) & (confidence <= (i + 1) / n_bins)
            if inside.any():
                gap = (said == target)[inside].double().mean() - confidence[inside].mean()
                expected += inside.double().mean() * gap.abs()
        torch.testing.assert_close(M.expected_calibration_error(probs, target, n_bins=n_bins), expected)

    def test_a_bin_holds_its_right_end(self):
        # 0.5 belongs to (0, 0.5], with 0.25 apart from 0.75: two bins' gaps do not cancel.
        probs = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
        close(M.expected_calibration_error(probs, torch.tensor([0, 0]), n_bins=2), (0.5 + 0.75) / 2)
        assert M.expected_calibration_error(torch.eye(3), torch.arange(3)) == 0
        assert M.expected_calibration_error(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)).isnan()

    @pytest.mark.bad_input
    def test_bad_input(self):
        y = torch.tensor([0, 1])
        with pytest.raises(ValueError, match=r"probs: expected probabilities in \[0, 1\]"):
            M.expected_calibration_error(2 * torch.ones(2, 2), y)
        with pytest.raises(ValueError, match=r"n_bins: expected a number in \[1, inf\]"):
            M.expected_calibration_error(torch.ones(2, 2), y, n_bins=0)
        with pytest.raises(TypeError, match="probs: expected a floating-point tensor"):
            M.expected_calibration_error(torch.ones(2, 2, dtype=torch.long), y)
        with pytest.raises(ValueError, match="probs: expected as many examples as target"):
            M.expected_calibration_error(torch.ones(3, 2), y)

    @pytest.mark.compile
    def test_compiles(self):
        probs, target = torch.rand(9, 3).softmax(-1), torch.randint(3, (9,))
        compiled = torch.compile(M.expected_calibration_error, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(probs, target), M.expected_calibration_error(probs, target))


SENTENCES = [
    ("the cat sat on the mat", ["the cat lay on the mat", "a cat sat on a mat there"]),
    ("the the the the", ["the cat", "the the dog runs away"]),
    ("hello", ["hello", "hello you"]),
    ("hello world", ["good morning", "hello there big world"]),
    ("nothing in common here", ["some other words", "w x y z"]),
    ("", ["not empty", "not"]),
    ("a b c d e f g h", ["a b c d e f g h", "h g f e d c b a"]),
    ("a b c", ["a b c d e f g h i j", "a c"]),
]


class TestBleu:
    @pytest.mark.parametrize(("method", "value"), [("exp", None), ("none", None), ("floor", None), ("floor", 0.3)])
    @pytest.mark.parametrize("effective_order", [False, True])
    @pytest.mark.parametrize("order", [1, 2, 4, 6])
    def test_like_sacrebleu(self, method, value, effective_order, order):
        self.compare(method, value, effective_order, order)

    @pytest.mark.parametrize("value", [None, 0.5, 2])
    @pytest.mark.parametrize("effective_order", [False, True])
    def test_add_k_like_sacrebleu(self, value, effective_order):
        self.compare("add-k", value, effective_order, 4)

    def compare(self, method, value, effective_order, order):
        mine = {"smooth_method": method, "smooth_value": value, "effective_order": effective_order}
        peer = sacrebleu.BLEU(tokenize="none", max_ngram_order=order, force=True, **mine)
        said, true = zip(*SENTENCES, strict=True)
        each = M.bleu(said, true, reduction="none", max_ngram_order=order, **mine)
        close(each, [peer.sentence_score(h, r).score for h, r in SENTENCES], 1e-5)
        for chosen in (slice(None), slice(0, 3), slice(4, 6), slice(5, 6)):
            score = M.bleu(said[chosen], true[chosen], max_ngram_order=order, **mine)
            streams = [[several[i] for several in true[chosen]] for i in range(2)]
            close(score, peer.corpus_score(list(said[chosen]), streams).score, 1e-5)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.tuples(st.text("abc ", max_size=15), st.text("abc ", max_size=15)), min_size=1, max_size=5))
    def test_random_sentences(self, pairs):
        pairs = [(" ".join(h), " ".join(r)) for h, r in pairs]
        said, true = [" ".join(h.split()) for h, _ in pairs], [" ".join(r.split()) for _, r in pairs]
        expected = sacrebleu.corpus_bleu(said, [true], tokenize="none", force=True).score
        close(M.bleu(said, [[r] for r in true]), expected, 1e-4)

    def test_tokens_of_any_kind(self):
        words = M.bleu(["a b c d e"], [["a b c d f"]])
        assert words == M.bleu([list("abcde")], [[list("abcdf")]])
        assert words == M.bleu([[1, 2, 3, 4, 5]], [[[1, 2, 3, 4, 6]]])
        close(M.bleu(["a b c d e"], [["a b c d e"]]), 100.0)

    def test_unequal_numbers_of_references(self):
        each = M.bleu(["a b c d", "a b c d"], [["a b c d e"], ["x", "a b c d"]], reduction="none")
        close(each, [100 * math.exp(-0.25), 100.0], 1e-5)

    @pytest.mark.bad_input
    def test_bad_input(self):
        with pytest.raises(TypeError, match="hypotheses: expected a sequence of sentences; got one string"):
            M.bleu("a b", [["a b"]])
        with pytest.raises(ValueError, match="references: expected as many as hypotheses"):
            M.bleu(["a b"], [["a"], ["b"]])
        with pytest.raises(ValueError, match=r"references\[0\]: expected a list of one or more sentences; got 'a b'"):
            M.bleu(["a b"], ["a b"])
        with pytest.raises(ValueError, match="smooth_method: expected one of"):
            M.bleu(["a"], [["a"]], smooth_method="laplace")
        with pytest.raises(ValueError, match="reduction: expected one of"):
            M.bleu(["a"], [["a"]], reduction="mean")
