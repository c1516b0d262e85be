"""What every test shares: one thread, and a list of the slowest files at the end."""

from collections import defaultdict

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # two workers with a thread pool each would fight over the cores

# The same examples every time, and no deadline: a busy machine is not a failure.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which files took longest; pytest's --durations lists single tests and cells."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration") and hasattr(report, "nodeid"):
                seconds[report.nodeid.split("::")[0]] += report.duration
    terminalreporter.section("slowest files")
    for file, duration in sorted(seconds.items(), key=lambda item: -item[1])[:10]:
        terminalreporter.write_line(f"{duration:7.1f} s  {file}")
