"""Shared fixtures: run-time shape checks, the devices at hand, a fixed seed."""

from jaxtyping import config, install_import_hook

# Before anything imports dlbook: every annotated shape is checked at every call of every test.
# A whole number is welcome wherever a float is (the numeric tower), as it is to a type checker.
install_import_hook("dlbook", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import matplotlib

matplotlib.use("Agg")

import pytest
import torch

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device there is: the CPU, and CUDA where it is present."""
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _shape_checks(request: pytest.FixtureRequest):
    """Turn jaxtyping off where a test wants the function's own errors, or traces it."""
    off = any(request.node.get_closest_marker(name) for name in ("bad_input", "compile"))
    config.update("jaxtyping_disable", off)
    yield
    config.update("jaxtyping_disable", False)


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what the tests measured: weights of pages, times of steps."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    lines = [value for report in reports for name, value in report.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(lines):
            terminalreporter.write_line(line)
