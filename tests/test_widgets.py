"""Widgets: what Python packs, what it refuses, and that their JavaScript computes what we teach."""

import base64
import io
import json
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from course_lib.diffusion import guidance, samplers, schedules, sde
from course_lib.diffusion.exact import GaussianMixture
from course_lib.diffusion.guidance import classifier_guided, dynamic_threshold
from course_lib.diffusion.likelihood import gaussian_kl, prior_bits
from course_lib.diffusion.samplers import ddim_step, heun_step, walk
from course_lib.diffusion.solvers import DPMSolver2M
from course_lib.imagine import Settings, notes
from course_lib.metrics import frechet_distance, precision_recall
from course_lib.models.clip import clip_loss
from course_lib.models.unclip import nearest
from course_lib.models.vae import mlp
from course_lib.nn.anatomy import anatomy, feature_maps
from course_lib.nn.embeddings import FourierFeatures, sinusoidal
from course_lib.nn.unet import UNet
from course_lib.recipes import fashion_unet, small_unet
from course_lib.widgets.base import HERE, SHARED, module, style
from course_lib.widgets.bit_budget import BitBudget
from course_lib.widgets.bound_gap import BoundGap
from course_lib.widgets.bound_lab import BoundLab
from course_lib.widgets.caption_match import CaptionMatch
from course_lib.widgets.cascade_dial import CascadeDial
from course_lib.widgets.compute_bars import ComputeBars
from course_lib.widgets.denoiser_playground import DenoiserPlayground
from course_lib.widgets.embedding_lab import EmbeddingLab
from course_lib.widgets.fidelity_lab import FidelityLab
from course_lib.widgets.frame_dial import FrameDial
from course_lib.widgets.frame_scrubber import FrameScrubber
from course_lib.widgets.gaussian_lab import TWO_CLUMPS, GaussianLab
from course_lib.widgets.guidance_field import GuidanceField
from course_lib.widgets.guidance_lab import GuidanceLab
from course_lib.widgets.latent_map import LatentMap
from course_lib.widgets.paper_map import PaperMap, course_map, reading_times, written_chapters
from course_lib.widgets.path_bundle import PathBundle
from course_lib.widgets.point_flow import PointFlow
from course_lib.widgets.prompt_box import PromptBox
from course_lib.widgets.prompt_composer import PromptComposer, in_few_colours
from course_lib.widgets.prompt_pipeline import PromptPipeline, Stage
from course_lib.widgets.quiz import Choice, Question, Quiz, Route
from course_lib.widgets.rate_distortion import RateDistortion
from course_lib.widgets.schedule_lab import ScheduleLab
from course_lib.widgets.score_field import SIX_POINTS, ScoreField
from course_lib.widgets.solver_race import SolverRace
from course_lib.widgets.start_here import QUESTIONS, ROUTES, start_here_quiz
from course_lib.widgets.threshold_dial import ThresholdDial
from course_lib.widgets.unet_map import UNetMap
from course_lib.widgets.variance_dial import DialChain, VarianceDial
from course_lib.widgets.vector_wheel import VectorWheel
from course_lib.widgets.walker_race import WalkerRace
from course_lib.widgets.weight_dial import WeightDial
from course_lib.widgets.word_look import WordLook

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in HERE.glob("*.js") if path.stem not in SHARED)


def javascript(folder: Path, widget: str, expression: str) -> Any:
    """The value of `expression` in the module `m` of a widget; skips where there is no Node.js."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed; the course does not need it, this comparison does")
    (folder / "widget.mjs").write_text(module(widget))
    program = f'import * as m from "./widget.mjs"; console.log(JSON.stringify({expression}))'
    (folder / "run.mjs").write_text(program)
    done = subprocess.run([node, "run.mjs"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_widget_says_in_words_what_stands_there():
    words = "An interactive figure (Quiz): run this cell to bring it to life."
    assert repr(start_here_quiz()) == words


# ---- the modules --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_module_stands_alone(name):
    source = module(name)
    assert not re.search(r"^import ", source, re.MULTILINE)
    assert len(re.findall(r"^export default ", source, re.MULTILINE)) == 1
    assert "http" not in source.replace("http://www.w3.org/2000/svg", "")
    assert ".course-widget" in style(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_module_takes_from_others_exists(name):
    source = (HERE / f"{name}.js").read_text()
    taken = re.findall(r'^import \{([^}]*)\} from "\./(\w+)\.js";', source, re.M)
    assert taken[0][1] == "kit" and {shared for _, shared in taken} <= set(SHARED)
    for words, shared in taken:
        there = (HERE / f"{shared}.js").read_text()
        offered = set(re.findall(r"^export (?:async )?(?:function\*?|const) (\w+)", there, re.M))
        assert {word.strip() for word in words.split(",")} <= offered


def test_a_module_takes_what_it_names_and_declares_nothing_twice():
    for name in NAMES:
        source = (HERE / f"{name}.js").read_text()
        own = re.sub(r"^import .*\n|//.*", "", source, flags=re.M)
        for words in re.findall(r"^import \{([^}]*)\}", source, re.M):
            assert all(re.search(rf"\b{word.strip()}\b", own) for word in words.split(",")), name
        declared = re.findall(
            r"^(?:export )?(?:async )?(?:function\*?|const) (\w+)", module(name), re.M
        )
        assert len(declared) == len(set(declared)), name


def test_no_widget_styles_what_another_styles_too():
    """All styles of a page reach all its widgets: what two of them share is the kit's."""
    own = [
        set(re.findall(r"^(?:\.course-widget(?: \w*)?)?(\.cw-[\w-]+)", path.read_text(), re.M))
        for path in HERE.glob("*.css")
        if path.stem != "kit"
    ]
    assert sum(map(len, own)) == len(set.union(*own))


def test_numbers_are_written_as_people_write_them(tmp_path):
    counts = "[0, 6.6, 1234, 401637, 40e6].map(m.counted)"
    said = ["none", "6.6 M", "1.23 G", "402 G", "40 T"]
    assert javascript(tmp_path, "kit", counts) == said
    assert javascript(tmp_path, "kit", "[12, 1234567.6].map(m.grouped)") == ["12", "1,234,568"]
    texts = ["-0.5", "at -1 (-2), x-1, well-known"]
    said = ["−0.5", "at −1 (−2), x-1, well-known"]
    assert javascript(tmp_path, "kit", f"{texts}.map(m.minus)") == said
    assert javascript(tmp_path, "kit", "m.pair([-0.25, 1])") == "(−0.25, 1.00)"


# ---- FrameScrubber ------------------------------------------------------------------------------


@given(n=st.integers(1, 4), h=st.integers(1, 5), w=st.integers(1, 5), colour=st.booleans())
@settings(max_examples=20, deadline=None)
def test_frames_arrive_byte_for_byte(n, h, w, colour):
    shape = (n, h, w, 3) if colour else (n, h, w)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    widget = FrameScrubber({"a": frames, "b": frames[..., ::-1] if not colour else frames})
    sent = np.frombuffer(widget.frames[0], np.uint8).reshape(widget.shapes[0])
    assert np.array_equal(sent.reshape(shape), frames)
    assert widget.names == ["a", "b"] and widget.labels == [str(i) for i in range(n)]


def test_frames_may_be_a_tensor():
    frames = torch.arange(18, dtype=torch.uint8).reshape(2, 3, 3)
    assert FrameScrubber(frames).frames == [frames.numpy().tobytes()]


def test_a_picture_is_enlarged_to_about_224_pixels_unless_told():
    frames = np.zeros((1, 28, 28), np.uint8)
    assert FrameScrubber(frames).scales == [8] and FrameScrubber(frames, scale=3).scales == [3]


@pytest.mark.parametrize(
    ("frames", "options", "error", "words"),
    [
        (np.zeros((2, 4, 4)), {}, TypeError, "float64"),
        (np.zeros((4, 4), np.uint8), {}, ValueError, r"got \[4, 4\]"),
        (np.zeros((2, 4, 4, 2), np.uint8), {}, ValueError, r"got \[2, 4, 4, 2\]"),
        ({}, {}, ValueError, "at least one"),
        (np.zeros((2, 4, 4), np.uint8), {"labels": ["a"]}, ValueError, "each of the 2"),
        (np.zeros((2, 4, 4), np.uint8), {"index": 2}, ValueError, r"0\.\.1"),
        (np.zeros((2, 4, 4), np.uint8), {"scale": 0}, ValueError, "got 0"),
        (
            {"a": np.zeros((2, 4, 4), np.uint8), "b": np.zeros((3, 4, 4), np.uint8)},
            {},
            ValueError,
            "'b': 3",
        ),
    ],
)
def test_frames_that_cannot_be_shown_are_refused_by_name(frames, options, error, words):
    with pytest.raises(error, match=words):
        FrameScrubber(frames, **options)


# ---- FrameDial ----------------------------------------------------------------------------------

GRID = np.arange(2 * 3 * 2 * 4, dtype=np.uint8).reshape(2, 3, 2, 4)


def frame_dial(frames=GRID, **changes):
    told = {"rows": ("noise", ["none", "all"]), "columns": ("steps", [5, 10, 20])} | changes
    return FrameDial(frames, **told)


def test_the_page_finds_the_picture_under_both_dials(tmp_path):
    widget = frame_dial(beside=(1, 2), start=(0, 1))
    assert widget.shape == [2, 3, 2, 4] and widget.column_labels == ["5", "10", "20"]
    assert (widget.row, widget.column, widget.beside) == (0, 1, [1, 2])
    told = f"Uint8Array.from({list(widget.frames)}), {widget.shape}"
    for i, k in ((0, 0), (0, 2), (1, 0), (1, 2)):
        page = javascript(tmp_path, "frame_dial", f"Array.from(m.frame({told}, {i}, {k}))")
        assert page == GRID[i, k].flatten().tolist()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"frames": GRID / 2}, TypeError, "uint8"),
        ({"frames": GRID[0]}, ValueError, r"\[rows, columns, H, W\], got \[3, 2, 4\]"),
        ({"rows": ("noise", ["none"])}, ValueError, "each of the 2"),
        ({"columns": ("steps", [5])}, ValueError, "each of the 3"),
        ({"captions": [["a", "b", "c"]]}, ValueError, "each of 2 rows, got 1"),
        ({"captions": [["a"], ["b"]]}, ValueError, "each of the 3"),
        ({"beside": (2, 0)}, ValueError, "beside must lie in 2 rows and 3 columns"),
        ({"start": (0, -1)}, ValueError, "start must lie in 2 rows and 3 columns"),
    ],
)
def test_dials_that_point_nowhere_are_refused(changes, error, words):
    with pytest.raises(error, match=words):
        frame_dial(**changes)


# ---- WalkerRace ---------------------------------------------------------------------------------


