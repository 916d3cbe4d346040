import functools
import inspect
import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlbook import device, practice
from dlbook._checks import check_tensor
from dlbook.practice import comparison, source

# ------------------------------------------------------------------------------------------------------------- show


# fmt: off
class Sample:
    """A class.

    With ``two`` paragraphs.
    """

    width = 3  # stays

    def method(self, x: int = 1, *, y: str = "a") -> str:
        '''A docstring.
Its second line stands at the left margin.
        '''

        # a comment, with its reason
        text = """not a docstring
at the left margin"""

        return text * x + y   # odd   spacing stays

    def empty(self):
        """Only this."""

    def brief(self): "On one line."; return 1  # noqa: E702

    async def later(self):
        """Later: é ü 字."""
        def inner():
            """Inside."""
            return "字"
        return inner

    @property
    def area(self):
        """A property."""
        return 9

    @staticmethod
    def fixed():
        """Without self."""
        return "fixed"
# fmt: on


def shown(capsys, *kernels, **options):
    assert practice.show(*kernels, **options) is None
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.rstrip("\n")


def test_a_kernel_is_shown_without_its_docstring(capsys):
    lines = shown(capsys, device.device).split("\n")
    assert lines[:3] == ["# dlbook.device", "def device() -> torch.device:",
                         '    wanted = os.environ.get("DLBOOK_DEVICE", "").strip()']  # fmt: skip
    whole = inspect.getsource(inspect.unwrap(device.device)).rstrip().split("\n")
    assert lines[1:] == [whole[0], *whole[whole.index(lines[2]) :]]


def test_the_docstring_can_be_kept(capsys):
    whole = inspect.getsource(inspect.unwrap(device.device)).rstrip()
    assert shown(capsys, device.device, docstring=True) == "# dlbook.device\n" + whole


def test_a_class_keeps_everything_but_its_docstrings(capsys):
    expected = '''\
# tests.test_practice
class Sample:
    width = 3  # stays

    def method(self, x: int = 1, *, y: str = "a") -> str:
        # a comment, with its reason
        text = """not a docstring
at the left margin"""

        return text * x + y   # odd   spacing stays

    def empty(self):
        ...

    def brief(self): "On one line."; return 1  # noqa: E702

    async def later(self):
        def inner():
            return "字"
        return inner

    @property
    def area(self):
        return 9

    @staticmethod
    def fixed():
        return "fixed"'''
    assert shown(capsys, Sample) == expected.replace("tests.test_practice", __name__)


@pytest.mark.parametrize(("kernel", "expected"), [
    (Sample.area, "@property\ndef area(self):\n    return 9"),
    (Sample.fixed, '@staticmethod\ndef fixed():\n    return "fixed"'),
    (Sample.__dict__["fixed"], '@staticmethod\ndef fixed():\n    return "fixed"'),
    (Sample().empty, "def empty(self):\n    ..."),
    (Sample.brief, 'def brief(self): "On one line."; return 1  # noqa: E702'),
])  # fmt: skip
def test_methods_move_to_the_left_margin_and_name_their_class(capsys, kernel, expected):
    assert shown(capsys, kernel) == f"# {__name__}.Sample\n{expected}"


def test_a_method_with_text_at_the_left_margin(capsys):
    text = shown(capsys, Sample.method)
    assert text.split("\n")[1] == 'def method(self, x: int = 1, *, y: str = "a") -> str:'
    assert "\nat the left margin" in text


def test_several_kernels_name_a_module_once(capsys):
    text = shown(capsys, device.device, device.describe, check_tensor)
    assert [line for line in text.split("\n") if line.startswith("# ")] == ["# dlbook.device", "# dlbook._checks"]
    assert "\n\n\ndef describe() -> str:" in text


