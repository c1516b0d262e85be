"""The trainer: it learns, resumes to the bit whatever stopped it, and refuses what is damaged."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from course_lib.data.batches import random_batches
from course_lib.nn.mlp import MLP
from course_lib.recipes import ddpm, ddpm_loss
from course_lib.train import TrainConfig, Trainer

CONFIG = TrainConfig(lr=1e-3, warmup_steps=5, total_steps=24, ema_decay=0.9, precision="fp32")


def noisy_loss(model, x, y):
    """Noise and dropout in the loss: whatever is not reseeded would show."""
    x = nn.functional.dropout(x + 0.1 * torch.randn_like(x), 0.2)
    return (model(x) - y).square().mean()


def make(config=CONFIG, loss_fn=noisy_loss, width=8, compiled=False):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(3, width), nn.BatchNorm1d(width), nn.SiLU(), nn.Linear(width, 1)
    )
    x = torch.randn(64, 3)
    batches = random_batches(x, x.sum(1, keepdim=True), size=16)
    return Trainer(model, loss_fn, batches, config, compiled=compiled)


def assert_equal_runs(a, b):
    assert a.losses == b.losses and a.steps == b.steps
    for ours, theirs in ((a.model, b.model), (a.ema, b.ema)):
        for (name, x), y in zip(
            ours.state_dict().items(), theirs.state_dict().values(), strict=True
        ):
            assert torch.equal(x, y), name
    ours, theirs = a.optimizer.state_dict()["state"], b.optimizer.state_dict()["state"]
    for i in ours:
        assert all(torch.equal(ours[i][key], theirs[i][key]) for key in ours[i])


def test_it_learns():
    def loss(model, x, y):
        return (model(x) - y).square().mean()

    trainer = make(replace(CONFIG, total_steps=200, lr=1e-2), loss)
    model = trainer.fit()
    assert sum(trainer.losses[-20:]) < 0.4 * sum(trainer.losses[:20])
    assert model is trainer.ema.module and not model.training
    assert trainer.seconds > 0


def test_ddpm_overfits_one_batch():
    # A network that says nothing has a loss of 1; three points leave little to guess.
    torch.manual_seed(0)
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.0]])
    trainer = Trainer(
        ddpm(MLP(width=64)),
        ddpm_loss,
        random_batches(points, size=64),
        TrainConfig(lr=3e-3, total_steps=200, precision="fp32"),
    )
    trainer.fit()
    assert sum(trainer.losses[:5]) / 5 > 0.8
    assert sum(trainer.losses[-50:]) / 50 < 0.4


@pytest.mark.parametrize("stop", [1, 7, 23])
def test_resuming_is_exact_to_the_bit(tmp_path, stop):
    through = make()
    through.fit()
    file = tmp_path / "run.safetensors"
    make().fit(stop, checkpoint=file)
    torch.rand(17)  # whatever else draws in between does not matter
    resumed = make()
    resumed.fit(checkpoint=file)
    assert_equal_runs(through, resumed)
    assert resumed.seconds > 0


def test_fit_in_two_calls_is_fit_in_one():
    through, twice = make(), make()
    through.fit()
    twice.fit(9)
    twice.fit()
    assert_equal_runs(through, twice)


KILLED = """
import sys, time
sys.path[:0] = [{tests!r}, {root!r}]
import torch
torch.set_num_threads(1)
from test_train import make
trainer = make()
batch = trainer.get_batch
def slowly():
    time.sleep(0.2)  # so that the last step is far away when the signal comes
    return batch()
trainer.get_batch = slowly
trainer.fit(checkpoint=sys.argv[1], save_every=3)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_resuming_after_kill_9_is_exact_to_the_bit(tmp_path):
    file, here = tmp_path / "run.safetensors", Path(__file__).parent
    program = KILLED.format(tests=str(here), root=str(here.parent))
    process = subprocess.Popen([sys.executable, "-c", program, str(file)])
    while not file.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)  # somewhere between two saves
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"

    resumed = make()
    resumed.load(file)
    assert 0 < resumed.steps < CONFIG.total_steps
    resumed.fit(checkpoint=file)
    through = make()
    through.fit()
    assert_equal_runs(through, resumed)