def test_the_race_has_the_library_s_ladder_and_score(tmp_path):
    page = javascript(tmp_path, "walker_race", "m.ladder(20, 1, 10)")
    assert page == pytest.approx(schedules.geometric_times(10, 1.0, 20.0)[:-1].tolist())
    points = [[0.3, -0.2], [-5.0, -4.0], [7.0, 1.0], [-1.0, 0.9]]
    means = torch.tensor([[-5.0, -5.0], [5.0, 5.0]], dtype=torch.float64)
    for sigma in (1.0, 4.0, 20.0):
        expression = f"{points}.map(([x, y]) => m.score(x, y, {sigma}))"
        page = torch.tensor(javascript(tmp_path, "walker_race", expression), dtype=torch.float64)
        law = GaussianMixture(
            means, torch.full((2,), sigma).double(), torch.tensor([0.2, 0.8]).double()
        )
        ours = law.score(torch.tensor(points, dtype=torch.float64))
        torch.testing.assert_close(page, ours, rtol=1e-6, atol=1e-8)


def test_only_the_annealed_crowd_finds_the_weights(tmp_path):
    expression = """[0, 1].map((annealed) => {
        const { normal, points } = m.start(2000, 7), before = m.share(points);
        for (const sigma of m.ladder(20, 1, 10))
            for (let k = 0; k < 40; k++) m.move(points, annealed ? sigma : 1, 0.2, normal);
        return [before, m.share(points)];
    })"""
    (before, plain), (_, annealed) = javascript(tmp_path, "walker_race", expression)
    assert abs(before - 0.5) < 0.04
    assert abs(plain - before) < 0.03
    assert abs(annealed - 0.2) < 0.04


@pytest.mark.parametrize(
    ("options", "words"),
    [({"low": 30.0}, "low=30.0"), ({"levels": 1}, "levels=1"), ({"rate": 2.0}, "rate < 2")],
)
def test_races_that_cannot_be_run_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        WalkerRace(**options)


# ---- FidelityLab --------------------------------------------------------------------------------


def test_the_page_spoils_and_measures_as_the_library_does(tmp_path):
    expression = """(() => {
        const real = m.clumps(150, 8, 1, 1), made = m.clumps(150, 5, 2, 2);
        const big = m.clumps(4000, 8, 1, 3);
        const lists = [real, made, big].map((points) => Array.from(points));
        return [...lists, m.frechet(made, real), m.precisionRecall(made, real)];
    })()"""
    real, made, big, distance, shares = javascript(tmp_path, "fidelity_lab", expression)
    real, made, big = (
        torch.tensor(points, dtype=torch.float64).view(-1, 2) for points in (real, made, big)
    )
    assert distance == pytest.approx(frechet_distance(made, real), rel=1e-9)
    assert shares == pytest.approx(precision_recall(made, real))
    assert big.mean(0).abs().max() < 0.06  # as points.eight_gaussians: mean 0, variance 1
    assert (big.T.cov() - torch.eye(2)).abs().max() < 0.06


@pytest.mark.parametrize(
    ("options", "words"), [({"kept": 0}, "kept=0"), ({"spread": 1.1}, "1.1"), ({"n": 30}, "n=30")]
)
def test_models_that_no_slider_shows_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        FidelityLab(**options)


# ---- PathBundle ---------------------------------------------------------------------------------

BUNDLE = "{means: [-1.3, 1.1], spreads: [0.2, 0.3], weights: [0.3, 0.7]}"
BUNDLE_LAW = GaussianMixture(
    torch.tensor([[-1.3], [1.1]], dtype=torch.float64),
    torch.tensor([0.2, 0.3], dtype=torch.float64),
    torch.tensor([0.3, 0.7], dtype=torch.float64),
)


def test_the_bundle_has_the_library_s_density_and_score(tmp_path):
    xs, schedule = [-2.5, -1.3, 0.0, 0.4, 2.0, 9.0], sde.vp()
    for t in (0.01, 0.3, 1.0):
        expression = f"{xs}.map((x) => [m.density({BUNDLE}, x, {t}), m.score({BUNDLE}, x, {t})])"
        page = torch.tensor(javascript(tmp_path, "path_bundle", expression), dtype=torch.float64)
        time, x = torch.tensor(t, dtype=torch.float64), torch.tensor(xs, dtype=torch.float64)
        law = BUNDLE_LAW.noised(schedule.alpha(time), schedule.sigma(time))
        torch.testing.assert_close(page[:, 0], law.log_prob(x[:, None]).exp(), rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(page[:, 1], law.score(x[:, None])[:, 0], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("noise", [0.0, 0.7, 1.0, 2.0])
def test_a_path_of_the_bundle_is_the_library_s_walk(tmp_path, noise):
    expression = f"m.path({BUNDLE}, 0.3, 40, {noise}, () => 0.3)"
    page = javascript(tmp_path, "path_bundle", expression)

    def step(denoise, schedule, x_t, t, s):
        return sde.euler_maruyama_step(
            denoise, schedule, x_t, t, s, noise=noise, randn_like=lambda x: 0.3 + 0 * x
        )

    schedule, start = sde.vp(), torch.tensor([[0.3]], dtype=torch.float64)
    times = torch.linspace(1, 0, 41, dtype=torch.float64)
    ours = torch.cat(list(walk(step, BUNDLE_LAW.denoiser(schedule), schedule, start, times)))
    assert page == pytest.approx(ours[:, 0].tolist(), rel=1e-5, abs=1e-6)


def test_the_bundle_finds_the_weights_whatever_the_noise_and_the_ode_one_end(tmp_path):
    for noise in (0.5, 1, 2):
        expression = f"""m.shares({BUNDLE},
            m.bundle({BUNDLE}, 0.3, 200, {noise}, 1500, 3).map((xs) => xs.at(-1)))"""
        low, high = javascript(tmp_path, "path_bundle", expression)
        if noise >= 1:  # with little noise the start is not forgotten
            assert abs(low - 0.3) < 0.06
        assert low + high == pytest.approx(1)
    ends = javascript(
        tmp_path, "path_bundle", f"m.bundle({BUNDLE}, 0.3, 50, 0, 5, 3).map((xs) => xs.at(-1))"
    )
    assert len(set(ends)) == 1


def test_the_bundle_s_weights_are_normalised():
    assert PathBundle((0, 1), (1, 1), (3, 1)).weights == [0.75, 0.25]


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (((0, 1), (1,), (1, 1)), {}, "each clump"),
        (((0, 1), (1, -1), (1, 1)), {}, "positive spread"),
        (((0, 1), (1, 1), (1, 0)), {}, "positive weight"),
        ((), {"start": 4}, "start=4"),
        ((), {"noise": 3.0}, "noise=3.0"),
        ((), {"steps": 1}, "steps=1"),
    ],
)
def test_bundles_that_cannot_be_drawn_are_refused(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        PathBundle(*arguments, **options)


# ---- SolverRace ---------------------------------------------------------------------------------

RACE = json.dumps({"means": SolverRace().means, "spread": 0.14})
RACE_LAW = GaussianMixture(
    torch.tensor(SolverRace().means, dtype=torch.float64), torch.full((8,), 0.14).double()
)
RACE_STARTS = [[20.0, -3.0], [-14.0, 9.0], [0.5, 31.0]]


def test_the_race_has_the_library_s_denoiser(tmp_path):
    zs = [[0.3, -0.2], [1.5, 1.5], [-30.0, 4.0]]
    for n in (0.02, 0.5, 20.0):
        page = javascript(tmp_path, "solver_race", f"{zs}.map((z) => m.denoise({RACE}, z, {n}))")
        levels = torch.full((3,), n, dtype=torch.float64)
        ours = RACE_LAW.denoiser(schedules.edm)(torch.tensor(zs, dtype=torch.float64), levels)
        torch.testing.assert_close(torch.tensor(page).double(), ours, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rho", [1, 7])
@pytest.mark.parametrize("name", ["DDIM", "Heun", "2M"])
def test_a_walk_of_the_race_is_the_library_s(tmp_path, name, rho):
    step = {"DDIM": ddim_step, "Heun": heun_step, "2M": DPMSolver2M()}[name]
    asked = []

    def denoise(x, t):
        asked.append(t)
        return RACE_LAW.denoiser(schedules.edm)(x, t)

    expression = f"""{RACE_STARTS}.map((z) =>
        m.walk({RACE}, z, "{name}", 11, {rho}).map(([state]) => state))"""
    page = torch.tensor(javascript(tmp_path, "solver_race", expression)).double()
    steps = 6 if name == "Heun" else 11
    times = schedules.karras_times(steps, 0.02, 20.0, rho=rho)
    start = torch.tensor(RACE_STARTS, dtype=torch.float64)
    ours = torch.stack(list(walk(step, denoise, schedules.edm, start, times)), dim=1)
    assert len(asked) == 11  # what the slider promises
    torch.testing.assert_close(page, ours, rtol=1e-5, atol=1e-5)


def test_in_the_race_more_evaluations_end_nearer_to_the_truth(tmp_path):
    expression = f"""((starts) => ["DDIM", "Heun", "2M"].map((name) => [10, 20, 40].map((n) =>
        m.error({RACE}, starts, m.truths({RACE}, starts), name, n, 7))))(m.noises(24, 2))"""
    ddim, heun, two_m = javascript(tmp_path, "solver_race", expression)
    for errors in (ddim, heun, two_m):
        assert errors[0] > errors[1] > errors[2]
    assert two_m[2] < heun[2] < ddim[2] / 2


@pytest.mark.parametrize(
    "options, words",
    [
        ({"spread": 0.0}, "spread > 0"),
        ({"means": []}, "got 0 means"),
        ({"evaluations": 1}, "2 <= evaluations <= 40"),
        ({"rho": 11}, "rho=11"),
        ({"points": 0}, "points=0"),
    ],
)
def test_the_race_names_what_is_wrong(options, words):
    with pytest.raises(ValueError, match=words):
        SolverRace(**options)


# ---- GuidanceField ------------------------------------------------------------------------------

FIELD = {"means": [[0.0, 1.1], [-1.0, -0.6], [1.0, -0.6]], "spreads": [0.3, 0.4, 0.6]}
FIELD_LAW = GaussianMixture(
    torch.tensor(FIELD["means"]).double(), torch.tensor(FIELD["spreads"]).double()
)


def field_guided(wanted, scale):
    def log_prob(z, n):
        return FIELD_LAW.log_shares(z, torch.ones_like(n), n)[:, wanted]

    return classifier_guided(FIELD_LAW.denoiser(schedules.edm), schedules.edm, log_prob, scale)


@pytest.mark.parametrize("n", [0.05, 1.0, 12.0])
def test_the_field_s_classifier_is_the_library_s(tmp_path, n):
    zs = [[0.3, -0.2], [1.5, 1.5], [-3.0, 4.0]]
    expression = f"{zs}.map((z) => m.guided({json.dumps(FIELD)}, 2, 3.5, z, {n}))"
    page = torch.tensor(javascript(tmp_path, "guidance_field", expression)).double()
    ours = field_guided(2, 3.5)(torch.tensor(zs).double(), torch.full((3,), n).double())
    torch.testing.assert_close(page, ours, rtol=1e-5, atol=1e-5)


def test_a_walk_of_the_field_is_the_library_s(tmp_path):
    starts = [[20.0, -3.0], [-14.0, 9.0], [0.5, 11.0]]
    expression = f"[m.levels(), {starts}.map((z) => m.walk({json.dumps(FIELD)}, 1, 2, z).at(-1))]"
    levels, page = javascript(tmp_path, "guidance_field", expression)
    times, start = torch.tensor(levels).double(), torch.tensor(starts).double()
    *_, ours = walk(ddim_step, field_guided(1, 2.0), schedules.edm, start, times)
    torch.testing.assert_close(torch.tensor(page).double(), ours, rtol=1e-5, atol=1e-5)


def test_in_the_field_scale_1_draws_the_class_and_more_leaves_it(tmp_path):
    expression = """[1, 6].map((scale) => m.judged(LAW, 0, m.noises(300, 1)
        .map((z) => m.walk(LAW, 0, scale, z).at(-1))))""".replace("LAW", json.dumps(FIELD))
    one, six = javascript(tmp_path, "guidance_field", expression)
    assert one["right"] > 0.95 and abs(one["spread"] - 1) < 0.1 and one["away"] < 0.06
    assert six["right"] > 0.99 and six["spread"] < 0.85 and six["away"] > 5 * one["away"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"means": [[0, 0]], "spreads": [1.0]}, "two to six classes"),
        ({"spreads": [0.4, 0.4, 0.0]}, "a spread above 0"),
        ({"scale": 11}, "0 <= scale <= 10"),
        ({"wanted": 3}, "wanted in 0..2"),
        ({"points": 0}, "points >= 1"),
    ],
)
def test_the_field_names_what_is_wrong(options, words):
    with pytest.raises(ValueError, match=words):
        GuidanceField(**options)