def test_what_is_shown_compiles_to_the_same_code():
    for function in (source._source, source._without_docstrings, comparison._cases, nn.Linear.forward, nn.Linear):
        code = source._without_docstrings(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
        assert '"""' not in code
        compile(code, "shown", "exec")


def test_a_wrapped_kernel_shows_its_own_source(capsys):
    @functools.wraps(check_tensor)
    def wrapper(*args):
        return check_tensor(*args)

    assert shown(capsys, wrapper) == shown(capsys, check_tensor)


class Shell:
    """Enough of a notebook to see what would be displayed."""

    def __init__(self, monkeypatch):
        import IPython

        self.bundles = []
        monkeypatch.setattr(IPython, "get_ipython", lambda: self)
        monkeypatch.setattr("IPython.display.display", lambda bundle, raw: self.bundles.append(bundle))


def test_a_notebook_gets_a_fenced_block(monkeypatch, capsys):
    text = shown(capsys, device.device)
    shell = Shell(monkeypatch)
    assert shown(capsys, device.device) == ""
    assert shell.bundles == [{"text/plain": text, "text/markdown": f"```python\n{text}\n```"}]


def test_a_fence_within_the_source_does_not_end_the_block(monkeypatch):
    def fenced():
        return "```"

    shell = Shell(monkeypatch)
    practice.show(fenced)
    assert shell.bundles[0]["text/markdown"].startswith("````python\n")
    assert shell.bundles[0]["text/markdown"].endswith("\n````")


@pytest.mark.bad_input
@pytest.mark.parametrize("kernel", [torch.relu, len, 3, "device", torch, device, nn.Linear(2, 3), int,
                                    functools.partial(check_tensor, "x"), eval("lambda: 1")])  # fmt: skip
def test_what_has_no_source_is_an_error(kernel):
    with pytest.raises(TypeError, match=r"kernel: expected a function, class or method with Python source; got "):
        practice.show(kernel)


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError, match="kernels: expected at least one"):
        practice.show()


# ---------------------------------------------------------------------------------------------------------- compare


def verdict(capsys, *arguments, **options):
    agrees = practice.compare(*arguments, **options)
    captured = capsys.readouterr()
    assert captured.err == ""
    return agrees, captured.out


def naive_softplus(x):
    return torch.log(1 + torch.exp(x))


def good_softplus(x):
    return torch.logaddexp(x, torch.zeros_like(x))


def test_agreement_is_one_line(capsys):
    assert verdict(capsys, good_softplus, F.softplus) == (True, "good_softplus agrees with softplus on 13 inputs.\n")
    agrees, text = verdict(capsys, good_softplus, F.softplus, gradients=True)
    assert agrees
    assert text == "good_softplus agrees with softplus on 13 inputs, gradients included.\n"


def test_the_first_difference_is_shown(capsys):
    agrees, text = verdict(capsys, naive_softplus, F.softplus)
    assert not agrees
    lines = text.split("\n")
    assert lines[0] == ("naive_softplus differs from softplus on input 8 of 13 (large, positive and negative):")
    assert lines[1].startswith("  input     tensor([[")
    assert "  expected  tensor(" in text
    assert "  got       tensor(" in text
    assert "inf; largest absolute difference inf" in lines[-2]


@pytest.mark.parametrize(("mine", "label", "reason"), [
    (lambda x: x.sum(), "random, shape (5,)", "expected shape (5,); got ()"),
    (lambda x: x.relu().double(), "random, shape (5,)", "expected dtype torch.float32; got torch.float64"),
    (lambda x: x.relu() + 1e-3, "random, shape (5,)",
     "they differ first at index (0,): expected 1.541, got 1.542; largest absolute difference 0.001"),
    (lambda x: torch.relu_(x), "random, shape (5,)", "in the arguments afterwards:"),
    (lambda x: x.relu().tolist(), "random, shape (5,)", "expected a Tensor; got a list"),
    (lambda x: x.relu() if x.ndim else x[0], "a single number", "raised    IndexError: "),
    (lambda x: x.relu() + (x.abs().sum() == 0), "zeros", "expected 0, got 1"),
    (lambda x: x.relu().clamp(max=99), "large, positive and negative", "they differ first at index (0, 2)"),
    (lambda x: x.relu().clamp(max=5e3), "very large", "got 5000"),
    (lambda x: x.relu() if x.numel() else x.sum(), "empty", "expected shape (0, 5); got ()"),
    (lambda x: x.view(-1).relu().view(x.shape), "transposed: not contiguous", "raised    RuntimeError: view size"),
    (lambda x: x.nan_to_num().relu(), "NaN and infinities", "expected nan, got 0"),
])  # fmt: skip
def test_each_standard_input_catches_its_mistake(capsys, mine, label, reason):
    agrees, text = verdict(capsys, mine, torch.relu)
    assert not agrees
    assert f"({label}):\n" in text
    assert reason in text


