"""The tools behind chapter 15: which times a walk visits, what brightness is, what is kept."""

import json

import torch

from course_lib.diffusion.schedules import linear, spaced_times
from tools import measure_truncation, repeat_improved
from tools.measure_truncation import CHAINS, STEPS, times_of
from tools.repeat_improved import brightness, main


def test_a_chain_s_even_times_see_the_same_signal_on_the_other_clock():
    own = linear()
    assert torch.equal(times_of(own, own), spaced_times(own, STEPS))
    there, even = times_of(CHAINS["cosine"], own), spaced_times(CHAINS["cosine"], STEPS)
    assert there[0] == 1000 and there[-1] == 0 and bool((there.diff() < 0).all())
    # All but the first, which the linear clock does not reach, and 0.
    ours, theirs = own.alpha_bar[there[1:-1]], CHAINS["cosine"].alpha_bar[even[1:-1]]
    assert torch.allclose(ours, theirs, atol=4e-3)


def test_a_late_start_is_around_what_it_is_given():
    model, seen = torch.nn.Module(), []
    model.schedule = linear()
    model.forward = lambda x, t: seen.append(x) or x  # type: ignore[method-assign]
    times, mean = torch.tensor([600, 0]), torch.full((1, 1, 28, 28), -0.5)
    for centre in (0 * mean, mean):
        measure_truncation.measure(model, times, centre, 100, 0, "fashion")
    alpha, sigma = (float(c(torch.tensor([600]))) for c in (linear().alpha, linear().sigma))
    assert torch.allclose(seen[1], alpha * mean + sigma * seen[0], atol=1e-5)


def test_brightness_of_black_and_white():
    pair = torch.cat([torch.full((3, 1, 8, 8), -1.0), torch.full((1, 1, 8, 8), 1.0)])
    assert brightness(pair) == {"mean": 0.25, "spread": 0.5, "dark": 0.75}


def test_what_is_in_the_file_is_not_measured_again(tmp_path, monkeypatch):
    asked, path = [], tmp_path / "found.json"
    monkeypatch.setitem(
        repeat_improved.PIECES, "exposed", lambda seed: asked.append(seed) or {"seed": seed}
    )
    for seeds in (["0", "1"], ["0", "1", "2"]):
        assert main(["exposed", "--seeds", *seeds, "--out", str(path)]) == 0
    assert asked == [0, 1, 2]
    assert json.loads(path.read_text())["exposed"]["2"] == {"seed": 2}