# ---- BoundLab -----------------------------------------------------------------------------------

PRICES = {10: (3.0, 0.5), 1: (12.0, 0.0), 100: (0.6, 0.05)}


def test_prices_are_sorted_and_the_slowest_is_shown_first():
    lab = BoundLab(PRICES, data=-2.3, null=-14.4, marks={100: -3.1})
    assert lab.steps == [1, 10, 100] and lab.index == 2
    assert lab.first == [12.0, 3.0, 0.6] and lab.haste == [0.0, 0.5, 0.05]
    assert lab.marks == [[100, -3.1]]


def test_the_page_adds_the_prices_up_as_the_notebook_does(tmp_path):
    best = javascript(tmp_path, "bound_lab", "m.bounds(-2.3, [12, 3, 0.6], [0, 0.5, 0.05])")
    assert best == pytest.approx([-14.3, -5.8, -2.95])


@pytest.mark.parametrize(
    ("prices", "options", "words"),
    [
        ({1: (1, 0)}, {}, "got 1"),
        ({1: (1, 0), 2: (-1, 0)}, {}, "T = 2"),
        ({1: (1, 0), 2: (1, 0, 3)}, {}, "two prices"),
        (PRICES, {"index": 3}, r"0\.\.2"),
    ],
)
def test_prices_that_make_no_sense_are_refused(prices, options, words):
    with pytest.raises(ValueError, match=words):
        BoundLab(prices, data=-2.3, null=-14.4, **options)


# ---- PointFlow ----------------------------------------------------------------------------------


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_points_arrive_within_half_a_step(scale, seed):
    points = scale * np.random.default_rng(seed).standard_normal((3, 7, 2))
    widget = PointFlow(points, other=points[0])
    sent = np.frombuffer(widget.paths[0], "<i2").reshape(points.shape) * widget.unit
    assert np.abs(sent - points).max() <= 0.5001 * widget.unit
    assert widget.unit <= np.abs(points).max() / 32767 * 1.0001


def test_each_set_has_its_own_points_and_company():
    flows = {"a": np.ones((2, 3, 2)), "b": np.ones((2, 5, 2))}
    widget = PointFlow(flows, other={"b": np.ones((4, 2)), "a": np.ones((1, 2))})
    assert widget.counts == [3, 5] and widget.chosen == "a"
    assert [len(other) // 4 for other in widget.others] == [1, 4]


@pytest.mark.parametrize(
    ("trajectory", "options", "words"),
    [
        (np.ones((2, 3)), {}, r"\[T, N, 2\]"),
        (np.ones((2, 3, 3)), {}, r"\[T, N, 2\]"),
        (np.full((2, 3, 2), np.nan), {}, "not finite"),
        (np.ones((2, 3, 2)), {"colour": "red"}, "data, noise, model"),
        (np.ones((2, 3, 2)), {"extent": -1.0}, "positive"),
        (np.ones((2, 3, 2)), {"other": np.ones((3, 3))}, r"\[M, 2\]"),
        ({"a": np.ones((2, 3, 2))}, {"other": {"b": np.ones((3, 2))}}, r"\['a'\]"),
        ({"a": np.ones((2, 3, 2)), "b": np.ones((1, 3, 2))}, {}, "'b': 1"),
    ],
)
def test_points_that_cannot_be_shown_are_refused_by_name(trajectory, options, words):
    with pytest.raises(ValueError, match=words):
        PointFlow(trajectory, **options)


# ---- ScheduleLab --------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [10, 200, 1000])
@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_the_page_computes_our_schedules(tmp_path, kind, T):
    expression = (
        f'(() => {{ const s = m.schedule("{kind}", {T}, 1e-4, 0.02); return {{'
        "beta: [...s.beta], alphaBar: [...s.alphaBar], snr: [...s.alphaBar].slice(1).map(m.snr),"
        f" bits: m.priorBits(s.alphaBar[{T}], 0.5) }} }})()"
    )
    page = javascript(tmp_path, "schedule_lab", expression)
    ours = schedules.linear(T) if kind == "linear" else schedules.cosine(T)
    same = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)
    same(torch.tensor(page["beta"], dtype=torch.float64), ours.beta)
    same(torch.tensor(page["alphaBar"], dtype=torch.float64), ours.alpha_bar)
    same(torch.tensor(page["snr"], dtype=torch.float64), ours.snr(torch.arange(1, T + 1)))
    x_0 = torch.full((1, 4), 0.5**0.5, dtype=torch.float64)
    same(torch.tensor(page["bits"], dtype=torch.float64), prior_bits(ours, x_0)[0])


def test_the_paper_s_prior_loss_shows(tmp_path):
    bits = "m.priorBits(m.schedule('linear', {}, 1e-4, 0.02).alphaBar[{}], 1)"
    long = javascript(tmp_path, "schedule_lab", bits.format(1000, 1000))
    short = javascript(tmp_path, "schedule_lab", bits.format(200, 200))
    assert long == pytest.approx(2.9e-5, rel=0.02) and short == pytest.approx(0.10, rel=0.05)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "quadratic"}, "linear, cosine"),
        ({"beta_first": 0.0}, "beta_first"),
        ({"beta_last": 1.5}, "1.5"),
        ({"steps": 1}, r"2\.\.10000"),
        ({"mean_square": -1.0}, "-1.0"),
        ({"picture": np.zeros((2, 4, 4, 3), np.uint8)}, "picture"),
    ],
)
def test_schedules_that_do_not_exist_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ScheduleLab(**options)


# ---- EmbeddingLab -------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["0 to 1,000", "0 to 1"])
@pytest.mark.parametrize("kind", ["sinusoids", "Fourier features"])
def test_the_lab_s_similarity_is_the_library_s(tmp_path, kind, unit):
    lab = EmbeddingLab(kind, dim=16, base=2000, scale=3, unit=unit)
    names = ("kind", "unit", "base", "scale", "half", "normals")
    state = json.dumps({name: getattr(lab, name) for name in names})
    gaps = [0, 3, 40, 700]
    page = javascript(
        tmp_path, "embedding_lab", f"{gaps}.map((g) => m.similarity(m.frequencies({state}), g))"
    )
    # From 0 on: the larger the angles, the fewer digits float32 leaves their cosines.
    t = torch.tensor([0.0, *gaps]) / (1 if unit == "0 to 1,000" else 1000)
    told = FourierFeatures(1, 8, 3.0)(t[:, None])
    if kind == "sinusoids":
        told = sinusoidal(t, 16, max_period=2000)
    torch.testing.assert_close(torch.tensor(page), told[1:] @ told[0] / 8, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "waves"}, "kind must be one of"),
        ({"unit": "0 to 2"}, "unit must be one of"),
        ({"dim": 7}, "even and lie in 4..256, got 7"),
        ({"base": 1.0}, "1 < base"),
        ({"scale": 0.0}, "got 10000, 0 and 500"),
        ({"time": 1001}, "and 1001"),
    ],
)
def test_labs_that_do_not_exist_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        EmbeddingLab(**options)


# ---- DenoiserPlayground -------------------------------------------------------------------------

MODES = {"means": [[-1.6, -0.9], [1.7, -0.7], [0.1, 1.7]], "stds": [0.25, 0.1, 0.5]}
WEIGHTS = [0.5, 0.2, 0.3]
MODES_JS = json.dumps(
    [
        {"mean": mean, "std": std, "weight": weight}
        for mean, std, weight in zip(MODES["means"], MODES["stds"], WEIGHTS, strict=True)
    ]
)


def mixture() -> GaussianMixture:
    return GaussianMixture(
        torch.tensor(MODES["means"], dtype=torch.float64),
        torch.tensor(MODES["stds"], dtype=torch.float64),
        torch.tensor(WEIGHTS, dtype=torch.float64),
    )


def test_the_page_s_denoiser_is_the_exact_one(tmp_path):
    points = [[0.4, -0.3], [2.9, 2.9], [-1.6, -0.9], [0.0, 0.0]]
    times = [0.02, 0.3, 0.7, 1.0]
    expression = f"{points}.flatMap((x) => {times}.map((t) => m.posterior(x, t, {MODES_JS})))"
    page = javascript(tmp_path, "denoiser_playground", expression)
    x_t = torch.tensor([x for x in points for _ in times], dtype=torch.float64)
    t = torch.tensor(times * len(points), dtype=torch.float64)
    ours = mixture().denoiser(schedules.cosine_vp)(x_t, t)
    means = torch.tensor([answer["mean"] for answer in page], dtype=torch.float64)
    torch.testing.assert_close(means, ours, rtol=1e-9, atol=1e-9)
    for answer, x, time in zip(page, x_t, t, strict=True):
        law = mixture().noised(torch.cos(time * torch.pi / 2), torch.sin(time * torch.pi / 2))
        density = float(law.log_prob(x[None]).exp())
        assert answer["density"] == pytest.approx(density, rel=1e-9, abs=1e-300)
        assert sum(answer["shares"]) == pytest.approx(1)