def test_tiny_inputs_catch_cancellation(capsys):
    agrees, text = verdict(capsys, lambda x: torch.exp(x) - 1, torch.expm1, rtol=1e-4, atol=0.0)
    assert not agrees
    agrees, text = verdict(capsys, lambda x: torch.where(x.abs() < 1e-3, torch.exp(x) - 1, torch.expm1(x)),
                           torch.expm1, rtol=1e-4, atol=0.0)  # fmt: skip
    assert not agrees
    assert "(tiny)" in text


def test_gradients_are_compared_where_asked(capsys):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x**2

        @staticmethod
        def backward(ctx, grad):
            return grad  # not 2x

    assert verdict(capsys, Wrong.apply, torch.square)[0]
    agrees, text = verdict(capsys, Wrong.apply, torch.square, gradients=True)
    assert not agrees
    assert "  in the gradient:\n" in text
    agrees, text = verdict(capsys, lambda x: x.detach() ** 2, torch.square, gradients=True)
    assert not agrees
    assert "got       tensor([0., 0., 0., 0., 0.])" in text
    assert verdict(capsys, lambda x: x.argmax(-1), torch.argmax, inputs=[torch.eye(3)[0]], gradients=True)[0]
    # one gradient an argument, and both outputs count
    reference = lambda a, b: (a * b, a + b)  # noqa: E731
    assert verdict(capsys, lambda a, b: (b * a, b + a), reference, gradients=True)[0]
    agrees, text = verdict(capsys, lambda a, b: (a * b, a.detach() + b), reference, gradients=True)
    assert not agrees
    assert "item 0: they differ" in text


def test_arguments_are_counted(capsys):
    assert verdict(capsys, lambda a, b: ((a - b) ** 2).mean(), F.mse_loss, gradients=True)[0]
    assert not verdict(capsys, lambda a, b: (a - b).abs().mean(), F.mse_loss)[0]
    assert verdict(capsys, lambda a, b: b + a, torch.add)[0]  # a built-in does not tell; mine does


def test_inputs_of_the_callers(capsys):
    pairs = [(torch.randn(2, 3), 0), (torch.randn(5), -1)]
    text = "<lambda> agrees with softmax on 2 inputs.\n"
    assert verdict(capsys, lambda x, dim: x.exp() / x.exp().sum(dim, True), torch.softmax, inputs=pairs) == (True, text)
    agrees, text = verdict(capsys, lambda x, dim: x.softmax(0), torch.softmax, inputs=[(torch.randn(2, 3), 1)])
    assert not agrees
    assert text.startswith("<lambda> differs from softmax on input 1 of 1:\n")
    assert "]]), 1\n" in text.split("expected")[0]


