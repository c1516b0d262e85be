"""A training loop short enough to read: averaged weights, progress, exact resume, no pickle.

Nothing here has anything to do with diffusion. Step k reseeds PyTorch with (seed, k), so a run that
stops and resumes draws the same batches and the same noise as one that never stopped, to the bit,
and no random state has to be saved.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from course_lib.core.checks import one_of, same_shapes, shapes
from course_lib.core.tensors import atomic_write

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class TrainConfig:
    """Every number the loop uses. Saved beside the weights, so that a run can explain itself.

    ema_decay      of the averaged weights, reached from below: early averages are short
    warmup_steps   the learning rate rises from 0 over these, then stays
    final_steps    the learning rate falls linearly to 0 over the last ones; 0 for never
    precision      "auto" is bf16 autocast on CUDA and fp32 elsewhere. bf16 on a CPU pays only where
                   the CPU has matrix units for it (AMX); elsewhere it is ten times slower
    """

    lr: float = 1e-3
    warmup_steps: int = 100
    final_steps: int = 0
    total_steps: int = 1000
    grad_clip: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        one_of(self.precision, PRECISIONS, "precision")
        if not 0 <= self.ema_decay < 1 or self.lr <= 0 or self.total_steps < 1:
            raise ValueError(f"need 0 <= ema_decay < 1, lr > 0 and total_steps >= 1, got {self}")
        if self.warmup_steps < 0 or not 0 <= self.final_steps <= self.total_steps:
            raise ValueError(f"need warmup_steps >= 0, 0 <= final_steps <= total_steps, got {self}")
        if not self.grad_clip > 0:
            raise ValueError(f"need grad_clip > 0 (1e9 clips nothing), got {self.grad_clip}")


class Trainer:
    """Minimise `loss_fn(model, *get_batch())` and keep an averaged copy of the model in `ema`.

    loss_fn     a function, or a module without parameters, whose buffers are saved with the run
    get_batch   draws from torch's global generator, which each step reseeds
    compiled    let `torch.compile` fuse the step: a minute or two at the start, which a GPU pays
                back soon and a CPU hardly ever
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[..., Tensor],
        get_batch: Callable[[], tuple[Tensor, ...]],
        config: TrainConfig = TrainConfig(),  # noqa: B008  (frozen, so sharing it is safe)
        *,
        compiled: bool = False,
    ):
        self.model, self.get_batch, self.config = model, get_batch, config
        self.device = next(model.parameters()).device
        # What a loss remembers belongs to the run, as the moments of the optimiser do.
        self.memory = loss_fn.to(self.device) if isinstance(loss_fn, nn.Module) else nn.Module()
        self.loss_fn = torch.compile(loss_fn) if compiled else loss_fn
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=0.0)
        self.ema = AveragedModel(
            model, multi_avg_fn=_ema_update(config.ema_decay, lambda: self.steps), use_buffers=False
        )
        self.losses: list[float] = []
        self.seconds = 0.0  # spent in `fit`, over all sittings
        self._pending: list[Tensor] = []  # losses still on the device

    @property
    def steps(self) -> int:
        """Optimiser steps taken so far."""
        return len(self.losses) + len(self._pending)

    def step(self) -> Tensor:
        """Take one optimiser step; its loss stays on the device, so the GPU is not made to wait."""
        done, config = self.steps, self.config
        torch.manual_seed(config.seed * 1_000_003 + done)
        self.optimizer.param_groups[0]["lr"] = config.lr * _lr_factor(done, config)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16()):
            loss = self.loss_fn(self.model, *self.get_batch())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        if self.device.type == "cpu" and not torch.isfinite(norm):
            raise FloatingPointError(_not_finite(done, float(loss.detach()), config))
        self.optimizer.step()
        self.ema.update_parameters(self.model)
        # 0 times a norm that is not finite is nan: `_collect` finds what no later loss would show.
        self._pending.append(loss.detach() + 0 * norm)
        return loss.detach()

    def fit(
        self, steps: int | None = None, checkpoint: str | Path | None = None, save_every: int = 1000
    ) -> nn.Module:
        """Train until `steps` are taken in all (by default the config's total); return the average.

        With a checkpoint file, first resumes from what an earlier call left there, then saves every
        `save_every` steps and at the end. Raises FloatingPointError when a loss is not finite, and
        ValueError for more steps than the learning rate lasts.
        """
        steps = self.config.total_steps if steps is None else steps
        if self.config.final_steps and steps > self.config.total_steps:
            raise ValueError(
                f"the learning rate reaches 0 after {self.config.total_steps} steps, got {steps}."
                f" Take at most {self.config.total_steps}, or a config with larger total_steps"
            )
        if checkpoint is not None and Path(checkpoint).exists():
            self.load(checkpoint)
        self.model.train()
        started, before = time.perf_counter(), self.seconds
        with tqdm(
            total=steps, initial=self.steps, mininterval=1.0, leave=False, disable=None
        ) as bar:
            while self.steps < steps:
                self.step()
                bar.update()
                if self.steps % 50 == 0:
                    self._collect()
                    bar.set_postfix_str(f"loss {sum(self.losses[-50:]) / 50:.4f}", refresh=False)
                self.seconds = before + time.perf_counter() - started
                if checkpoint is not None and self.steps % save_every == 0:
                    self.save(checkpoint)
        self._collect()
        if checkpoint is not None:
            self.save(checkpoint)
        return self.ema.module.eval()

    def save(self, path: str | Path) -> None:
        """Write the whole run to one file: weights, averages, moments, history; all or nothing."""
        self._collect()
        moments = self.optimizer.state_dict()["state"]
        tensors = (
            {f"model.{name}": value for name, value in self.model.state_dict().items()}
            | {f"ema.{name}": value for name, value in self.ema.state_dict().items()}
            | {f"loss.{name}": value for name, value in self.memory.state_dict().items()}
            | {
                f"optimizer.{i}.{name}": value
                for i, m in moments.items()
                for name, value in m.items()
            }
        )
        tensors = {name: value.contiguous().cpu() for name, value in tensors.items()}
        run = {"config": asdict(self.config), "losses": self.losses, "seconds": self.seconds}
        record = json.dumps(run)
        about = {"run": record, "sha256": _digest(record, tensors)}
        atomic_write(path, save(tensors, metadata=about))

    def load(self, path: str | Path) -> "Trainer":
        """Carry on exactly where `save` left off.

        Raises ValueError if the file is damaged, or if another config or model made it.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            if about["sha256"] != _digest(about["run"], tensors):
                raise ValueError("its contents do not have the checksum it was saved with")
            record = json.loads(about["run"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not a whole checkpoint ({error}). Delete it to start again"
            ) from error
        if record["config"] != asdict(self.config):
            raise ValueError(
                f"the run in {path} was made with {record['config']}, this one has"
                f" {asdict(self.config)}. Use the same config, or another place"
            )
        parts = ((self.model, "model."), (self.ema, "ema."), (self.memory, "loss."))
        for module, prefix in parts:
            own = _under(prefix, tensors)
            same_shapes(shapes(module.state_dict()), shapes(own), f"the run in {path}")
            module.load_state_dict(own)
        state = self.optimizer.state_dict()
        for key, value in _under("optimizer.", tensors).items():
            index, name = key.split(".")
            state["state"].setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(state)
        self.losses, self.seconds, self._pending = record["losses"], record["seconds"], []
        return self

    def _bf16(self) -> bool:
        chosen = self.config.precision
        return chosen == "bf16" or (chosen == "auto" and self.device.type == "cuda")

    def _collect(self) -> None:
        """Fetch the pending losses from the device in one go."""
        if not self._pending:
            return
        fetched = torch.stack(self._pending).float().cpu().tolist()
        for i, loss in enumerate(fetched):
            if not math.isfinite(loss):  # they stay pending, so that `save` keeps refusing
                raise FloatingPointError(_not_finite(len(self.losses) + i, loss, self.config))
        self.losses += fetched
        self._pending = []


def _ema_update(decay: float, steps: Callable[[], int]) -> Callable:
    """The averaging rule: decay rises as (1 + n) / (10 + n) until it reaches `decay`.

    A fixed 0.999 would keep the random start in the average for thousands of steps.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], _: Tensor) -> None:
        n = steps()  # PyTorch's own count lies on the device: reading it would make a GPU wait
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


def _lr_factor(done: int, config: TrainConfig) -> float:
    """A linear rise at the start, and a linear fall to the end if `final_steps` asks for one."""
    rise = min(1.0, (done + 1) / max(1, config.warmup_steps))
    left = config.total_steps - done
    return rise * min(1.0, left / config.final_steps) if config.final_steps else rise


def _not_finite(step: int, loss: float, config: TrainConfig) -> str:
    return (
        f"loss or gradient not finite at step {step + 1} (loss {loss:g}). Usual causes: a learning"
        f" rate too high (now {config.lr:g}), data outside [-1, 1], division by sigma or alpha = 0"
    )


def _digest(record: str, tensors: dict[str, Tensor]) -> str:
    """sha256 over the record and every tensor: one flipped bit in a weight is damage too."""
    sha = hashlib.sha256(record.encode())
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return sha.hexdigest()


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