def test_the_page_s_path_is_ddim(tmp_path):
    page = javascript(tmp_path, "denoiser_playground", f"m.path([0.4, -0.3], 0.9, 12, {MODES_JS})")
    x = torch.tensor([[0.4, -0.3]], dtype=torch.float64)
    times = torch.linspace(0.9, 0, 13, dtype=torch.float64)
    states = walk(ddim_step, mixture().denoiser(schedules.cosine_vp), schedules.cosine_vp, x, times)
    ours = torch.cat(list(states))
    assert ours.shape == (13, 2)
    torch.testing.assert_close(torch.tensor(page, dtype=torch.float64), ours, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"means": [[0.0, 0.0, 0.0]]}, r"\[1, 3\]"),
        ({"means": [[9.0, 0.0]]}, "extent"),
        ({"stds": -1.0}, "positive"),
        ({"weights": [1.0, 2.0]}, "3 positive numbers"),
        ({"t": 0.0}, r"0\.02\.\.1"),
        ({"steps": 99}, r"1\.\.40"),
    ],
)
def test_mixtures_that_cannot_be_played_with_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        DenoiserPlayground(**options)


def test_weights_are_normalised():
    assert DenoiserPlayground(weights=[2.0, 1.0, 1.0]).weights == [0.5, 0.25, 0.25]


# ---- GaussianLab --------------------------------------------------------------------------------


def test_the_page_multiplies_bells_exactly(tmp_path):
    page = javascript(tmp_path, "gaussian_lab", "m.product([-1, 1.5], [2, 0.8])")
    x = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    both = (-0.5 * (((x + 1) / 1.5) ** 2 + ((x - 2) / 0.8) ** 2)).exp() / (2 * np.pi * 1.5 * 0.8)
    integral = torch.trapezoid(both, x)
    mean = torch.trapezoid(x * both, x) / integral
    variance = torch.trapezoid((x - mean) ** 2 * both, x) / integral
    ours = [float(mean), float(variance.sqrt())]
    assert page["bell"] == pytest.approx(ours, rel=1e-9)
    assert page["integral"] == pytest.approx(float(integral), rel=1e-9)


def test_the_page_s_divergences_are_the_closed_form_where_there_is_one(tmp_path):
    page = javascript(tmp_path, "gaussian_lab", "m.divergences([0.5, 0.7], [[1, -0.4, 1.3]])")
    q, p = torch.tensor([0.5, 0.7**2]), torch.tensor([-0.4, 1.3**2])
    assert page["qp"] == pytest.approx(float(gaussian_kl(*q, *p)), rel=1e-5)
    assert page["pq"] == pytest.approx(float(gaussian_kl(*p, *q)), rel=1e-5)


def rolled(folder, start, way):
    target = json.dumps(GaussianLab("fit").target)
    roll = f"let q = {start}; for (let i = 0; i < 90; i++) q = m.downhill(q, {target}, '{way}')"
    return javascript(folder, "gaussian_lab", f"(() => {{ {roll}; return q }})()")


@pytest.mark.parametrize("start", [[-4, 0.6], [4, 0.6], [0.5, 3.0]])
def test_rolling_down_kl_p_q_ends_at_the_moments(tmp_path, start):
    weight, mean, std = np.array(TWO_CLUMPS).T
    centre = (weight * mean).sum()
    spread = (weight * (std**2 + mean**2)).sum() - centre**2
    assert rolled(tmp_path, start, "pq") == pytest.approx([centre, spread**0.5], abs=0.02)


@pytest.mark.parametrize(("start", "clump"), [([-4, 0.6], 0), ([4, 0.6], 1)])
def test_rolling_down_kl_q_p_ends_in_the_clump_it_meets_first(tmp_path, start, clump):
    mean, std = rolled(tmp_path, start, "qp")
    assert [mean, std] == pytest.approx(TWO_CLUMPS[clump][1:], abs=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "sum"}, "product, fit"),
        ({"first": (9.0, 1.0)}, "first"),
        ({"second": (0.0, 0.0)}, "got 0 and 0"),
        ({"target": []}, "1 to 4"),
        ({"target": [(-1.0, 0.0, 1.0)]}, "positive"),
        ({"target": [(1.0, 0.0, 7.0)]}, "target: the mean"),
    ],
)
def test_bells_that_do_not_fit_the_picture_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        GaussianLab(**options)


def test_the_weights_of_the_target_are_normalised():
    lab = GaussianLab("fit", target=[(3, 0, 1), (1, 2, 1)])
    assert [row[0] for row in lab.target] == [0.75, 0.25]


# ---- BoundGap -----------------------------------------------------------------------------------


@pytest.mark.parametrize("variance", ["small", "exact", "large"])
@pytest.mark.parametrize(("T", "std"), [(2, 0.5), (16, 1.3), (256, 0.2)])
def test_the_page_s_gap_is_the_divergence_of_exact_reverse_kernels(tmp_path, variance, T, std):
    page = javascript(tmp_path, "bound_gap", f'm.gap({T}, {std}, "{variance}", 8, -10)')
    levels = torch.sigmoid(torch.linspace(8, -10, T, dtype=torch.float64))
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), levels])
    path = schedules.from_alpha_bar(alpha_bar, max_beta=1.0)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    data, made = GaussianMixture(zero[None], std * one), one
    for t in range(T, 0, -1):
        kernel = data.reverse_kernel(path, one, torch.tensor(t), torch.tensor(t - 1))
        exact = kernel.variances[0]
        tilde = path.beta[t] * (1 - path.alpha_bar[t - 1]) / (1 - path.alpha_bar[t])
        spread = (
            exact if t == 1 else {"small": tilde, "exact": exact, "large": path.beta[t]}[variance]
        )
        cost = gaussian_kl(zero, exact, zero, spread)
        assert page["costs"][t - 1] == pytest.approx(float(cost), rel=1e-6, abs=1e-14)
        made = kernel.means[0] ** 2 * made + spread
    end = gaussian_kl(zero, data.noised(*path(torch.tensor([T]), zero)).variances[0], zero, one)
    assert page["bound"] == pytest.approx(sum(page["costs"]) + float(end), rel=1e-6, abs=1e-14)
    model = gaussian_kl(zero, std**2 * one, zero, made)
    assert page["model"] == pytest.approx(float(model), rel=1e-5, abs=1e-13)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 5}, "2, 3, 4"),
        ({"std": 3.0}, "3.0"),
        ({"variance": "beta"}, "'beta'"),
        ({"high": -11.0}, "above low"),
    ],
)
def test_chains_that_the_page_cannot_draw_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        BoundGap(**options)


# ---- ScoreField ---------------------------------------------------------------------------------


def blurred(sigma: float) -> GaussianMixture:
    return GaussianMixture(
        torch.tensor(SIX_POINTS, dtype=torch.float64), torch.full((6,), sigma, dtype=torch.float64)
    )


@pytest.mark.parametrize("sigma", [0.1, 0.5, 4.0])
def test_the_page_s_score_is_the_exact_one(tmp_path, sigma):
    points = [[0.0, 0.0], [2.9, -2.9], [-1.6, 1.4]]
    expression = f"{points}.map((x) => m.score(x, {sigma}, {json.dumps(SIX_POINTS)}))"
    page = javascript(tmp_path, "score_field", expression)
    law, x = blurred(sigma), torch.tensor(points, dtype=torch.float64)
    theirs = torch.tensor([answer["score"] for answer in page], dtype=torch.float64)
    torch.testing.assert_close(theirs, law.score(x), rtol=1e-9, atol=1e-9)
    logs = torch.tensor([answer["logDensity"] for answer in page], dtype=torch.float64)
    torch.testing.assert_close(logs, law.log_prob(x), rtol=1e-9, atol=1e-9)


def test_the_page_s_walkers_climb_and_its_empty_regions_fill_up(tmp_path):
    data = json.dumps(SIX_POINTS)
    states = javascript(tmp_path, "score_field", f"m.walk([2.5, 2.5], 0.8, {data})")
    heights = blurred(0.8).log_prob(torch.tensor(states, dtype=torch.float64))
    assert len(states) == 61 and bool((heights.diff() >= 0).all())
    sigmas = [0.1, 0.3, 1.0, 4.0]
    shares = javascript(tmp_path, "score_field", f"{sigmas}.map((s) => m.covered(s, {data}, 3))")
    assert shares == sorted(shares) and shares[0] < 0.1 and shares[-1] == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"data": [[0.0, 0.0, 0.0]]}, r"\[1, 3\]"),
        ({"data": np.zeros((13, 2))}, r"\[13, 2\]"),
        ({"data": [[9.0, 0.0]]}, "extent"),
        ({"sigma": 0.0}, r"0\.1\.\.4"),
        ({"sigma": float("nan")}, "nan"),
    ],
)
def test_scores_that_cannot_be_shown_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ScoreField(**options)


# ---- LatentMap ----------------------------------------------------------------------------------


def latent_map(**changes):
    torch.manual_seed(0)
    options = {"points": np.zeros((3, 2)), "kinds": [0, 1, 1], "classes": ["shoe", "bag"]}
    return LatentMap(**({"decoder": mlp(2, 24, 24, 2 * 16)} | options | changes))


def test_the_page_s_decoder_is_torch_s(tmp_path):
    decoder = mlp(2, 24, 24, 2 * 16)
    widget = latent_map(decoder=decoder)
    weights = list(np.frombuffer(widget.weights, np.int8).tolist())
    numbers = np.frombuffer(widget.numbers, np.float32).tolist()
    points = [[0.0, 0.0], [1.5, -2.0], [-3.0, 0.2]]
    page = javascript(
        tmp_path,
        "latent_map",
        f"{points}.map((z) => [...m.network({widget.widths}, {weights}, {numbers})(z)])",
    )
    exact = decoder(torch.tensor(points)).detach().numpy()
    # Rounding to 127 steps a row costs at most half a step for each input, about a hundredth here.
    np.testing.assert_allclose(page, exact, atol=0.02)


def test_a_draw_is_the_middle_where_the_dice_say_zero(tmp_path):
    out = [-1.5, 0.0, 0.5, -3.0, -3.0, 5.0]
    expression = f"m.pictures(Float32Array.from({out}), [0, 0, 0])"
    same = javascript(tmp_path, "latent_map", expression)
    assert list(same["middle"].values()) == list(same["draw"].values()) == [0, 128, 191]
    expression = f"m.pictures(Float32Array.from({out}), [0, 2, 1])"
    drawn = list(javascript(tmp_path, "latent_map", expression)["draw"].values())
    assert drawn[0] == 0 and drawn[1] == round((2 * np.exp(-3) + 1) * 127.5) and drawn[2] == 255


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decoder": torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.ReLU())}, "has ReLU"),
        ({"decoder": mlp(3, 8, 32)}, "this one leads from 3 to 32"),
        ({"decoder": mlp(2, 8, 30)}, "this one leads from 2 to 30"),
        ({"points": np.zeros((3, 3))}, "points must be"),
        ({"kinds": [0, 1, 2]}, r"kinds must lie in 0\.\.1"),
    ],
)
def test_a_latent_map_refuses_what_it_cannot_draw(changes, words):
    with pytest.raises(ValueError, match=words):
        latent_map(**changes)


# ---- RateDistortion -----------------------------------------------------------------------------