def test_a_maker_of_inputs_is_called_with_the_same_generator(capsys):
    seen = []

    def make(generator):
        seen.append(torch.rand(3, generator=generator))
        return (seen[-1], 2)

    state = torch.get_rng_state()
    for _ in range(2):
        assert verdict(capsys, lambda x, p: x**p, torch.pow, inputs=make)[0]
    assert len(seen) == 40
    assert torch.equal(torch.stack(seen[:20]), torch.stack(seen[20:]))
    assert not torch.equal(seen[0], seen[1])
    practice.compare(torch.relu, F.relu)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(("mine", "reference", "agrees"), [
    ({"a": torch.ones(2), "b": 1.0}, {"a": torch.ones(2), "b": 1.0}, True),
    ({"a": torch.ones(2)}, {"b": torch.ones(2)}, False),
    ({"a": torch.ones(2)}, {"a": torch.zeros(2)}, False),
    (["je", "suis"], ["je", "suis"], True),
    (["je", "suis"], ["je", "est"], False),
    ((1, 2), (1, 2, 3), False),
    (math.nan, math.nan, True),
    (1.0, 1.0 + 1e-7, True),
    (1.0, 1.1, False),
    (1, True, False),
    (None, None, True),
    (None, torch.ones(1), False),
    (np.ones(3), np.ones(3), True),
    (np.ones(3), np.zeros(3), False),
    (torch.tensor([True, False]), torch.tensor([True, True]), False),
    (torch.tensor([1, 2]), torch.tensor([1, 2]), True),
    (torch.tensor([math.inf]), torch.tensor([-math.inf]), False),
])  # fmt: skip
def test_results_of_every_kind(capsys, mine, reference, agrees):
    found, text = verdict(capsys, lambda _: mine, lambda _: reference, inputs=[0])
    assert found is agrees
    assert ("agrees with" in text) is agrees


def test_what_the_reference_refuses_is_passed_over(capsys):
    agrees, text = verdict(capsys, lambda x: torch.max(x, 1).values, lambda x: x.max(1).values)
    assert agrees
    assert text == "<lambda> agrees with <lambda> on 11 inputs (2 more it refuses itself).\n"
    with pytest.raises(ValueError, match=r"inputs: expected one that softmax accepts; it refused all \("):
        practice.compare(lambda x: x, torch.softmax)


def test_inputs_on_any_device(capsys, device):
    x = torch.randn(3, 5, device=device)
    assert verdict(capsys, good_softplus, F.softplus, inputs=[x], gradients=True)[0]
    assert not verdict(capsys, naive_softplus, F.softplus, inputs=[200 * x])[0]


def test_it_works_in_a_plain_script():
    script = "from dlbook import practice as p, device as d, _checks; p.show(_checks.check_tensor); import torch; "
    script += "assert p.compare(lambda x: x.clamp(min=0), torch.relu); import sys; assert 'IPython' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# dlbook._checks\ndef check_tensor(")
    assert done.stdout.endswith("<lambda> agrees with relu on 13 inputs.\n")


def test_results_are_noted_by_name_with_their_spread(monkeypatch):
    import myst_nb

    glued = {}
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: glued.update({name: value}))
    practice.note(seeds=3, rule="Adam", accuracy=[1.0, 2.0, 3.0], loss=torch.tensor([[0.5]]))
    assert glued == {"seeds": 3, "rule": "Adam", "accuracy": 2.0, "accuracy_sd": 1.0, "loss": 0.5}
    with pytest.raises(ValueError, match="accuracy: expected at least one result"):
        practice.note(accuracy=[])


def test_a_table_has_a_head_and_rows_of_one_length(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    practice.table(["rule", "%"], ["Adam", "97.1"])
    assert shown[0].data == "| rule | % |\n|---|---|\n| Adam | 97.1 |"
    for rows in ([], [["a", "b"], ["c"]]):
        with pytest.raises(ValueError, match="rows of one length"):
            practice.table(*rows)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("0.51 ± 0.08", "0.51~±~0.08"),
        ("98.1 ± 1.0 %", "98.1~±~1.0~%"),
        ("$a$ ± $b$, 3 × 3", "$a$~±~$b$, 3~×~3"),
        ("3.2 s of 4 min, 20 kB", "3.2~s of 4~min, 20~kB"),
        ("27 µs", "27~µs"),
        ("8 steps, 2 hidden", "8 steps, 2 hidden"),
        ("±1 or -1", "±1 or -1"),
        ("$2 s ± 1$ and `2 s ± 1`", "$2 s ± 1$ and `2 s ± 1`"),
    ],
)
def test_no_line_of_a_cell_ends_inside_a_result(monkeypatch, cell, shown):
    put = []
    monkeypatch.setattr("IPython.display.display", put.append)
    practice.table(["rule", cell], [cell, "Adam"])
    shown = shown.replace("~", "\N{NBSP}")
    assert put[0].data == f"| rule | {shown} |\n|---|---|\n| {shown} | Adam |"