class Remembering(nn.Module):
    """A loss that leans on what it has seen: without its memory a run would go on differently."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, model, x, y):
        loss = noisy_loss(model, x, y)
        self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        return loss + loss * self.mean


def test_what_a_loss_remembers_is_part_of_the_run(tmp_path):
    whole = make(loss_fn=Remembering())
    whole.fit(20)
    make(loss_fn=Remembering()).fit(10, tmp_path / "run")
    again = make(loss_fn=Remembering())
    again.fit(20, tmp_path / "run")
    assert_equal_runs(whole, again)
    assert torch.equal(whole.loss_fn.mean, again.loss_fn.mean) and whole.loss_fn.mean > 0


def test_seeds_decide():
    a, b = make(), make(replace(CONFIG, seed=1))
    a.fit(3)
    b.fit(3)
    assert a.losses != b.losses


def test_ema_follows_its_closed_form():
    # Compared at every step, with steps so long that the early, short averages count.
    trainer = make(replace(CONFIG, ema_decay=0.5, lr=0.1))
    expected, rates = [], []
    for n in range(20):
        trainer.step()
        weights = [p.detach().clone() for p in trainer.model.parameters()]
        rates.append(0.0 if n == 0 else min(0.5, (1 + n) / (10 + n)))  # the first is not averaged
        expected = [
            rates[-1] * e + (1 - rates[-1]) * w
            for e, w in zip(expected or weights, weights, strict=True)
        ]
        for ours, theirs in zip(trainer.ema.module.parameters(), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert rates[1] < 0.2 and rates[-1] == 0.5
    # Buffers are not averaged but copied.
    for ours, theirs in zip(trainer.ema.module.buffers(), trainer.model.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_learning_rate_rises_stays_and_falls():
    config = replace(CONFIG, lr=2.0, warmup_steps=4, final_steps=8, total_steps=20)
    trainer, rates = make(config), []
    for _ in range(20):
        trainer.step()
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4:13] == [2.0] * 9
    assert rates[12:] == [2.0 * k / 8 for k in (8, 7, 6, 5, 4, 3, 2, 1)]


def test_gradients_are_clipped():
    trainer = make(replace(CONFIG, grad_clip=1e-3), lambda model, x, y: 1e6 * model(x).mean())
    trainer.step()
    norm = torch.stack([p.grad.norm() for p in trainer.model.parameters()]).norm()
    assert abs(norm - 1e-3) < 1e-6


def test_more_steps_than_the_learning_rate_lasts_are_refused():
    with pytest.raises(ValueError, match="reaches 0 after 24 steps, got 25.*total_steps"):
        make(replace(CONFIG, final_steps=4)).fit(25)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path, bad):
    file, calls = tmp_path / "run.safetensors", []

    def breaks_at_8(model, x, y):
        calls.append(1)
        return noisy_loss(model, x, y) * (bad if len(calls) == 8 else 1.0)

    trainer = make(loss_fn=breaks_at_8)
    with pytest.raises(FloatingPointError, match=r"at step 8 .*learning rate.*0\.001"):
        trainer.fit(checkpoint=file, save_every=5)
    assert all(p.isfinite().all() for p in trainer.model.parameters())
    assert make().load(file).steps == 5  # the last good one is still there


def test_a_loss_that_broke_the_weights_is_never_saved(tmp_path):
    # As on a GPU, where the loop looks at the losses only now and then.
    trainer = make()
    trainer.step()
    trainer._pending.append(torch.tensor(float("nan")))
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="not finite at step 2"):
            trainer.save(tmp_path / "run.safetensors")
    assert not any(tmp_path.iterdir())


def test_a_gradient_that_broke_the_weights_is_never_saved(tmp_path, monkeypatch):
    # As on a GPU, which is not asked after each step; the loss itself is finite.
    trainer = make(loss_fn=lambda model, x, y: (0 * model(x).sum()).abs().sqrt())
    monkeypatch.setattr(torch, "isfinite", lambda norm: torch.tensor(True))
    assert trainer.step() == 0
    with pytest.raises(FloatingPointError, match="gradient not finite at step 1"):
        trainer.save(tmp_path / "run.safetensors")


def test_another_config_is_refused_by_name(tmp_path):
    file = tmp_path / "run.safetensors"
    make().fit(3, checkpoint=file)
    with pytest.raises(ValueError, match=r"run\.safetensors was made with .*'lr': 0\.001.*0\.002"):
        make(replace(CONFIG, lr=2e-3)).fit(checkpoint=file)


def test_another_model_is_refused_by_name(tmp_path):
    file = tmp_path / "run.safetensors"
    make().fit(3, checkpoint=file)
    with pytest.raises(ValueError, match=r"run\.safetensors does not fit this network.*of shape"):
        make(width=9).load(file)


def damage(content, how):
    header = 8 + int.from_bytes(content[:8], "little")
    flipped = bytearray(content)
    if how == "a bit of a weight":
        flipped[header + 100] ^= 1
    elif how == "a bit of the last byte":
        flipped[-1] ^= 1
    elif how == "a loss in the record":
        at = content.index(b"losses") + 14
        digit = next(i for i in range(at, header) if chr(content[i]).isdigit())
        flipped[digit] = ord("1") if content[digit] != ord("1") else ord("2")
    elif how == "the header":
        flipped[12] ^= 0xFF
    else:
        return content[: int(len(content) * how)]
    return bytes(flipped)


@pytest.mark.parametrize(
    "how",
    [0, 0.001, 0.5, 0.9999, "a bit of a weight", "a bit of the last byte", "a loss in the record"]
    + ["the header"],
)
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, how):
    file = tmp_path / "run.safetensors"
    make().fit(3, checkpoint=file)
    file.write_bytes(damage(file.read_bytes(), how))
    with pytest.raises(ValueError, match=r"run\.safetensors is not a whole checkpoint.*Delete it"):
        make().fit(checkpoint=file)


def test_a_file_of_something_else_is_refused_by_name(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(ValueError, match=r"weights\.safetensors is not a whole checkpoint"):
        make().load(file)


def test_a_checkpoint_says_what_it_is_without_pickle(tmp_path):
    file = tmp_path / "run.safetensors"
    make().fit(3, checkpoint=file)
    with safe_open(file, framework="pt") as opened:
        run = json.loads(opened.metadata()["run"])
        names = set(opened.keys())
    assert run["config"]["lr"] == 1e-3 and len(run["losses"]) == 3
    assert {"model.0.weight", "ema.module.0.weight", "optimizer.0.exp_avg"} <= names
    assert os.listdir(tmp_path) == ["run.safetensors"]


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_every_precision_trains(precision):
    trainer = make(replace(CONFIG, precision=precision))
    trainer.fit(3)
    assert len(trainer.losses) == 3
    assert next(trainer.model.parameters()).dtype == torch.float32


def test_bf16_runs_the_network_in_bf16():
    seen = []

    def loss(model, x, y):
        seen.append(model(x).dtype)
        return noisy_loss(model, x, y)

    make(replace(CONFIG, precision="bf16"), loss).step()
    make(replace(CONFIG, precision="fp32"), loss).step()
    assert seen == [torch.bfloat16, torch.float32]


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"precision": "fp8"}, "unknown precision 'fp8'. Use one of: auto, fp32, bf16"),
        ({"ema_decay": 1.0}, "need 0 <= ema_decay < 1"),
        ({"lr": 0.0}, "lr > 0"),
        ({"total_steps": 0}, "total_steps >= 1"),
        ({"warmup_steps": -1}, "warmup_steps >= 0"),
        ({"final_steps": -1}, "0 <= final_steps"),
        ({"final_steps": 1001}, "final_steps <= total_steps"),
        ({"grad_clip": 0.0}, "grad_clip > 0 .1e9 clips nothing., got 0.0"),
    ],
)
def test_a_wrong_config_is_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        TrainConfig(**wrong)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="compiling on a CPU needs a C++ compiler")
def test_a_compiled_step_learns_the_same():
    def loss(model, x, y):
        return (model(x) - y).square().mean()

    plain, compiled = make(loss_fn=loss), make(loss_fn=loss, compiled=True)
    plain.fit(8)
    compiled.fit(8)
    # Losses, not weights: Adam makes a full step of the rounding noise in a gradient that is zero.
    assert compiled.losses == pytest.approx(plain.losses, rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="compiling on a CPU needs a C++ compiler")
def test_the_loss_of_the_course_compiles_and_repeats():
    # In a Python of its own: the compiler cannot read through the shape checks of the tests.
    # A compiled step draws other noise than a plain one, but the same noise for the same seed.
    code = """
import torch
from course_lib.data.batches import random_batches
from course_lib.nn.mlp import MLP
from course_lib.recipes import ddpm, ddpm_loss
from course_lib.train import TrainConfig, Trainer

for _ in range(2):
    torch.manual_seed(0)
    batches = random_batches(torch.randn(64, 2), size=16)
    trainer = Trainer(ddpm(MLP(width=16)), ddpm_loss, batches, TrainConfig(), compiled=True)
    trainer.fit(4)
    print(*trainer.losses)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    first, second = ([float(loss) for loss in line.split()] for line in ran.stdout.splitlines())
    assert first == second and len(first) == 4
    assert all(0.1 < loss < 10 for loss in first)