STRIP = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def rate_distortion(**changes):
    options = {"betas": [1, 2], "rates": [3.0, 1.0], "distortions": [1.0, 4.0]}
    options |= {"originals": STRIP, "reconstructions": [STRIP, STRIP], "samples": [STRIP, STRIP]}
    return RateDistortion(**(options | changes))


def test_a_rate_distortion_plane_packs_its_pictures():
    widget = rate_distortion()
    assert widget.shape == [2, 3, 4] and widget.originals == STRIP.tobytes()
    assert widget.betas == [1.0, 2.0] and len(widget.samples) == 2


def test_ticks_are_round_and_inside(tmp_path):
    page = javascript(tmp_path, "rate_distortion", "[m.ticks(-1.2, 33), m.ticks(71.4, 111.8)]")
    assert page == [[0, 10, 20, 30], [80, 100]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rates": [1.0]}, "one of each for every stop"),
        ({"samples": [STRIP, STRIP[:1]]}, "samples must have the shape of originals"),
        ({"index": 2}, r"index must lie in 0\.\.1"),
    ],
)
def test_a_rate_distortion_plane_refuses_what_disagrees(changes, words):
    with pytest.raises(ValueError, match=words):
        rate_distortion(**changes)


# ---- BitBudget ----------------------------------------------------------------------------------


def bit_budget(**changes):
    options = {"bits": [0.0, 12.0, 40.0], "errors": [80.0, 9.5, 0.0]}
    options |= {"originals": STRIP, "guesses": [STRIP, STRIP, STRIP]}
    return BitBudget(**(options | changes))


def test_a_bit_budget_packs_its_stages():
    widget = bit_budget(index=1)
    assert widget.shape == [2, 3, 4] and widget.guesses[2] == STRIP.tobytes()
    assert widget.bits == [0.0, 12.0, 40.0] and widget.index == 1


def test_what_is_missing_is_blown_up_about_mid_grey(tmp_path):
    call = "[...m.missing([10, 10, 0, 255], [10, 9, 100, 0], 8)]"
    assert javascript(tmp_path, "bit_budget", call) == [128, 136, 0, 255]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"errors": [1.0]}, "one of each for every stop"),
        ({"guesses": [STRIP, STRIP, STRIP[:1]]}, "guesses must have the shape of originals"),
        ({"bits": [0.0, 40.0, 12.0]}, "bits must rise"),
        ({"index": 3}, r"index must lie in 0\.\.2"),
    ],
)
def test_a_bit_budget_refuses_what_disagrees(changes, words):
    with pytest.raises(ValueError, match=words):
        bit_budget(**changes)


# ---- Quiz ---------------------------------------------------------------------------------------


def test_the_first_quiz_has_ten_questions_and_explains_every_answer():
    assert len(QUESTIONS) == 10
    assert all(choice.why and choice.text for q in QUESTIONS for choice in q.choices)
    assert sum(any(choice.right for choice in q.choices) for q in QUESTIONS) == 8
    assert len(start_here_quiz().questions) == 10


def test_what_the_reader_wants_decides_and_what_is_wrong_is_named(tmp_path):
    quiz = start_here_quiz()
    right = [next((i for i, c in enumerate(q.choices) if c.right), 0) for q in QUESTIONS[:8]]
    wrong = [(answer + 1) % 3 for answer in right]
    data = f"{json.dumps(quiz.questions)}, {json.dumps(quiz.routes)}"
    wishes = [[0, 0], [1, 1], [2, 3], [3, 2]]  # a wish and the time that goes with it
    everything = [know + wish for know in (right, wrong) for wish in wishes]
    expression = f"{json.dumps(everything)}.map((a) => m.result({data}, a))"
    results = javascript(tmp_path, "quiz", expression)
    assert [result["route"]["name"] for result in results] == 2 * [route.name for route in ROUTES]
    assert [result["right"] for result in results] == [8] * 4 + [0] * 4
    assert results[0]["lookUp"] == [] and len(results[4]["lookUp"]) == 8


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        ([], "at least one"),
        ([Question("a?", [Choice("b", "c")])], "two choices"),
        ([Question("a?", [Choice("b", "c", right=True)] * 2)], "only one"),
        ([Question("a?", [Choice("b", "c", points={"x": 1}), Choice("d", "e")])], "'x'"),
    ],
)
def test_broken_quizzes_are_refused(questions, words):
    with pytest.raises(ValueError, match=words):
        Quiz(questions, [Route("y", "z")])


# ---- PaperMap -----------------------------------------------------------------------------------


def test_every_paper_is_dated_placed_and_in_the_bibliography():
    course = course_map()
    chapters = [c["number"] for part in course["parts"] for c in part["chapters"]]
    assert chapters == [f"{n:02d}" for n in range(41)]
    papers = {paper["id"]: paper for paper in course["papers"]}
    assert len(papers) == len(course["papers"]) >= 50
    bibliography = (ROOT / "data" / "references.bib").read_text(encoding="utf-8")
    eprints = dict(re.findall(r"@misc\{(\w+),.*?eprint = \{([\d.]+)\}", bibliography, re.S))
    for key, paper in papers.items():
        assert paper["chapter"] in chapters and paper["brought"].endswith(".")
        assert eprints[key] == paper["arxiv"], key
        # An arXiv number holds the month of its announcement: that of the date or the one after.
        year, month = map(int, paper["date"].split("-"))
        number = 12 * (2000 + int(paper["arxiv"][:2])) + int(paper["arxiv"][2:4])
        assert number - (12 * year + month) in (0, 1), key


def test_edges_lead_forward_and_leave_no_paper_out():
    widget = PaperMap()
    joined = {end for edge in widget.edges for end in edge}
    assert joined == {paper["id"] for paper in widget.papers}
    assert [paper["date"] for paper in widget.papers] == sorted(p["date"] for p in widget.papers)


def test_only_chapters_that_exist_are_links(tmp_path):
    for name in ("07_ddpm_maths.ipynb", "_template.ipynb", "notes.ipynb"):
        (tmp_path / name).touch()
    assert written_chapters(tmp_path) == {"07": "07_ddpm_maths"}
    assert PaperMap(notebooks=tmp_path).written == {"07": "07_ddpm_maths"}


def test_reading_times_are_those_of_the_heads(tmp_path):
    heads = {"01_a": "85 minutes", "02_b": "2.5 hours", "03_c": "1 hour", "04_d": "long"}
    for name, time in heads.items():
        text = f"# A\\n- **Time**: {time} to read, 20 seconds to run."
        (tmp_path / f"{name}.ipynb").write_text(f'{{"cells": ["{text}"]}}')
    assert reading_times(tmp_path) == {"01": 85, "02": 150, "03": 60}
    assert set(reading_times()) == set(written_chapters())


PROGRESS = """
const store = new Map(), heard = [];
globalThis.localStorage = {
  getItem: (k) => store.get(k) ?? null, setItem: (k, v) => store.set(k, v),
};
const target = new EventTarget();
for (const f of ["addEventListener", "removeEventListener", "dispatchEvent"])
  globalThis[f] = target[f].bind(target);
const p = await import("./progress.mjs");
const seen = () => [p.progress().read.join(), p.progress().route];
const end = p.onProgress(() => heard.push(seen())), states = [seen()];
p.mark("07", true), p.mark("00", true), p.mark("07", true), p.follow("story");
states.push(seen());
p.mark("07", false);
states.push(seen());
store.set("diffusion-step-by-step", "{ broken");
states.push(seen());
localStorage.getItem = localStorage.setItem = () => { throw new Error("refused"); };
end(), p.mark("14", true);
states.push(seen());
const chapters = ["00", "07", "08"].map((number) => ({ number }));
const routes = [{ name: "story", chapters: ["08", "00"] }];
const ways = ["story", "gone"].map((name) => p.along(chapters, routes, name).map((c) => c.number));
return [states, heard.length, ways, [0, 45, 60, 150].map(p.duration)];
"""


def test_the_browser_remembers_what_was_read_and_the_route(tmp_path):
    (tmp_path / "progress.mjs").write_text((HERE / "progress.js").read_text())
    expression = f"await (async () => {{ {PROGRESS} }})()"
    states, heard, ways, durations = javascript(tmp_path, "quiz", expression)
    expected = [["", ""], ["00,07", "story"], ["00", "story"], ["", ""]]
    assert states[:4] == expected and heard == 5
    assert states[4][0].split(",")[-1] == "14"  # a browser that keeps nothing: the page does
    assert ways == [["00", "08"], ["00", "07", "08"]]
    assert durations == ["0 min", "45 min", "1 h", "2 h 30"]


def test_edges_to_nowhere_or_back_in_time_are_refused():
    nodes = [
        {"id": "a", "date": "2020-01", "chapter": "07"},
        {"id": "b", "date": "2021-01", "chapter": "07"},
    ]
    with pytest.raises(ValueError, match="back in time"):
        PaperMap(nodes, [("b", "a")])
    with pytest.raises(ValueError, match="unknown"):
        PaperMap(nodes, [("a", "c")])


# ---- the kit ------------------------------------------------------------------------------------


def test_noise_is_normal_and_the_same_everywhere(tmp_path):
    (tmp_path / "kit.mjs").write_text((HERE / "kit.js").read_text())
    expression = (
        "(async () => { const k = await import('./kit.mjs');"
        "const f = k.normals(3), g = k.normals(3);"
        "const x = Array.from({ length: 20000 }, f); return [x, x.slice(0, 5).map(g)] })()"
    )
    first, again = javascript(tmp_path, "quiz", f"await {expression}")
    x = np.array(first)
    assert first[:5] == again
    assert abs(x.mean()) < 0.03 and abs(x.std() - 1) < 0.02
    assert abs((np.abs(x) < 1).mean() - 0.6827) < 0.01


def test_numbers_read_as_a_person_writes_them(tmp_path):
    (tmp_path / "kit.mjs").write_text((HERE / "kit.js").read_text())
    values = "[0, 0.02, 0.0001, 2.913e-5, 12345, -0.5, Infinity, 9.999e-5]"
    expression = f"await import('./kit.mjs').then((k) => {values}.map(k.short))"
    assert javascript(tmp_path, "quiz", expression) == [
        "0",
        "0.02",
        "1 × 10⁻⁴",
        "2.91 × 10⁻⁵",
        "1.23 × 10⁴",
        "−0.5",
        "∞",
        "1 × 10⁻⁴",
    ]


# ---- UNetMap ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "size"),
    [(small_unet(), 14), (fashion_unet(), 28), (UNet(widths=(8, 8, 8, 8), blocks=2), 30)],
    ids=["small", "fashion", "four levels"],
)
def test_every_skip_is_drawn_straight_and_nothing_overlaps(net, size, tmp_path):
    widget = UNetMap(anatomy(net, size))
    page = javascript(tmp_path, "unet_map", f"m.layout({json.dumps(widget.parts)}, 600)")
    places, wide = page["places"], page["wide"]
    both = list(zip(widget.parts, places, strict=True))
    left = {p["skip"]: q for p, q in both if p["name"].startswith(("stem", "down"))}
    for part, place in both:
        if part["name"].startswith("up") and part["kind"] == "block":
            assert place["y"] == left[part["skip"]]["y"]
            assert place["x"] > left[part["skip"]]["x"] + wide
        assert 0 <= place["x"] <= 600 - wide and place["y"] + 36 <= page["height"]
    boxes = [(q["x"], q["y"], 22 if q.get("small") else 36) for q in places]
    for i, (x, y, tall) in enumerate(boxes):
        for other_x, other_y, other_tall in boxes[:i]:
            if abs(x - other_x) < wide:
                assert y >= other_y + other_tall or other_y >= y + tall


def test_a_part_is_named_and_costed_in_words(tmp_path):
    parts = UNetMap(anatomy(small_unet(), 14)).parts
    named = {p["name"]: p for p in parts}
    expression = f"{json.dumps(parts)}.map((p) => [m.called(p), m.shape(p.gives), m.cost(p)])"
    words = dict(zip(named, javascript(tmp_path, "unet_map", expression), strict=True))
    assert words["middle.1"] == [
        "attention",
        "24 × 4 × 4",
        "2,448 parameters, 0.10 million operations",
    ]
    assert words["down.1.blocks.0"][0] == "block + attention"
    assert words["down.1.shrink"][:2] == ["halve", "24 × 4 × 4"]


def unet_map(**changes):
    net = small_unet()
    maps = feature_maps(net, torch.randn(3, 1, 14, 14), torch.tensor([1, 2, 3]))
    options = {"maps": maps, "cut": maps, "seen": {"x_t": torch.zeros(3, 1, 14, 14)}}
    return UNetMap(anatomy(net, 14), **(options | changes))


def test_feature_maps_travel_as_bytes_of_one_scale_for_all_levels():
    maps = {p.name: torch.zeros(2, *p.gives) for p in anatomy(small_unet(), 14)}
    maps["stem"][0, 5, 0, 0], maps["stem"][1, 5, 0, 1] = 4.0, -2.0  # channel 5 is the lively one
    widget = unet_map(maps=maps, cut=maps, seen=None, channels=1)
    sent = np.frombuffer(widget.maps[0], np.uint8).reshape(2, 1, 14, 14)
    assert sent[0, 0, 0, 0] == 255 and sent[1, 0, 0, 1] == round(128 - 127 / 2)
    assert sent[0, 0, 1, 1] == 128 and widget.channels[0] == 1
    assert widget.cut[0] == b""  # nothing changes, so nothing travels


def test_what_cutting_changes_travels_beside_it():
    changed = {name: one.clone() for name, one in unet_maps().items()}
    changed["head"] = changed["head"] + 1
    widget = unet_map(maps=unet_maps(), cut=changed)
    assert [len(one) > 0 for one in widget.cut] == [p["name"] == "head" for p in widget.parts]
    assert widget.labels == ["0", "1", "2"] and widget.parts[widget.part]["kind"] == "middle"


def unet_maps():
    torch.manual_seed(0)
    return {p.name: torch.randn(3, *p.gives) for p in anatomy(small_unet(), 14)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"maps": {"stem": torch.zeros(3, 12, 14, 14)}}, "'down.0.blocks.0' is missing"),
        ({"start": "up.9"}, "no part 'up.9'; there are stem, "),
        ({"labels": ["low", "high"]}, "labels must name each of the 3"),
        ({"seen": {"x_t": torch.zeros(2, 1, 14, 14)}}, r"got \[2, 3\] maps"),
    ],
)
def test_a_map_of_a_unet_refuses_what_does_not_fit(changes, words):
    with pytest.raises(ValueError, match=words):
        unet_map(**changes)


# ---- VarianceDial -------------------------------------------------------------------------------

DIAL = DialChain([3.0, 0.5], [0.2, 0.9], (0.02, 0.01, 0.05), 0.001)


def test_a_variance_dial_keeps_its_chains_in_order():
    dial = VarianceDial({"a": {25: DIAL, 10: DIAL}, "b": {10: DIAL, 25: DIAL}}, truth=0.7)
    assert dial.names == ["a", "b"] and dial.steps == [10, 25] and dial.dial == 10
    assert dial.ratio[1][0] == [3.0, 0.5] and dial.last[0][1] == [0.02, 0.01, 0.05]


def test_a_variance_dial_prices_steps_as_the_bound_does(tmp_path):
    chain = json.dumps({"ratio": [3.0], "share": [0.2], "last": [0.02, 0.01, 0.05], "prior": 0.1})
    page = javascript(
        tmp_path,
        "variance_dial",
        f"[m.cost(3, 0.2, 0.7), m.best(3, 0.2), m.lastCost([0.02, 0.01, 0.05], 0.5),"
        f" m.lastBest([0.02, 0.01, 0.05]), m.total({chain}, 0.7), m.total({chain})]",
    )
    # One coordinate with beta-tilde = 0.1, beta = 0.4 and an error that reaches the mean as 0.06.
    tilde, w = torch.tensor(0.1).double(), torch.tensor(0.1 * 4**0.7).double()
    far = torch.tensor(0.06).double().sqrt()
    cost = gaussian_kl(0 * far, tilde, far, w) / np.log(2)
    best = np.log(0.16 / 0.1) / np.log(4)
    last = [0.5 * (0.02 / v + np.log(2 * np.pi * v)) / np.log(2) for v in (0.0005**0.5, 0.02)]
    at = 0.01**0.3 * 0.05**0.7
    whole = 0.1 + cost + 0.5 * (0.02 / at + np.log(2 * np.pi * at)) / np.log(2)
    least = 0.1 + 0.5 * np.log2(1.6) + last[1]
    place = np.log(2) / np.log(5)
    assert page == pytest.approx([float(cost), best, last[0], place, float(whole), least])


@pytest.mark.parametrize(
    ("chains", "options", "words"),
    [
        ({"a": {10: DIAL}, "b": {25: DIAL}}, {}, "the same numbers of steps"),
        ({}, {}, "the same numbers of steps"),
        ({"a": {10: DIAL._replace(ratio=[0.0, 1.0])}}, {}, "ratios above 0"),
        ({"a": {10: DIAL._replace(share=[0.1])}}, {}, "a share for each"),
        ({"a": {10: DIAL}}, {"dial": 23}, r"-2\.\.22"),
    ],
)
def test_a_variance_dial_refuses_what_disagrees(chains, options, words):
    with pytest.raises(ValueError, match=words):
        VarianceDial(chains, truth=0.0, **options)


# ---- GuidanceLab --------------------------------------------------------------------------------


def two_classes(apart):
    means = torch.tensor([[apart], [-apart]], dtype=torch.float64)
    spread = torch.tensor([0.5, 0.5], dtype=torch.float64)
    return GaussianMixture(means[:1], spread[:1]), GaussianMixture(means, spread)


@pytest.mark.parametrize(("scale", "apart", "below"), [(0, 1.5, 1000), (4, 1.5, 1000), (3, 0.5, 1)])
def test_the_page_s_guided_walk_is_the_library_s(tmp_path, scale, apart, below):
    said = f"m.walk({scale}, {apart}, {below})"
    page = javascript(tmp_path, "guidance_lab", f"[m.LEVELS, {said}[0], {said}.at(-1)]")
    levels, first, last = (torch.tensor(part, dtype=torch.float64) for part in page)
    ours = schedules.karras_times(56, low=0.02, high=80)
    torch.testing.assert_close(levels, ours, rtol=1e-9, atol=1e-9)
    one, both = (law.denoiser(schedules.edm) for law in two_classes(apart))
    guided = guidance.autoguide(one, both, scale)
    guided = guidance.interval(guided, one, -1, below)
    end = samplers.sample(samplers.heun_step, guided, schedules.edm, first[:, None], ours)
    torch.testing.assert_close(last, end[:, 0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("scale", "apart"), [(1, 1.0), (4, 0.5), (8, 1.5)])
def test_the_page_s_tilted_law_has_the_right_moments(tmp_path, scale, apart):
    grid = "Array.from({ length: 721 }, (_, i) => -9 + i / 40)"
    page = javascript(tmp_path, "guidance_lab", f"m.moments({grid}, m.tilted({scale}, {apart}))")
    x = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    one, both = (law.log_prob(x[:, None]) for law in two_classes(apart))
    p = (scale * one + (1 - scale) * both).softmax(0)
    mean = (p * x).sum()
    spread = (p * (x - mean) ** 2).sum().sqrt()
    assert page == pytest.approx([float(mean), float(spread)], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 11.0}, "11.0"),
        ({"apart": 0.0}, "0.25..2.5"),
        ({"level": 57}, "57"),
        ({"where": "below 1"}, "only below 1"),
    ],
)
def test_guidance_beyond_the_dials_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        GuidanceLab(**options)


# ---- CascadeDial --------------------------------------------------------------------------------

SEEN = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2)
DRAWN = np.arange(2 * 2 * 3 * 2 * 4, dtype=np.uint8).reshape(2, 2, 3, 2, 2, 2)


def cascade_dial(**changes):
    told = {
        "seen": SEEN,
        "drawn": DRAWN,
        "levels": [0, 100, 300],
        "sources": ["real", "drawn"],
        "stages": ["noised", "clean"],
        "distances": np.ones((2, 2, 3)),
        "floor": 0.2,
    }
    return CascadeDial(**(told | changes))


def test_the_page_finds_small_and_large_pictures_of_a_cascade(tmp_path):
    widget = cascade_dial(source=1, level=2)
    assert (widget.source, widget.stage, widget.level) == (1, 0, 2)
    seen, drawn = (f"Uint8Array.from({list(one)})" for one in (widget.seen, widget.drawn))
    page = javascript(
        tmp_path, "cascade_dial", f"Array.from(m.small({seen}, {widget.shape}, 1, 2))"
    )
    assert page == SEEN[1, 2].flatten().tolist()
    call = f"m.draws({drawn}, {widget.shape}, 1, 0, 2).map((one) => Array.from(one))"
    assert javascript(tmp_path, "cascade_dial", call) == DRAWN[1, 0, 2].reshape(2, -1).tolist()
    assert javascript(tmp_path, "cascade_dial", "m.ticks(0.2, 12)") == [0.2, 0.5, 1, 2, 5, 10]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"seen": SEEN / 2}, TypeError, "uint8"),
        ({"seen": SEEN[:1]}, ValueError, "seen must be"),
        ({"drawn": DRAWN[0]}, ValueError, "drawn"),
        ({"distances": np.ones((2, 3))}, ValueError, r"shape \[2, 2, 3\]"),
        ({"distances": np.zeros((2, 2, 3))}, ValueError, "above 0"),
        ({"levels": [0, 1]}, ValueError, "each of 3 stops"),
        ({"sources": ["real"]}, ValueError, "each of the 2"),
        ({"stage": 2}, ValueError, "index must lie in 0..1"),
    ],
)
def test_a_cascade_dial_that_does_not_fit_is_refused(changes, error, words):
    with pytest.raises(error, match=words):
        cascade_dial(**changes)


# ---- WordLook -----------------------------------------------------------------------------------

STOPS = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
LOOKS = np.random.default_rng(0).dirichlet(np.ones(3), (2, 2, 2, 2)).transpose(0, 1, 4, 2, 3)


def word_look(**changes):
    told = {
        "noised": STOPS,
        "guessed": STOPS[::-1],
        "maps": LOOKS,
        "words": ["a", "red", "ring"],
        "layers": ["down", "up"],
        "times": [900, 100],
    }
    return WordLook(**(told | changes))


def test_the_page_finds_the_map_of_a_word(tmp_path):
    widget = word_look(word=1, layer=1)
    assert (widget.word, widget.layer, widget.time) == (1, 1, 0)
    maps = f"Uint8Array.from({list(widget.maps)})"
    found = javascript(
        tmp_path, "word_look", f"Array.from(m.mapOf({maps}, {widget.shape}, 1, 0, 2))"
    )
    np.testing.assert_allclose(np.array(found) / 255, LOOKS[1, 0, 2].ravel(), atol=0.5 / 255 + 1e-9)
    part = javascript(tmp_path, "word_look", f"m.shares({maps}, {widget.shape}, 0, 1)")
    np.testing.assert_allclose(part, LOOKS[0, 1].mean((1, 2)), atol=0.002)
    assert sum(part) == pytest.approx(1, abs=0.01)


def test_a_pixel_is_as_bright_as_it_looks(tmp_path):
    picture, shape = [100] * 48, word_look().shape
    call = f"Array.from(m.lit({picture}, [0, 50, 100, 200], {shape}, 100))"
    light = np.array(javascript(tmp_path, "word_look", call)).reshape(4, 4, 3)
    quarters = light[::2, ::2, 0]
    assert quarters.tolist() == [[20, 83], [146, 146]]
    assert (light == np.repeat(np.repeat(quarters, 2, 0), 2, 1)[..., None]).all()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"noised": STOPS / 255}, TypeError, "uint8"),
        ({"noised": STOPS[:1]}, ValueError, "noised and guessed must be"),
        ({"maps": LOOKS[0]}, ValueError, "maps"),
        ({"maps": LOOKS[:1]}, ValueError, "maps at 1"),
        ({"maps": 2 * LOOKS}, ValueError, "must be shares"),
        ({"maps": -LOOKS}, ValueError, "must be shares"),
        ({"times": [1]}, ValueError, "1 times, but 2 pictures"),
        ({"words": ["a"]}, ValueError, "each of the 3"),
        ({"layers": ["down"]}, ValueError, "each of the 2"),
        ({"word": 3}, ValueError, "index must lie in 0..2"),
    ],
)
def test_a_word_look_that_does_not_fit_is_refused(changes, error, words):
    with pytest.raises(error, match=words):
        word_look(**changes)


# ---- CaptionMatch -------------------------------------------------------------------------------

FOUR = np.arange(4 * 2 * 2 * 3, dtype=np.uint8).reshape(4, 2, 2, 3)
COSINES = np.cos(np.arange(16.0)).reshape(4, 4)


def caption_match(**changes):
    told = {"images": FOUR, "captions": ["a", "b", "c", "d"], "cosines": COSINES}
    return CaptionMatch(**(told | changes))


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_page_has_the_loss_of_the_library(tmp_path, scale: float):
    order = [2, 0, 3, 1]
    widget = caption_match(order=order, scale=scale)
    placed = f"m.placed({widget.cosines}, {widget.order}, {widget.scale})"
    page = javascript(tmp_path, "caption_match", f"m.answers({placed})")
    scores = scale * torch.tensor(widget.cosines, dtype=torch.float64)[:, order]
    assert page["loss"] == pytest.approx(float(clip_loss(scores)))
    assert page["rows"] == pytest.approx(np.array(scores.softmax(1).tolist()))
    assert page["columns"] == pytest.approx(np.array(scores.softmax(0).tolist()))


def test_the_page_swaps_captions_and_counts_agreement(tmp_path):
    assert javascript(tmp_path, "caption_match", "m.exchanged([2, 0, 1], 0, 2)") == [1, 0, 2]
    tied = [[0.5, 0.5, 0], [0.1, 0.8, 0.1], [0.9, 0, 0.1]]
    assert javascript(tmp_path, "caption_match", f"m.agreed({tied})") == 1
    assert javascript(tmp_path, "caption_match", "m.turned([[1, 2], [3, 4]])") == [[1, 3], [2, 4]]


def test_captions_begin_under_the_wrong_pictures():
    widget = caption_match()
    assert widget.order == [1, 2, 3, 0] and widget.shape == [4, 2, 2]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"images": FOUR / 2}, TypeError, "uint8"),
        ({"images": FOUR[..., :1]}, ValueError, "2 to 8"),
        ({"cosines": COSINES[:3]}, ValueError, r"\[4, 4\]"),
        ({"cosines": 2 * COSINES}, ValueError, "from -1 to 1"),
        ({"captions": ["a"]}, ValueError, "captions must name each of the 4"),
        ({"order": [0, 0, 1, 2]}, ValueError, "each of 0..3 once"),
        ({"scale": 3.0}, ValueError, "unknown scale"),
        ({"asks": "why?"}, ValueError, "unknown question"),
    ],
)
def test_what_no_match_can_show_is_refused(changes, error, words):
    with pytest.raises(error, match=words):
        caption_match(**changes)


# ---- WeightDial ---------------------------------------------------------------------------------


def weight_dial(**changes):
    told = {
        "originals": np.full((3, 4, 4, 3), 200, np.uint8),
        "sheets": ["QQ==", "Qg=="],
        "weights": [1e-6, 0.1],
        "bits": [900.0, 12.0],
        "psnr": [30.0, 14.0],
        "again": [0.0, 1.0],
        "drawn": [4.0, 1.5],
        "floor": 0.1,
    }
    return WeightDial(**(told | changes))


def test_a_weight_dial_holds_its_pictures_as_webp():
    widget = weight_dial(index=1)
    row = np.asarray(Image.open(io.BytesIO(base64.b64decode(widget.originals))))
    assert row.shape == (4, 12, 3) and abs(int(row.mean()) - 200) <= 2
    assert (widget.count, widget.index, widget.sheets) == (3, 1, ["QQ==", "Qg=="])


def test_the_page_writes_weights_and_ticks(tmp_path):
    assert javascript(tmp_path, "weight_dial", "[1e-6, 0.1, 3].map(m.written)") == [
        "10⁻⁶",
        "0.1",
        "3",
    ]
    assert javascript(tmp_path, "weight_dial", "m.ticks(4.2)") == [0, 2, 4]
    assert javascript(tmp_path, "weight_dial", "m.ticks(0.9)") == [0, 0.5]
    share = javascript(tmp_path, "weight_dial", "m.share(0.1, 1e-3, 10)")
    assert share == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"originals": np.ones((3, 4, 4, 3))}, TypeError, "uint8"),
        ({"psnr": [30.0]}, ValueError, "one of each for every stop"),
        ({"weights": [0.1, 0.1]}, ValueError, "weights must rise"),
        ({"weights": [0, 0.1]}, ValueError, "weights must rise"),
        ({"again": [-0.1, 1]}, ValueError, "0 or more"),
        ({"index": 2}, ValueError, r"index must lie in 0..1"),
    ],
)
def test_a_weight_dial_that_does_not_fit_is_refused(changes, error, words):
    with pytest.raises(error, match=words):
        weight_dial(**changes)


# ---- ComputeBars --------------------------------------------------------------------------------


def compute_bars(**changes):
    rows = {"1": ("32 × 32 × 3", 90.0, 0.0, 0.0), "4": ("8 × 8 × 4", 6.0, 2.0, 5.0)}
    return ComputeBars(**({"rows": rows} | changes))


def test_compute_bars_hold_the_costs_of_each_f():
    widget = compute_bars(stops=(2, 8), index=1, guided=False)
    assert (widget.names, widget.unet) == (["1", "4"], [90.0, 6.0])
    assert (widget.encode, widget.decode) == ([0.0, 2.0], [0.0, 5.0])
    assert (widget.stops, widget.index, widget.guided) == ([2, 8], 1, False)


def test_the_page_adds_steps_guidance_and_one_decoding(tmp_path):
    calls = "[m.cost(6, 2, 5, 10, true, false), m.cost(6, 2, 5, 10, false, false)]"
    assert javascript(tmp_path, "compute_bars", calls) == [[120, 5], [60, 5]]
    assert javascript(tmp_path, "compute_bars", "m.cost(6, 2, 5, 10, true, true)") == [18, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": {}}, "one row or more"),
        ({"rows": {"1": ("a", 0.0, 0.0, 0.0)}}, "above 0"),
        ({"rows": {"1": ("a", 1.0, -1.0, 0.0)}}, "0 or more"),
        ({"stops": (0, 1)}, "stops must rise"),
        ({"stops": (2, 2)}, "stops must rise"),
        ({"index": 9}, "index must lie in 0..7"),
    ],
)
def test_compute_bars_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        compute_bars(**changes)


# ---- PromptPipeline -----------------------------------------------------------------------------


def pipeline(**changes):
    stages = {
        "read": Stage("text tower", "77", "77 × 8", 10, 2.0, "prompt", "reads.", 0.5),
        "ask": Stage("U-Net", "4 × 4", "4 × 4", 90, 50.0, "evaluation", "guesses.", 2.0),
        "draw": Stage("decoder", "4 × 4", "32 × 32", 20, 100.0, "picture", "unpacks.", None),
    }
    tasks = {"draw": (["read", "ask", "draw"], 1.0), "draw over": (["ask", "draw"], 0.8)}
    return PromptPipeline(
        **({"stages": stages, "tasks": tasks, "stops": (2, 8), "index": 1} | changes)
    )


def test_a_pipeline_holds_its_stages_by_number():
    widget = pipeline(device="a clock")
    assert [one["name"] for one in widget.stages] == ["text tower", "U-Net", "decoder"]
    assert widget.tasks[1] == {"name": "draw over", "stages": [1, 2], "share": 0.8}
    assert (widget.stops, widget.index, widget.device) == ([2, 8], 1, "a clock")


def test_the_page_counts_uses_and_adds_them_up(tmp_path):
    calls = ["'evaluation', 8, true", "'evaluation', 8, false, 0.7", "'prompt', 8, true"]
    uses = ", ".join(f"m.uses({call})" for call in [*calls, "'picture', 8, true"])
    uses = f"[{uses}]"
    assert javascript(tmp_path, "prompt_pipeline", uses) == [16, 5, 2, 1]
    stages = json.dumps(pipeline().stages)
    bill = javascript(tmp_path, "prompt_pipeline", f"m.bill({stages}, 8, true, 1)")
    assert bill == [[4, 1], [800, 32], [100, None]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stages": {}}, "one stage and one task"),
        ({"tasks": {}}, "one stage and one task"),
        ({"tasks": {"x": (["read", "fly"], 1.0)}}, "no stage is called"),
        ({"stages": {"read": Stage("a", "", "", 1, -1.0, "prompt", "")}}, "0 or more"),
        ({"stages": {"read": Stage("a", "", "", 1, 1.0, "never", "")}}, "`when` one of"),
        ({"stops": (3, 3)}, "stops must rise"),
        ({"index": 2}, "index must lie in 0..1"),
    ],
)
def test_pipelines_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        pipeline(**changes)


# ---- PromptComposer -----------------------------------------------------------------------------

PROMPTS = [
    (a, how, b)
    for a in ("red circle", "orange square")
    for how in ("left of", "above")
    for b in ("orange square", "red circle")
    if a != b
]
COMPOSED = np.arange(4 * 2 * 3 * 2 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3, 2, 2, 3)


def prompt_composer(**changes):
    told: dict[str, Any] = {
        "prompts": PROMPTS,
        "by_clip": [0, 2],
        "by_itself": [1, 2, 4],
        "images": COMPOSED,
        "scores": {"guide": np.arange(24.0).reshape(4, 2, 3)},
        "claims": {
            "count": np.ones((4, 2, 3)),
            "all": np.arange(24).reshape(4, 2, 3) % 2 == 0,
        },
    }
    return PromptComposer(**(told | changes))


def test_the_page_finds_the_picture_its_score_and_its_verdict(tmp_path):
    widget = prompt_composer(prompt=2, clip=1, itself=2)
    place = javascript(tmp_path, "prompt_composer", f"m.placeOf({widget.shape}, 2, 1, 2)")
    assert place == 2 * 6 + 1 * 3 + 2 and widget.scores["guide"][place] == place
    answers = f"m.agreed({widget.verdicts[place]}, {json.dumps(widget.claims)})"
    assert javascript(tmp_path, "prompt_composer", answers) == [["count", True], ["all", False]]
    assert widget.verdicts[:2] == [3, 1]


def test_the_page_shows_the_colours_that_were_drawn(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (8, 4, 5, 3)).astype(np.uint8)
    indices, palette = in_few_colours(colours)
    assert indices.shape == (8, 4, 5) and palette.shape == (256, 3)
    packed = f"{indices.ravel().tolist()}, {palette.ravel().tolist()}"
    shown = javascript(tmp_path, "prompt_composer", f"[...m.coloured({packed})]")
    assert (
        np.abs(np.array(shown) - colours.ravel().astype(int)).max() <= 3
    )  # 160 colours, 256 places
    many = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    indices, palette = in_few_colours(many)
    assert np.abs(palette[indices].astype(int) - many).mean() < 20
    with pytest.raises(ValueError, match="need pictures"):
        in_few_colours(colours[..., :1])


def test_a_thing_never_stands_beside_itself(tmp_path):
    prompts = json.dumps(PROMPTS)
    swap = f"m.changed({prompts}, 0, 0, 'orange square')"
    found = javascript(tmp_path, "prompt_composer", swap)
    assert PROMPTS[found] == ("orange square", "left of", "red circle")
    other = javascript(tmp_path, "prompt_composer", f"m.changed({prompts}, 0, 1, 'above')")
    assert PROMPTS[other] == ("red circle", "above", "orange square")
    said = javascript(tmp_path, "prompt_composer", f"m.sentence({json.dumps(PROMPTS[0])})")
    assert said == "a red circle left of an orange square"


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"prompts": PROMPTS[:3] + [("red circle", "left of", "red circle")]}, ValueError, "4 pro"),
        ({"prompts": PROMPTS[:3]}, ValueError, "got 3"),
        ({"images": COMPOSED[:, :, :2]}, ValueError, r"\[4, 2, 3\] of"),
        ({"images": COMPOSED / 2}, TypeError, "uint8"),
        ({"scores": {"guide": np.zeros((4, 2))}}, ValueError, "'guide' must be"),
        ({"claims": {"all": np.zeros((2, 2))}}, ValueError, "'all' must be"),
        ({"prompt": 4}, ValueError, "0..3"),
        ({"clip": 2}, ValueError, "0..1"),
        ({"itself": -1}, ValueError, "0..2"),
    ],
)
def test_what_cannot_be_composed_is_refused(changes, error, words):
    with pytest.raises(error, match=words):
        prompt_composer(**changes)


# ---- ThresholdDial ------------------------------------------------------------------------------


def threshold_dial(**changes):
    generator = np.random.default_rng(0)
    told: dict[str, Any] = {
        "told": generator.uniform(-1, 1, (2, 4, 4, 3)),
        "free": generator.uniform(-1, 1, (2, 4, 4, 3)),
        "times": [900, 400],
    }
    return ThresholdDial(**(told | changes))


def test_a_threshold_dial_holds_both_answers():
    widget = threshold_dial(index=1, scale=3.0)
    assert (widget.side, widget.times, widget.index, widget.scale) == (4, [900, 400], 1, 3.0)
    back = np.frombuffer(widget.told, "<i2").reshape(2, 4, 4, 3) / 32767
    expected = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 3))
    assert np.abs(back - expected).max() < 2e-5


def test_the_page_thresholds_as_the_library_does(tmp_path):
    x = (4 * np.random.default_rng(1).standard_normal(48)).tolist()
    calls = f"Object.values(m.WAYS).map((way) => way({x}, 0.9))"
    free, static, dynamic = javascript(tmp_path, "threshold_dial", calls)
    given = torch.tensor(x, dtype=torch.float64)[None]
    held = dynamic_threshold(lambda x_t, t: x_t, 0.9)(given, torch.zeros(1))
    assert free == x and static == given.clamp(-1, 1)[0].tolist()
    assert np.allclose(dynamic, held[0].numpy())
    edges = javascript(tmp_path, "threshold_dial", "m.edge([1, -1, 0.5, 2])")
    assert edges == 0.75
    assert javascript(tmp_path, "threshold_dial", "m.guided([1], [-1], 3)") == [5]
    assert javascript(tmp_path, "threshold_dial", "m.bound([0.5, -0.2], 0.9)") == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"told": np.zeros((2, 4, 3))}, "side, side, 3"),
        ({"free": np.zeros((1, 4, 4, 3))}, "side, side, 3"),
        ({"told": np.full((2, 4, 4, 3), 1.5)}, r"within \[-1, 1\]"),
        ({"told": np.full((2, 4, 4, 3), np.nan)}, r"within \[-1, 1\]"),
        ({"times": [1]}, "2 answers but 1 times"),
        ({"scale": 0.5}, "scale must be 1 to 15"),
        ({"percentile": 0.5}, "percentile 0.8 to 1"),
        ({"index": 2}, "index must lie in 0..1"),
    ],
)
def test_a_threshold_dial_that_does_not_fit_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        threshold_dial(**changes)


# ---- VectorWheel --------------------------------------------------------------------------------


def vector_wheel(**changes):
    generator = np.random.default_rng(0)
    told: dict[str, Any] = {
        "real": generator.standard_normal((30, 2)),
        "drawn": generator.standard_normal((160, 2)),
        "text_drawn": np.ones((9, 2)),
        "text": np.array([0.6, 0.8]),
    }
    return VectorWheel(**(told | changes))


def test_a_vector_wheel_holds_points_to_a_hundredth():
    widget = vector_wheel(index=2, by_text=True)
    expected = np.random.default_rng(0).standard_normal((30, 2))
    assert np.abs(np.array(widget.real) - expected).max() <= 0.0051
    assert (widget.text, widget.counts) == ([0.6, 0.8], [1, 2, 4, 8, 16])
    assert (widget.index, widget.by_text) == (2, True)


def test_the_page_keeps_the_best_of_n_as_the_library_does(tmp_path):
    drawn = np.random.default_rng(1).standard_normal((12, 2))
    calls = f"[1, 3].map((n) => m.best({drawn.tolist()}, [0.6, 0.8], n))"
    one, three = javascript(tmp_path, "vector_wheel", calls)
    assert one == drawn.tolist()
    points = torch.from_numpy(drawn).reshape(4, 3, 2).transpose(0, 1)
    vectors = torch.nn.functional.normalize(points, dim=2)
    text = torch.tensor([0.6, 0.8], dtype=torch.float64).expand(4, 2)
    kept = nearest(vectors, text)
    assert np.allclose([np.array(p) / np.hypot(*p) for p in three], kept)
    bent = javascript(tmp_path, "vector_wheel", "[1, 2].map(m.bent)")
    assert bent == pytest.approx([0, np.log(2) - 0.5])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"real": np.zeros((3, 3))}, r"\[n, 2\]"),
        ({"drawn": np.full((200, 2), np.nan)}, "finite"),
        ({"drawn": np.ones((100, 2))}, "too few"),
        ({"text": np.ones(2)}, "length 1"),
        ({"counts": (2, 4)}, "rise from 1"),
        ({"counts": (1, 1)}, "rise from 1"),
        ({"index": 5}, "index must lie in 0..4"),
    ],
)
def test_a_vector_wheel_that_does_not_fit_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        vector_wheel(**changes)


# ---- PromptBox ----------------------------------------------------------------------------------


class Paints:
    """Paints pictures of one grey level, the seed's, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, settings, count, progress):
        self.asked.append((settings, count))
        for n in range(settings.steps):
            progress(n + 1, settings.steps)
        seeds = torch.arange(count, dtype=torch.uint8) + settings.seed
        return seeds[:, None, None, None].expand(count, 3, 2, 2)


def test_a_prompt_box_draws_at_once_and_when_asked():
    paint, wish = Paints(), Settings("red apple", steps=2, seed=5)
    widget = PromptBox(wish, paint, notes, 2)
    assert paint.asked == [(wish, 2)] and widget.done == 1.0
    assert widget.pictures == [bytes([5] * 12), bytes([6] * 12)] and widget.side == 2
    assert widget.drawn == "red apple: seeds 5 to 6" and widget.said == []
    widget.prompt, widget.seed, widget.count, widget.negative = "кошка", 9, 1, "dog"
    widget._asked(widget, {"type": "other"}, [])
    assert len(paint.asked) == 1
    shares = []
    widget.observe(lambda change: shares.append(change.new), "done")
    widget._asked(widget, {"type": "draw"}, [])
    assert paint.asked[1] == (Settings("кошка", "dog", 3.0, 2, 9), 1)
    assert shares == [0.0, 0.5, 0.99, 1.0]
    assert widget.drawn == "кошка: seed 9" and "never met" in widget.said[0]


def test_a_prompt_box_says_what_is_wrong_and_keeps_its_pictures():
    widget = PromptBox(Settings("cat", steps=1), Paints(), notes, 1)
    before = widget.pictures
    widget.steps = 0
    widget.draw()
    assert "steps must be 1" in widget.said[0] and widget.done == 1.0
    assert widget.pictures == before
    for count in (0, 9):
        with pytest.raises(ValueError, match="count must be 1 to 8"):
            PromptBox(Settings("cat"), Paints(), notes, count)


def test_pictures_fit_the_page(tmp_path):
    wide = javascript(
        tmp_path,
        "prompt_box",
        "[[4, 700], [1, 700], [4, 330], [8, 700]].map((a) => m.widthOf(...a))",
    )
    assert wide == [169, 192, 161, 169]
