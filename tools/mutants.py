"""Break the library in one place at a time, and see which test notices.

    python tools/mutants.py                          all of them, as a table
    python tools/mutants.py --only samplers          those of one file
    python tools/mutants.py --report docs/mutants.md also write the table

Each mutant is a sign, an index, a root, a factor or an order changed in a copy of `course_lib`; the
fast tests of that file must fail on it. Exit status 1 if one survives: then a test is missing.
"""

import argparse
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in course_lib/`file`. `old` occurs there exactly once."""

    file: str
    old: str
    new: str
    what: str

    @property
    def tests(self) -> list[str]:
        """The test files that look after this file, nearest first."""
        return TESTS[self.file]


TESTS = {
    "diffusion/schedules.py": ["tests/test_diffusion_schedules.py", "tests/test_improved.py"],
    "diffusion/predictions.py": ["tests/test_diffusion_predictions.py"],
    "diffusion/denoiser.py": ["tests/test_diffusion_denoiser.py"],
    "diffusion/forward.py": ["tests/test_diffusion_forward.py"],
    "diffusion/samplers.py": ["tests/test_diffusion_samplers.py"],
    "diffusion/latents.py": ["tests/test_diffusion_latents.py"],
    "diffusion/solvers.py": [
        "tests/test_k_diffusion.py",
        "tests/test_diffusion_solvers.py",
    ],
    "diffusion/distillation.py": ["tests/test_diffusion_distillation.py"],
    "models/cascade.py": ["tests/test_models_cascade.py"],
    "models/palette.py": ["tests/test_models_palette.py"],
    "models/autoencoder.py": ["tests/test_models_autoencoder.py", "tests/test_models_latent.py"],
    "models/latent.py": ["tests/test_models_latent.py"],
    "models/clip.py": ["tests/test_models_clip.py"],
    "models/glide.py": ["tests/test_models_glide.py"],
    "models/unclip.py": ["tests/test_models_unclip.py"],
    "models/imagen.py": ["tests/test_models_imagen.py"],
    "diffusion/training.py": ["tests/test_diffusion_training.py", "tests/test_improved.py"],
    "diffusion/variance.py": ["tests/test_diffusion_variance.py"],
    "diffusion/exact.py": [
        "tests/test_diffusion_exact.py",
        "tests/test_diffusion_guidance_classifier.py",
    ],
    "diffusion/likelihood.py": ["tests/test_diffusion_likelihood.py", "tests/test_models_vae.py"],
    "diffusion/coding.py": ["tests/test_diffusion_coding.py"],
    "diffusion/discrete.py": ["tests/test_diffusion_discrete.py"],
    "diffusion/reverse.py": ["tests/test_diffusion_reverse.py"],
    "diffusion/langevin.py": ["tests/test_diffusion_langevin.py"],
    "diffusion/guidance.py": [
        "tests/test_diffusion_guidance.py",
        "tests/test_diffusion_guidance_classifier.py",
        "tests/test_diffusion_denoiser.py",
    ],
    "diffusion/score_matching.py": ["tests/test_diffusion_score_matching.py"],
    "diffusion/perturb.py": ["tests/test_diffusion_perturb.py"],
    "diffusion/sde.py": ["tests/test_diffusion_sde.py"],
    "diffusion/ode.py": ["tests/test_diffusion_ode.py"],
    "models/style.py": ["tests/test_models_style.py"],
    "models/vae.py": ["tests/test_models_vae.py"],
    "metrics.py": ["tests/test_metrics.py"],
    "evaluation.py": ["tests/test_evaluation.py"],
    "data/samples.py": ["tests/test_data_samples.py"],
    "data/sequences.py": ["tests/test_data_sequences.py"],
    "nn/attention.py": ["tests/test_nn_attention.py"],
    "nn/embeddings.py": ["tests/test_nn_embeddings.py"],
    "nn/blocks.py": ["tests/test_nn_unet.py"],
    "nn/unet.py": ["tests/test_nn_unet.py", "tests/test_improved.py"],
    "recipes.py": ["tests/test_improved.py", "tests/test_recipes.py"],
    "nn/anatomy.py": ["tests/test_nn_anatomy.py"],
    "nn/ablations.py": ["tests/test_nn_anatomy.py", "tests/test_recipes.py"],
    "nn/modulation.py": ["tests/test_nn_modulation.py"],
    "nn/transformer.py": ["tests/test_nn_transformer.py"],
    "models/tokenizer.py": ["tests/test_models_tokenizer.py"],
    "core/noise.py": ["tests/test_core_noise.py"],
    "widgets/live_sampler.py": ["tests/test_live_sampler.py"],
    "models/captions.py": ["tests/test_models_captions.py"],
    "models/clip_tokens.py": ["tests/test_models_clip_tokens.py"],
    "models/text_to_image.py": ["tests/test_models_text_to_image.py"],
    "models/stable_diffusion.py": ["tests/test_models_stable_diffusion.py"],
    "models/published_sd.py": ["tests/test_models_stable_diffusion.py"],
    "models/kl_autoencoder.py": ["tests/test_models_stable_diffusion.py"],
    "train.py": ["tests/test_train.py"],
    "weights.py": ["tests/test_weights.py"],
    "core/eight_bits.py": ["tests/test_weights.py"],
    "data/scenes.py": ["tests/test_data_scenes.py"],
    "data/oracle.py": ["tests/test_data_scenes.py"],
    "data/emoji.py": ["tests/test_data_emoji.py"],
    "data/prompted.py": ["tests/test_prompted.py"],
    "models/minilm.py": ["tests/test_models_minilm.py"],
    "nn/perceptual.py": ["tests/test_nn_perceptual.py"],
}

MUTANTS = [
    # schedules
    Mutant("diffusion/schedules.py", "(1 - beta).cumprod(0)", "(1 + beta).cumprod(0)", "sign"),
    Mutant(
        "diffusion/schedules.py",
        "_Table(alpha_bar.sqrt())",
        "_Table(alpha_bar)",
        "root: alpha is alpha_bar",
    ),
    Mutant(
        "diffusion/schedules.py",
        "_Table((1 - alpha_bar).sqrt())",
        "_Table(1 - alpha_bar)",
        "root: sigma is a variance",
    ),
    Mutant(
        "diffusion/schedules.py",
        "1 - alpha_bar[1:] / alpha_bar[:-1]",
        "1 - alpha_bar[:-1] / alpha_bar[1:]",
        "index: neighbours swapped",
    ),
    Mutant(
        "diffusion/schedules.py",
        "torch.linspace(0, 1, T + 1, dtype=torch.float64)",
        "torch.linspace(0, 1, T + 2, dtype=torch.float64)",
        "off by one: T + 1 steps",
    ),
    Mutant(
        "diffusion/schedules.py",
        "/ (1 + offset) * math.pi / 2).square()",
        "/ (1 + offset) * math.pi / 2)",
        "root: cosine without its square",
    ),
    Mutant(
        "diffusion/schedules.py",
        "torch.linspace(schedule.T, stop, steps + 1",
        "torch.linspace(schedule.T, 1, steps + 1",
        "index: times end at 1",
    ),
    Mutant(
        "diffusion/schedules.py",
        "(self.alpha(t) / self.sigma(t)).square()",
        "(self.alpha(t) / self.sigma(t))",
        "root: SNR without its square",
    ),
    Mutant(
        "diffusion/schedules.py",
        "return 2 * (self.alpha(t).log()",
        "return (self.alpha(t).log()",
        "factor 2 of the log-SNR",
    ),
    Mutant("diffusion/schedules.py", "** (1 / rho) - high", "** (1 / rho) + high", "sign"),
    Mutant(
        "diffusion/schedules.py",
        "if values.shape != like.shape[:1]:",
        "if False:",
        "a check that never fails",
    ),
    Mutant("diffusion/schedules.py", "clamp(known[-1], known[0])", "double()", "beyond all ratios"),
    # predictions
    Mutant(
        "diffusion/predictions.py",
        "(sigma * out - b * x_t) / (a",
        "(sigma * out + b * x_t) / (a",
        "sign",
    ),
    Mutant(
        "diffusion/predictions.py", "(a * sigma - b * alpha)\n", "(a * sigma + b * alpha)\n", "sign"
    ),
    Mutant("diffusion/predictions.py", "(-sigma, alpha)", "(sigma, alpha)", "sign of v"),
    Mutant("diffusion/predictions.py", "(-sigma, alpha)", "(-alpha, sigma)", "v: swapped"),
    Mutant("diffusion/predictions.py", "-1 / sigma)", "1 / sigma)", "sign of the score"),
    Mutant(
        "diffusion/predictions.py", "(x_t - alpha * x_0) / sigma", "(x_t - x_0) / sigma", "factor"
    ),
    Mutant("diffusion/predictions.py", "/ sigma).square()", "/ sigma)", "root of the weight"),
    Mutant("diffusion/predictions.py", "return sigma / (SIG", "return 1 / (SIG", "c_out"),
    Mutant("diffusion/predictions.py", "* SIGMA_DATA / total", "* SIGMA_DATA", "c_skip"),
    Mutant("diffusion/predictions.py", "return a * out", "return out * sigma / sigma", "0 / 0"),
    # denoiser
    Mutant("diffusion/denoiser.py", "if out.shape != x_t.shape:", "if False:", "unchecked shape"),
    Mutant(
        "diffusion/denoiser.py", "alpha * x_0 + sigma * eps", "sigma * x_0 + alpha * eps", "swapped"
    ),
    Mutant("diffusion/denoiser.py", ".flatten(1).mean(1)", ".flatten(1).sum(1)", "mean is a sum"),
    # forward
    Mutant("diffusion/forward.py", "alpha_t / alpha_s,", "alpha_s / alpha_t,", "swapped"),
    Mutant("diffusion/forward.py", "now - keep**2 * before", "now - keep * before", "root"),
    Mutant(
        "diffusion/forward.py",
        "alpha_s * beta / now",
        "alpha_t * beta / now",
        "index: alpha of t for alpha of s",
    ),
    Mutant("diffusion/forward.py", "sigma_s**2, sigma_t**2", "sigma_t**2, sigma_s**2", "swapped"),
    Mutant(
        "diffusion/forward.py",
        "beta * before / now",
        "beta * now / before",
        "index: noise of s over noise of t",
    ),
    Mutant("diffusion/forward.py", "t.double() if", "t if", "times in float32"),
    # samplers
    Mutant("diffusion/samplers.py", "spread.sqrt() * randn", "spread * randn", "root"),
    Mutant(
        "diffusion/samplers.py",
        "torch.where(spread > 0, beta, 0)",
        "beta",
        "noise at the last step too",
    ),
    Mutant(
        "diffusion/samplers.py",
        'if variance == "large":',
        'if variance == "small":',
        "small and large swapped",
    ),
    Mutant(
        "diffusion/samplers.py",
        "return alpha_s * x_0 + sigma_s * eps",
        "return alpha_s * x_0 + sigma_t * eps",
        "index",
    ),
    Mutant("diffusion/samplers.py", ".variance, x_t).sqrt()", ".variance, x_t)", "root"),
    Mutant("diffusion/samplers.py", "(sigma_s**2 - fresh**2)", "(sigma_s**2 - fresh)", "root"),
    Mutant(
        "diffusion/samplers.py", "(n_s - n_t) * slope)", "(n_t - n_s) * slope)", "sign of Euler"
    ),
    Mutant(
        "diffusion/samplers.py",
        "(slope_t + slope_s) / 2",
        "slope_t",
        "Heun without its second slope",
    ),
    Mutant(
        "diffusion/samplers.py",
        "denoise(alpha_s * z_s, s)",
        "denoise(alpha_s * z_s, t)",
        "index: second slope at t",
    ),
    Mutant(
        "diffusion/samplers.py",
        "for t, s in pairwise(times)",
        "for s, t in pairwise(times)",
        "order",
    ),
    # latents
    Mutant("diffusion/latents.py", "for one_s, one_t in", "for one_t, one_s in", "index"),
    Mutant("diffusion/latents.py", "alpha_t / alpha_s * x", "alpha_s / alpha_t * x", "swapped"),
    Mutant("diffusion/latents.py", "(sigma_t - alpha_t", "(sigma_t + alpha_t", "sign"),
    Mutant(
        "diffusion/latents.py",
        "denoise(x_t, t), x_t, alpha_t, sigma_t",
        "denoise(x_t, s), x_t, alpha_t, sigma_t",
        "index: the network hears s",
    ),
    Mutant(
        "diffusion/latents.py",
        "denoise(x_t, t), x_t, alpha_t, sigma_t",
        "denoise(x_t, t), x_t, alpha_s, sigma_s",
        "index: x_t is believed to be at s",
    ),
    Mutant(
        "diffusion/latents.py",
        "            x_t = alpha_t /",
        "            x = alpha_t /",
        "guess never used",
    ),
    Mutant(
        "diffusion/latents.py",
        "(times.diff() > 0)",
        "(times.diff() >= 0)",
        "a check that lets equal times through",
    ),
    Mutant("diffusion/latents.py", "if repeats < 1:", "if repeats < 0:", "off by one"),
    Mutant("diffusion/latents.py", "((1 - w) * angle)", "(1 - w * angle)", "brackets"),
    Mutant(
        "diffusion/latents.py",
        "angle.sin(), (w * angle).sin() / angle.sin()",
        "angle.sin(), (w * angle).sin()",
        "not divided by the sine",
    ),
    Mutant(
        "diffusion/latents.py",
        "shaped(on_a, a) * a + shaped(on_b, b) * b",
        "shaped(on_b, a) * a + shaped(on_a, b) * b",
        "the ends swapped",
    ),
    Mutant(
        "diffusion/latents.py",
        "a.flatten(1), b.flatten(1)",
        "a, b",
        "one angle for each row, not each example",
    ),
    Mutant(
        "diffusion/latents.py",
        "(angle.sin() < 2e-3).any()",
        "(angle < 2e-3).any()",
        "opposite ends are let through",
    ),
    # training
    Mutant(
        "diffusion/training.py",
        "torch.randint(1, schedule.T + 1",
        "torch.randint(0, schedule.T",
        "off by one",
    ),
    Mutant("diffusion/training.py", "max=schedule.T - 1) + 1", "max=schedule.T - 1)", "off by one"),
    Mutant(
        "diffusion/training.py",
        "torch.rand(1, device=device)) / n",
        "0.5) / n",
        "no random offset: few times are ever seen",
    ),
    Mutant(
        "diffusion/training.py",
        "times[torch.randperm(n, device=device)]",
        "times",
        "times stay sorted",
    ),
    Mutant("diffusion/training.py", "s, noise = t - 1", "s, noise = t", "index"),
    Mutant("diffusion/training.py", "(beta[t] / noise[t]) ** 2", "(beta[t] / noise[t])", "root"),
    Mutant("diffusion/training.py", "distance / (2 * spread)", "distance / spread", "factor 2"),
    Mutant(
        "diffusion/training.py",
        "beta[t] * noise[s] / noise[t]",
        "beta[t] * noise[t] / noise[s]",
        "swapped",
    ),
    # guidance by a classifier
    Mutant(
        "diffusion/guidance.py",
        "denoise(x_t, t) + scale * sigma**2 / alpha",
        "denoise(x_t, t) - scale * sigma**2 / alpha",
        "sign",
    ),
    Mutant("diffusion/guidance.py", "scale * sigma**2 / alpha", "scale * sigma / alpha", "root"),
    Mutant("diffusion/guidance.py", "scale * sigma**2 / alpha", "scale * sigma**2", "alpha"),
    Mutant("diffusion/guidance.py", "grad(value.sum(), x)", "grad(value.mean(), x)", "mean"),
    Mutant(
        "diffusion/guidance.py",
        "classifier(x_t, t).log_softmax(1)",
        "classifier(x_t, t)",
        "a logit for a log-probability",
    ),
    Mutant(
        "diffusion/guidance.py", "if value.shape != x.shape[:1]:", "if False:", "unchecked shape"
    ),
    # exact
    Mutant(
        "diffusion/exact.py",
        "self._log_joint(x_t, alpha, sigma).log_softmax(1)",
        "self._log_joint(x_t, alpha, sigma)",
        "not normalised",
    ),
    Mutant(
        "diffusion/exact.py",
        "a**2 * self.variances + s**2)\n        shift",
        "a**2 * self.variances + s)\n        shift",
        "root of the gain",
    ),
    Mutant("diffusion/exact.py", "-offset / self.variances", "offset / self.variances", "sign"),
    Mutant(
        "diffusion/exact.py",
        "alpha**2 * covariances + noise",
        "alpha * covariances + noise",
        "root",
    ),
    Mutant(
        "diffusion/exact.py",
        "square + variance.log().sum(2)",
        "square - variance.log().sum(2)",
        "sign of the determinant",
    ),
    Mutant(
        "diffusion/exact.py",
        "self.variances.sqrt()[:, None, :]",
        "self.variances[:, None, :]",
        "root",
    ),
    Mutant(
        "diffusion/exact.py",
        'einsum("kij,bki->bkj"',
        'einsum("kij,bkj->bki"',
        "index: axes not turned",
    ),
    Mutant("diffusion/exact.py", "- 2 * alpha * (x_t", "- alpha * (x_t", "factor 2"),
    Mutant("diffusion/exact.py", "(2 * sigma**2)).softmax(1)", "(2 * sigma)).softmax(1)", "root"),
    # likelihood
    Mutant("diffusion/likelihood.py", "(var_p / var_q).log()", "(var_q / var_p).log()", "swapped"),
    Mutant("diffusion/likelihood.py", "/ var_p - 1)", "/ var_q - 1)", "index"),
    Mutant(
        "diffusion/likelihood.py", "sigma**2, torch.zeros_like", "sigma, torch.zeros_like", "root"
    ),
    Mutant("diffusion/likelihood.py", "nats / math.log(2)", "nats * math.log(2)", "nats to bits"),
    Mutant(
        "diffusion/likelihood.py",
        'vlb_weight(schedule, t, "x_0", variance)',
        'vlb_weight(schedule, t, "eps", variance)',
        "weight of another row",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "beta[t] * noise[t - 1] / noise[t]",
        "beta[t] * noise[t] / noise[t - 1]",
        "swapped",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "- math.log2(bin_width)",
        "+ math.log2(bin_width)",
        "sign",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "nats_to_bits(-log_density / dims)",
        "nats_to_bits(-log_density)",
        "bits of the whole picture",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "(t == 1).view(sigma.shape), guess, x_0)",
        "(t == 0).view(sigma.shape), guess, x_0)",
        "the decoder is given the truth",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "float(schedule.beta[1].sqrt())",
        "float(schedule.beta[1])",
        "root: the decoder's width is a variance",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "-log_p / x_0.shape[1:].numel()",
        "-log_p / len(x_0)",
        "divides by the batch",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "torch.where(t == 1, decoder.to(step.dtype), step)",
        "torch.where(t != 1, decoder.to(step.dtype), step)",
        "swapped",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "torch.arange(1, schedule.T + 1, device=images.device)",
        "torch.arange(schedule.T, 0, -1, device=images.device)",
        "rows in the order of sampling",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "torch.arange(len(times), device=images.device) % len(images)",
        "torch.arange(len(times), device=images.device) % draws % len(images)",
        "the same few pictures at every time",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "-0.5 * slope * schedule.snr(t)",
        "-slope * schedule.snr(t)",
        "factor 2",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "slope * schedule.snr(t) * error",
        "slope * error",
        "the slope of log SNR for that of SNR",
    ),
    # coding
    Mutant(
        "diffusion/coding.py",
        "int(self.below(k) * (TOTAL - self.count)) + k",
        "int(self.below(k) * TOTAL)",
        "a symbol may be left without a unit",
    ),
    Mutant(
        "diffusion/coding.py",
        "law.cdf(low + k * width)",
        "law.cdf(low + (k + 0.5) * width)",
        "half a bin off",
    ),
    Mutant(
        "diffusion/coding.py",
        "return 0.0 if k == 0 else 1.0 if k == count else",
        "return 1.0 if k == count else",
        "a closed end",
    ),
    Mutant(
        "diffusion/coding.py",
        "divmod(self.number, law.start(k + 1) - start)",
        "divmod(self.number, law.start(k + 1))",
        "a share too large",
    ),
    Mutant(
        "diffusion/coding.py",
        "self.number = high * TOTAL + start + low",
        "self.number = high * TOTAL + low",
        "every symbol in the first slot",
    ),
    Mutant(
        "diffusion/coding.py",
        "for law in reversed(laws):",
        "for law in laws:",
        "a queue, not a stack",
    ),
    Mutant(
        "diffusion/coding.py",
        "return symbols[::-1]",
        "return symbols",
        "symbols in reverse",
    ),
    Mutant(
        "diffusion/coding.py",
        "if law.start(middle) <= slot",
        "if law.start(middle) < slot",
        "off by one",
    ),
    Mutant(
        "diffusion/coding.py",
        "(law.start(k + 1) - start) + slot - start",
        "(law.start(k + 1) - start) + slot",
        "the waiting bits come back changed",
    ),
    # bits
    Mutant(
        "diffusion/discrete.py",
        "(1 - keep) * schedule.rate",
        "(1 - keep) / 2",
        "the rate is forgotten",
    ),
    Mutant(
        "diffusion/discrete.py",
        "1 / torch.arange(T, 0, -1",
        "1 / torch.arange(T + 1, 1, -1",
        "off by one",
    ),
    Mutant(
        "diffusion/discrete.py",
        "(1 - beta).cumprod(0), rate)",
        "1 - beta, rate)",
        "one step in place of the product",
    ),
    Mutant(
        "diffusion/discrete.py",
        "marginal(schedule, x_0, t - 1)",
        "marginal(schedule, x_0, t)",
        "index",
    ),
    Mutant(
        "diffusion/discrete.py",
        "1 - beta * (1 - rate), beta * (1 - rate)",
        "1 - beta, beta",
        "a redraw is a flip",
    ),
    Mutant(
        "diffusion/discrete.py",
        "(one, beta * rate, 1 - beta * rate)",
        "(one, 1 - beta * rate, beta * rate)",
        "swapped",
    ),
    Mutant(
        "diffusion/discrete.py",
        "chance * if_one + (1 - chance) * if_zero",
        "posterior(schedule, x_t, chance, t)",
        "the posterior of the mean for the mean of the posteriors",
    ),
    Mutant(
        "diffusion/discrete.py",
        "torch.xlogy(q, q) - torch.xlogy(q, p)",
        "torch.xlogy(p, p) - torch.xlogy(p, q)",
        "swapped",
    ),
    Mutant(
        "diffusion/discrete.py",
        "return nats.clamp(min=0) / math.log(2)",
        "return nats.clamp(min=0)",
        "nats are called bits",
    ),
    Mutant(
        "diffusion/discrete.py",
        "x_t, t)).flatten(1).sum(1)",
        "x_t, t)).flatten(1).mean(1)",
        "sum is a mean",
    ),
    Mutant(
        "diffusion/discrete.py", "for t in (1, schedule.T))", "for t in (0, schedule.T))", "index"
    ),
    Mutant("diffusion/discrete.py", "(entropy - null)", "(entropy + null)", "sign"),
    Mutant(
        "diffusion/discrete.py",
        ".log().sum(2).softmax(1)",
        ".log().sum(2).softmax(0)",
        "index: weights add up to 1 over the batch",
    ),
    Mutant(
        "diffusion/discrete.py",
        "range(schedule.T, 0, -1)",
        "range(schedule.T, 1, -1)",
        "off by one",
    ),
    Mutant(
        "diffusion/discrete.py",
        "self.net(2 * x_t - 1, t)",
        "self.net(x_t, t)",
        "the network sees 0 and 1",
    ),
    Mutant(
        "diffusion/discrete.py", "if not 0 < rate < 1:", "if False:", "a check that never fails"
    ),
    Mutant("diffusion/discrete.py", "@ sequences).clamp(max=1)", "@ sequences)", "more than 1"),
    Mutant("diffusion/discrete.py", "bool((t < 0).any()):", "False:", "-1 is the last time"),
    # the learned Gaussian step
    Mutant(
        "diffusion/reverse.py",
        "shift, log_odds = out.chunk",
        "log_odds, shift = out.chunk",
        "swapped",
    ),
    Mutant(
        "diffusion/reverse.py", "mean = (1 - beta).sqrt() * x_t", "mean = (1 - beta) * x_t", "root"
    ),
    Mutant("diffusion/reverse.py", "+ beta.sqrt() * shift", "+ beta * shift", "root"),
    Mutant(
        "diffusion/reverse.py",
        "torch.logit(beta) + log_odds",
        "beta + log_odds",
        "a chance is taken for log-odds",
    ),
    Mutant("diffusion/reverse.py", " * shaped(t > 1, x_t)", "", "the first step is learned too"),
    Mutant("diffusion/reverse.py", "density = 0.5 * (", "density = (", "factor 2"),
    Mutant("diffusion/reverse.py", "math.pi * variance)", "math.pi * variance.sqrt())", "root"),
    Mutant(
        "diffusion/reverse.py",
        "gaussian_kl(mean_q, torch.where(last, 1, variance_q), mean, variance)",
        "gaussian_kl(mean, variance, mean_q, torch.where(last, 1, variance_q))",
        "swapped",
    ),
    Mutant(
        "diffusion/reverse.py",
        "density, kl).flatten(1).sum(1)",
        "density, kl).flatten(1).mean(1)",
        "sum is a mean",
    ),
    Mutant(
        "diffusion/reverse.py",
        "(math.log(2) * x_0.shape[1:].numel())",
        "math.log(2)",
        "per dimension for per example",
    ),
    Mutant(
        "diffusion/reverse.py",
        "range(1, model.schedule.T + 1)",
        "range(1, model.schedule.T)",
        "off by one",
    ),
    Mutant(
        "diffusion/reverse.py",
        "mean + variance.sqrt() * randn_like(x) if",
        "mean + variance * randn_like(x) if",
        "root",
    ),
    Mutant(
        "diffusion/reverse.py",
        "randn_like(x) if t > 1 else mean",
        "randn_like(x)",
        "noise at the last step too",
    ),
    Mutant(
        "diffusion/reverse.py",
        "if float(schedule.beta.max()) >= 1:",
        "if False:",
        "a check that never fails",
    ),
    # Langevin
    Mutant(
        "diffusion/langevin.py", "x + step * score(x) +", "x - step * score(x) +", "sign: downhill"
    ),
    Mutant("diffusion/langevin.py", "(2 * step) ** 0.5", "step**0.5", "factor 2 under the root"),
    Mutant("diffusion/langevin.py", "(2 * step) ** 0.5", "(2 * step)", "root"),
    Mutant("diffusion/langevin.py", "return -eps_from(", "return eps_from(", "sign of the score"),
    Mutant(
        "diffusion/langevin.py",
        "x, alpha, sigma) / sigma",
        "x, alpha, sigma)",
        "eps is taken for the score",
    ),
    Mutant(
        "diffusion/langevin.py", "rate * sigma**2, randn_like", "rate * sigma, randn_like", "root"
    ),
    Mutant(
        "diffusion/langevin.py", "in range(moves)", "in range(1)", "one move, whatever `moves` says"
    ),
    Mutant(
        "diffusion/langevin.py",
        "if denoise_last and bool((s == 0).all()):",
        "if denoise_last:",
        "the denoiser answers at every level",
    ),
    Mutant("diffusion/langevin.py", "((1 - rate) * sigma_t)", "((1 - rate) * sigma_s)", "index"),
    Mutant(
        "diffusion/langevin.py", "((1 - rate) * sigma_t)", "((1 - rate) ** 0.5 * sigma_t)", "root"
    ),
    Mutant(
        "diffusion/langevin.py", ".minimum(sigma_s)", "", "a coarse ladder keeps too much noise"
    ),
    Mutant("diffusion/langevin.py", "kept / sigma_t * (x_t", "kept * (x_t", "factor"),
    Mutant(
        "diffusion/langevin.py",
        "(sigma_s**2 - kept**2)",
        "(sigma_s - kept).square()",
        "standard deviations are subtracted",
    ),
    Mutant(
        "diffusion/langevin.py", "if not 0 < rate <= 1:", "if False:", "a check that never fails"
    ),
    # score matching
    Mutant(
        "diffusion/score_matching.py",
        "for axis in axes]).sum(0)",
        "for axis in axes]).mean(0)",
        "sum is a mean",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "for w in v]).mean(0)",
        "for w in v]).sum(0)",
        "mean is a sum",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "(pulled * v).flatten(1)",
        "pulled.flatten(1)",
        "v once, not twice",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "create_graph=torch.is_grad_enabled()",
        "create_graph=False",
        "the trace teaches nothing",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "_half_square(out) + trace",
        "_half_square(out) - trace",
        "sign",
    ),
    Mutant(
        "diffusion/score_matching.py",
        ".square().mean(0) / 2",
        ".mean(0).square() / 2",
        "order: the square of the mean",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "    if variance_reduced:",
        "    if not variance_reduced:",
        "swapped",
    ),
    Mutant("diffusion/score_matching.py", "+ eps / sigma)", "- eps / sigma)", "sign"),
    Mutant("diffusion/score_matching.py", "+ eps / sigma)", "+ eps / sigma**2)", "root"),
    Mutant(
        "diffusion/score_matching.py",
        "x.flatten(1).square().sum(1) / 2",
        "x.flatten(1).square().sum(1)",
        "factor 2",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "x = x.detach().requires_grad_()",
        "x = x.requires_grad_()",
        "missing detach",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "with torch.enable_grad():",
        "if True:",
        "no gradient under no_grad",
    ),
    Mutant(
        "diffusion/score_matching.py",
        "if not bool((sigma > 0).all()):",
        "if False:",
        "a check that never fails",
    ),
    # multiplying by r(x)
    Mutant("diffusion/perturb.py", "mean + variance * slope", "mean - variance * slope", "sign"),
    Mutant(
        "diffusion/perturb.py", "mean + variance * slope", "mean + variance.sqrt() * slope", "root"
    ),
    Mutant(
        "diffusion/perturb.py",
        "variance / (variance + spread)",
        "spread / (variance + spread)",
        "swapped",
    ),
    Mutant(
        "diffusion/perturb.py",
        "variance / (variance + spread)",
        "variance / (variance + spread**2)",
        "root: spread is a variance",
    ),
    Mutant(
        "diffusion/perturb.py",
        "variance * (1 - pull)  #",
        "variance  #",
        "the product is as wide as its factor",
    ),
    Mutant("diffusion/perturb.py", "+ (1 - chance) * zero", "+ zero", "factor"),
    Mutant("diffusion/perturb.py", "return chance * one /", "return chance * zero /", "swapped"),
    Mutant("diffusion/perturb.py", "(total == 0).any()", "(total < 0).any()", "0 / 0"),
    Mutant(
        "diffusion/perturb.py", "(one + zero == 0)", "(one * 0 != 0)", "a check that never fails"
    ),
    Mutant("diffusion/perturb.py", "(one < 0) | (zero < 0)", "(one < 0)", "half a check"),
    # continuous time
    Mutant(
        "diffusion/sde.py",
        "return torch.exp(-_integral(t, slowest, fastest) / 2)",
        "return torch.exp(-_integral(t, slowest, fastest))",
        "root: alpha is alpha_bar",
    ),
    Mutant(
        "diffusion/sde.py",
        "(-torch.expm1(-_integral(t, slowest, fastest))).sqrt()",
        "-torch.expm1(-_integral(t, slowest, fastest))",
        "root: sigma is a variance",
    ),
    Mutant(
        "diffusion/sde.py",
        "low * (high / low) ** t",
        "low + (high - low) * t",
        "a geometric ladder, not an even one",
    ),
    Mutant(
        "diffusion/sde.py",
        "f = _slope(schedule.alpha(time).log(), time)",
        "f = _slope(schedule.alpha(time), time)",
        "slope of alpha, not of its logarithm",
    ),
    Mutant("diffusion/sde.py", "fall = -_slope(", "fall = _slope(", "sign"),
    Mutant(
        "diffusion/sde.py",
        "schedule.sigma(time).detach().square() * fall",
        "schedule.sigma(time).detach() * fall",
        "root: g² for g",
    ),
    Mutant(
        "diffusion/sde.py",
        "torch.inference_mode(False), torch.enable_grad()",
        "torch.enable_grad()",
        "slopes of 0 in inference mode",
    ),
    Mutant(
        "diffusion/sde.py",
        "x_t, alpha, sigma) / sigma",
        "x_t, alpha, sigma) / sigma**2",
        "factor of the score",
    ),
    Mutant("diffusion/sde.py", "f * x_t - (1", "f * x_t + (1", "sign of the score"),
    Mutant(
        "diffusion/sde.py",
        "(1 + noise**2) / 2 * g2",
        "(1 + noise) / 2 * g2",
        "root: noise is a spread",
    ),
    Mutant(
        "diffusion/sde.py",
        "noise * (g2 * width).sqrt()",
        "noise * g2 * width.sqrt()",
        "root: g twice",
    ),
    Mutant(
        "diffusion/sde.py",
        "torch.where(s > 0, noise",
        "torch.where(s >= 0, noise",
        "noise at the last step too",
    ),
    Mutant(
        "diffusion/sde.py",
        "x_t - shaped(width, x_t) * drift",
        "x_t + shaped(width, x_t) * drift",
        "sign of time",
    ),
    Mutant(
        "diffusion/sde.py",
        "x_s, s, s, moves=moves",
        "x_s, t, t, moves=moves",
        "index: corrects at the time it left",
    ),
    Mutant(
        "diffusion/sde.py",
        "(fastest - slowest) * t**2 / 2",
        "(fastest - slowest) * t**2",
        "factor of an integral",
    ),
    Mutant("diffusion/ode.py", "-2187 / 6784", "2187 / 6784", "sign of a weight"),
    Mutant("diffusion/ode.py", "(-71 / 57600,", "(71 / 57600,", "sign: errors that do not cancel"),
    Mutant("diffusion/ode.py", "t + share * step", "t + step", "index: every slope at the end"),
    Mutant("diffusion/ode.py", "if error <= 1:", "if True:", "a check that never fails"),
    Mutant(
        "diffusion/ode.py",
        "asked += len(slopes) - 1",
        "asked += len(slopes)",
        "off by one: the last slope is the next first",
    ),
    Mutant(
        "diffusion/ode.py",
        "0.9 * max(error, 1e-10) ** -0.2",
        "0.9 * max(error, 1e-10) ** 0.2",
        "sign: longer where it is worse",
    ),
    Mutant(
        "diffusion/ode.py",
        "return gathered - nats.sum(1)",
        "return -gathered - nats.sum(1)",
        "sign of the integral",
    ),
    Mutant("diffusion/ode.py", "(code / sigma).square()", "code.square()", "width of the prior"),
    Mutant("diffusion/ode.py", "+ math.log(sigma) +", "+", "constant of the prior"),
    # modulation and style
    Mutant("nn/modulation.py", "(1 + scale) * self.norm", "scale * self.norm", "1 + scale"),
    Mutant(
        "nn/modulation.py",
        "(1 + scale) * self.norm(h) + shift",
        "self.norm((1 + scale) * h + shift)",
        "normalised last",
    ),
    Mutant("nn/modulation.py", "nn.InstanceNorm2d(channels)", "None", "AdaIN without its norm"),
    Mutant(
        "nn/modulation.py", "PixelNorm(), gate=True, zero=True", "PixelNorm(), gate=True", "zero"
    ),
    Mutant("nn/modulation.py", "x + gate * self.conv2", "x + self.conv2", "no gate"),
    Mutant(
        "nn/modulation.py",
        "torch.cat([x_t, planes], dim=1)",
        "torch.cat([x_t, 0 * planes], 1)",
        "no time",
    ),
    Mutant(
        "models/style.py", "coarse[:, :crossover], fine", "fine[:, :crossover], coarse", "swapped"
    ),
    Mutant("models/style.py", "critic(made.detach())", "critic(made)", "gradients cross"),
    Mutant("models/style.py", "F.softplus(-critic(x_0))", "F.softplus(critic(x_0))", "sign"),
    Mutant(
        "models/style.py",
        "functional_call(critic, frozen, (made,))",
        "critic(made)",
        "gradients cross",
    ),
    Mutant("models/style.py", "styles[:, layer])", "styles[:, 0])", "one style for all layers"),
    Mutant(
        "models/style.py",
        "if styles.shape[1] != self.layers:",
        "if False:",
        "a check that never fails",
    ),
    # vae
    Mutant("models/vae.py", "-(0.5 * square + std.log()", "-(square + std.log()", "factor 2"),
    Mutant(
        "models/vae.py",
        "std.log() + 0.5 * math.log(2 * math.pi)",
        "std.log()",
        "the density does not integrate to 1",
    ),
    Mutant("models/vae.py", "return -F.binary_cross", "return F.binary_cross", "sign"),
    Mutant(
        "models/vae.py",
        "if not bool(((x == 0) | (x == 1)).all()):",
        "if False:",
        "a check that never fails",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "half = 1 / (levels - 1)\n    # A bin",
        "half = 1 / levels\n    # A bin",
        "off by one",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "offset = -(x - mean).abs()",
        "offset = x - mean",
        "a difference of two ones in the upper tail",
    ),
    Mutant("models/vae.py", "expm1(-2 * half / scale)", "expm1(-half / scale)", "factor 2"),
    Mutant(
        "diffusion/likelihood.py",
        "x < -1 + half, below, torch.where(x > 1 - half, above, inside)",
        "x < -1 + half, above, torch.where(x > 1 - half, below, inside)",
        "swapped",
    ),
    Mutant(
        "diffusion/likelihood.py",
        "log_mass.flatten(1).sum(1)",
        "log_mass.flatten(1).mean(1)",
        "sum is a mean",
    ),
    Mutant(
        "models/vae.py",
        "scale.clamp(*LOG_SCALES).exp(), levels",
        "scale.exp(), levels",
        "no limit to what a decoder may claim",
    ),
    Mutant("models/vae.py", "steps.round() * 2", "steps.floor() * 2", "rounds down"),
    Mutant(
        "models/vae.py",
        "mean, log_var = self.encoder(x).chunk",
        "log_var, mean = self.encoder(x).chunk",
        "swapped",
    ),
    Mutant("models/vae.py", "beta * kl.sum(1) - log", "beta * kl.mean(1) - log", "sum is a mean"),
    Mutant(
        "models/vae.py", "mean + (0.5 * log_var).exp() * eps", "mean + log_var.exp() * eps", "root"
    ),
    Mutant(
        "models/vae.py",
        "mean + (0.5 * log_var).exp() * eps",
        "mean.detach() + (0.5 * log_var).exp() * eps",
        "a detach too many",
    ),
    Mutant(
        "models/vae.py",
        "gaussian_kl(mean, log_var.exp(), torch.zeros_like(mean), torch.ones_like(mean))",
        "gaussian_kl(torch.zeros_like(mean), torch.ones_like(mean), mean, log_var.exp())",
        "swapped",
    ),
    Mutant(
        "models/vae.py", "log_var + 2 * math.log(widen)", "log_var + math.log(widen)", "factor 2"
    ),
    Mutant(
        "models/vae.py",
        "e.square() - z.square() + log_var)",
        "e.square() - z.square() - log_var)",
        "sign",
    ),
    Mutant(
        "models/vae.py",
        "weights.logsumexp(0) - math.log(len(weights))",
        "weights.mean(0)",
        "the mean of logarithms: the ELBO again",
    ),
    # evaluation
    Mutant(
        "evaluation.py",
        "with_floor(frechet_distance, seen, test, real)",
        "with_floor(frechet_distance, real, test, seen)",
        "order: samples and floor swapped",
    ),
    Mutant(
        "evaluation.py",
        "precision_recall(a, b)[0]",
        "precision_recall(a, b)[1]",
        "index: recall for precision",
    ),
    Mutant(
        "evaluation.py",
        "nearest[:, 0] / nearest[:, 1].clamp(min=1e-6)",
        "nearest[:, 0]",
        "the nearest picture alone, not the ratio",
    ),
    Mutant("evaluation.py", "sum(real) / sets, len(rows)", "sum(real), len(rows)", "sum for mean"),
    Mutant(
        "evaluation.py",
        "F.avg_pool2d(samples.detach().cpu().float().clamp(-1, 1), side // 32)",
        "samples.detach().cpu().float().clamp(-1, 1)[..., :32, :32]",
        "a corner for the whole",
    ),
    Mutant("evaluation.py", "levels=3", "levels=4", "another level"),
    Mutant("evaluation.py", "recall_at(seen @ texts.T, k,", "recall_at(seen @ texts.T, 1,", "k"),
    Mutant("evaluation.py", "< _odd(against)", "> _odd(against)", "sign: what is no copy"),
    Mutant("evaluation.py", "self.copies.value > ALARM", "self.copies.value < ALARM", "sign"),
    Mutant(
        "evaluation.py",
        "net.head(seen * net.std + net.mean)",
        "net.head(seen)",
        "range: the head reads features as they were before they were standardised",
    ),
    Mutant(
        "evaluation.py",
        "to_pixels(samples.detach().cpu(), REAL[against].top)",
        "to_pixels(samples.detach().cpu())",
        "range: digits have 17 levels",
    ),
    Mutant(
        "evaluation.py",
        "key=lambda item: item[1].frechet.value",
        "key=lambda item: item[0]",
        "order: by name",
    ),
    # samples
    Mutant(
        "data/samples.py",
        "permute(0, 2, 4, 1, 3).flatten",
        "permute(0, 2, 4, 3, 1).flatten",
        "order: rows for columns",
    ),
    Mutant("data/samples.py", '[: entry["n"]]', "", "off by some: empty places are pictures"),
    Mutant("data/samples.py", "-(-n // COLUMNS)", "n // COLUMNS", "the last row is lost"),
    # metrics
    Mutant("metrics.py", "- 2 * overlap", "- overlap", "factor 2"),
    Mutant("metrics.py", "float(apart + root_a", "float(apart.sqrt() + root_a", "root"),
    Mutant("metrics.py", "root_a.T @ root_b", "root_a @ root_b", "index: not turned"),
    Mutant(
        "metrics.py",
        "vectors * values.clamp(min=0).sqrt()",
        "vectors * values.clamp(min=0)",
        "root",
    ),
    Mutant(
        "metrics.py",
        " - own_a[diagonal].sum() - own_b[diagonal].sum()",
        "",
        "each row is compared with itself",
    ),
    Mutant("metrics.py", "within / (n * (n - 1)) -", "within / n**2 -", "off by one: biased"),
    Mutant(
        "metrics.py", ".div_(a.shape[1]).add_(1)", ".add_(1)", "factor: the kernel without its 1/d"
    ),
    Mutant("metrics.py", "4 * (n - 2) * between", "2 * (n - 2) * between", "factor 2 of the error"),
    Mutant(
        "metrics.py", "        h[diagonal] = 0\n", "", "a pair with itself counts for the error"
    ),
    Mutant(
        "metrics.py",
        "directions /= directions.norm(dim=0)",
        "directions /= directions.norm(dim=1, keepdim=True)",
        "index: directions are not of length 1",
    ),
    Mutant(
        "metrics.py",
        "cost.mean() ** (1 / power)",
        "(cost ** (1 / power)).mean()",
        "order: the root comes last",
    ),
    Mutant("metrics.py", "return 2 * _sum_of_distances", "return _sum_of_distances", "factor 2"),
    Mutant("metrics.py", "(len(b) * (len(b) - less))", "(len(b) * len(b))", "off by one: biased"),
    Mutant(
        "metrics.py",
        "k + 1, largest=False).values[:, k]",
        "k, largest=False).values[:, k - 1]",
        "off by one: a row is its own neighbour",
    ),
    Mutant(
        "metrics.py",
        "return _share_inside(samples, real, k), _share_inside(real, samples, k)",
        "return _share_inside(real, samples, k), _share_inside(samples, real, k)",
        "swapped",
    ),
    Mutant(
        "metrics.py",
        "a.double() - centre, b.double() - centre",
        "a.double(), b.double()",
        "digits are lost far from 0",
    ),
    Mutant(
        "metrics.py",
        "float(metric(real_b, real_a))",
        "float(metric(real_a, real_a))",
        "the floor is 0",
    ),
    Mutant(
        "metrics.py", "if len(samples) != len(real_b):", "if False:", "a check that never fails"
    ),
    # heartbeats
    Mutant(
        "data/sequences.py", "place % PERIOD ==", "place // PERIOD ==", "ones in a row, not a pulse"
    ),
    Mutant(
        "data/sequences.py", "torch.arange(PERIOD)", "torch.arange(1, PERIOD + 1)", "off by one"
    ),
    Mutant(
        "data/sequences.py",
        "torch.randint(PERIOD, (n,)",
        "torch.randint(PERIOD - 1, (n,)",
        "off by one: one beat is never drawn",
    ),
    Mutant("data/sequences.py", "manual_seed(seed)", "manual_seed(0)", "every seed is the same"),
    Mutant("data/sequences.py", "(n,), generator=generator)", "(n,))", "the seed is not used"),
    Mutant("data/sequences.py", "if n < 1:", "if n < 0:", "off by one: none at all is let through"),
    # networks
    Mutant("nn/attention.py", "/ math.sqrt(query.shape[-1])", "/ query.shape[-1]", "root"),
    Mutant(
        "nn/attention.py", "torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=-2)", "index"
    ),
    Mutant("nn/attention.py", "return x + mixed", "return mixed", "no shortcut"),
    Mutant("nn/attention.py", "masked_fill(~mask,", "masked_fill(mask,", "mask inside out"),
    Mutant("nn/attention.py", "device=device).tril()", "device=device).triu()", "sees the future"),
    Mutant("nn/attention.py", "(self.value, look_at))", "(self.value, x))", "values of the asker"),
    Mutant("nn/attention.py", "return x + read", "return read", "no shortcut"),
    Mutant("nn/attention.py", "mask[:, None, None]", "None", "padding is read"),
    Mutant("nn/transformer.py", "mask & causal_mask", "mask | causal_mask", "padding is seen"),
    Mutant("nn/transformer.py", "+ self.place[:count]", "", "no positions"),
    Mutant("nn/transformer.py", "return tokens != self.pad", "return tokens == tokens", "padding"),
    Mutant("nn/transformer.py", "self.attend(self.norm1(x)", "self.attend((x)", "no norm"),
    Mutant("nn/transformer.py", "x + self.think", "self.think", "no shortcut"),
    Mutant("nn/transformer.py", "torch.sigmoid(1.702 * x)", "torch.sigmoid(x)", "SiLU"),
    Mutant(
        "nn/transformer.py", "if self.pad is None:", "if self.pad is True:", "padding is hidden"
    ),
    Mutant("nn/attention.py", "values * F.gelu(gates)", "gates * F.gelu(values)", "halves swapped"),
    Mutant("nn/attention.py", "h = h + self.read(", "h = self.read(", "no shortcut"),
    Mutant("nn/attention.py", "self.norms[1](h), context,", "self.norms[1](h), h,", "reads pixels"),
    Mutant("nn/blocks.py", "scale_factor=2.0", "scale_factor=3.0", "grows too much"),
    Mutant("diffusion/solvers.py", "(3 / 2, -1 / 2)", "(1 / 2, 1 / 2)", "Adams' weights"),
    Mutant("diffusion/solvers.py", "[eps, *self._known[:3]]", "[*self._known[:3], eps]", "order"),
    Mutant(
        "diffusion/solvers.py",
        "denoise(there, s), there, alpha_s",
        "denoise(there, t), there, alpha_s",
        "time of the second question",
    ),
    Mutant(
        "diffusion/schedules.py",
        "T, dtype=torch.float64).square())",
        "T, dtype=torch.float64))",
        "roots",
    ),
    Mutant("diffusion/schedules.py", "-1, -1) * stride + 2", "-1, -1) * stride + 1", "offset"),
    Mutant("models/clip_tokens.py", 'parts[-1] += "</w>"', 'parts[0] += "</w>"', "first, not last"),
    Mutant("models/clip_tokens.py", "key=self._ranks.__getitem__", "key=str", "order of merges"),
    Mutant("models/clip_tokens.py", "[: length - 2]]", "[: length - 1]]", "END is cut off"),
    Mutant("models/clip_tokens.py", "sign.lower() for", "sign for", "capitals"),
    Mutant(
        "models/text_to_image.py",
        "steps - int(steps * strength)",
        "int(steps * strength)",
        "strength upside down",
    ),
    Mutant("models/text_to_image.py", "return alpha * z + sigma", "return z + sigma", "not scaled"),
    Mutant(
        "models/text_to_image.py", "where(open_z, noise,", "where(~open_z, noise,", "inside out"
    ),
    Mutant(
        "models/text_to_image.py",
        "where(hole, 0.0, pictures)",
        "where(hole, pictures, 0.0)",
        "grey",
    ),
    Mutant(
        "models/text_to_image.py",
        "where(hole, made, pictures)",
        "where(~hole, made, pictures)",
        "swap",
    ),
    Mutant(
        "models/text_to_image.py", "system.read([negative])", "system.read([prompts[0]])", "away"
    ),
    Mutant(
        "models/stable_diffusion.py",
        "(given.to(dtype), t - 1,",
        "(given.to(dtype), t,",
        "off by one",
    ),
    Mutant("models/stable_diffusion.py", "SCALE = 0.18215", "SCALE = 1.0", "scale forgotten"),
    Mutant("models/stable_diffusion.py", "cat([z_t, beside], 1)", "cat([beside, z_t], 1)", "order"),
    Mutant("models/stable_diffusion.py", ".to(z_t.dtype)", "", "walk in half precision"),
    Mutant(
        "models/kl_autoencoder.py", 'Downsample(width, "right")', 'Downsample(width, "even")', "pad"
    ),
    Mutant("models/kl_autoencoder.py", "self.quantise(self.encoder(", "(self.encoder(", "no 1 x 1"),
    Mutant(
        "models/published_sd.py", "tensor.chunk(2, 1)[::-1]", "tensor.chunk(2, 1)", "cosines first"
    ),
    Mutant(
        "models/published_sd.py", "levels - 1 - int(found[1])", "int(found[1])", "levels in order"
    ),
    Mutant("models/published_sd.py", '(way == "down")', "0", "the stem is not counted"),
    Mutant("models/published_sd.py", "changed=cosines_first, ", "", "not turned round"),
    Mutant("models/published_sd.py", '"v_prediction": "v"', '"v_prediction": "eps"', "prediction"),
    Mutant("nn/transformer.py", "/ there.sum(1)", "/ there.shape[1]", "mean over padding"),
    Mutant("nn/transformer.py", "* there).sum(1)", ").sum(1)", "padding counts"),
    Mutant("models/tokenizer.py", "(-pairs[pair], pair)", "(pairs[pair], pair)", "rarest first"),
    Mutant("models/tokenizer.py", "(-pairs[pair], pair)", "-pairs[pair]", "equals in any order"),
    Mutant("models/tokenizer.py", "pairs[best] < least", "pairs[best] <= least", "off by one"),
    Mutant("models/tokenizer.py", "key=self._ranks.__getitem__", "key=str", "order of merges"),
    Mutant("models/tokenizer.py", "[: length - 2], END]", "[: length - 1], END]", "too long"),
    Mutant("models/tokenizer.py", "ids[length - 2 :]", "ids[length:]", "what is lost is not said"),
    Mutant("models/tokenizer.py", '[0] != "P"', '[0] != "S"', "a comma is worth a word"),
    Mutant("models/tokenizer.py", '.rstrip("\\ufffd")', "", "half a letter is a word"),
    Mutant("core/noise.py", "2 * start + 1", "2 * start", "one call early"),
    Mutant("core/noise.py", "seed % 2**32", "seed % 2**16", "seeds that are the same"),
    Mutant("core/noise.py", "(z >> 14)", "(z >> 13)", "mulberry32's last shift"),
    Mutant("core/noise.py", "np.cos(2 * np.pi", "np.cos(np.pi", "half a turn"),
    Mutant("core/noise.py", "-2 * np.log", "-np.log", "variance one half"),
    Mutant("core/noise.py", "used += x.numel()", "used += len(x)", "the same noise again"),
    Mutant("widgets/live_sampler.py", 'if sampler == "2M":', "if False:", "2M walks as DDIM"),
    Mutant("widgets/live_sampler.py", 'if sampler == "DDPM":', "if False:", "DDPM walks as DDIM"),
    Mutant("widgets/live_sampler.py", "s, eta=eta", "s, eta=0.0", "no fresh noise"),
    Mutant("widgets/live_sampler.py", "return DPMSolver2M()", "return ddim_step", "first order"),
    Mutant("models/captions.py", "also=self.bag(tokens)", "also=None", "deaf"),
    Mutant("models/captions.py", "None if self.gist is None else", "None if True else", "no gist"),
    Mutant("models/captions.py", "stack([right, down])", "stack([down, right])", "sides swapped"),
    Mutant("models/captions.py", "schedule.T).sqrt()", "schedule.T)", "all times alike"),
    Mutant("models/captions.py", "int(self.calls) <= ", "int(self.calls) < ", "off by one"),
    Mutant("models/captions.py", "none[:, 1] = START, END", "none[:, 1] = START, PAD", "no end"),
    Mutant(
        "models/captions.py",
        "where(dropped, empty(tokens)",
        "where(~dropped, empty(tokens)",
        "wrong ones",
    ),
    Mutant("nn/embeddings.py", "/ (half - shift)", "/ (half + shift)", "sign"),
    Mutant("nn/embeddings.py", "math.log(max_period) * exponent)", "exponent)", "factor"),
    Mutant("nn/blocks.py", "channels // n >= 3)", "channels // n >= 1)", "groups of one channel"),
    Mutant("nn/blocks.py", "* (1 + scale) + shift", "* scale + shift", "scale does not start at 1"),
    # a U-Net's parts, and parts taken out
    Mutant(
        "nn/anatomy.py", "            skips -= 1\n", "            skips -= 2\n", "skips skipped"
    ),
    # latent diffusion
    Mutant("nn/anatomy.py", "counter.get_total_flops() // 2", "counter.get_total_flops()", "twice"),
    Mutant(
        "models/latent.py", "return space.decode(", "return space.autoencoder.decode(", "no scale"
    ),
    Mutant(
        "models/latent.py",
        "F.max_pool2d(hole.float(), f)",
        "F.avg_pool2d(hole.float(), f).floor()",
        "all of it",
    ),
    Mutant("models/latent.py", "2 * reach + 1", "reach + 1", "half the reach"),
    Mutant("models/latent.py", "-limit, limit)", "-1, 1)", "limit ignored"),
    Mutant("models/latent.py", "if limit is None", "if limit is not None", "limit inside out"),
    Mutant(
        "models/latent.py",
        "scale), known, open_z)",
        "scale), known, ~open_z)",
        "inside out",
    ),
    Mutant(
        "models/latent.py", "space.autoencoder.f, reach)", "space.autoencoder.f, 0)", "no reach"
    ),
    Mutant(
        "models/latent.py",
        "torch.where(hole, space.decode(z).clamp(-1, 1), pictures)",
        "space.decode(z).clamp(-1, 1)",
        "all pixels anew",
    ),
    Mutant(
        "models/autoencoder.py", "self.f, self.bottleneck = 1,", "self.f, self.bottleneck = 2,", "f"
    ),
    Mutant("nn/anatomy.py", '"head", [unet.norm, unet.head]', '"head", [unet.head]', "a part lost"),
    Mutant(
        "nn/anatomy.py",
        "stack.enter_context(sdpa_kernel(SDPBackend.MATH))",
        "stack.enter_context(sdpa_kernel(SDPBackend.FLASH_ATTENTION))",
        "attention uncounted",
    ),
    Mutant(
        "nn/anatomy.py",
        "with sdpa_kernel(SDPBackend.MATH), counter",
        "with sdpa_kernel(SDPBackend.FLASH_ATTENTION), counter",
        "attention uncounted",
    ),
    Mutant("nn/anatomy.py", "tuple(inputs[0].shape[1:])", "tuple(inputs[0].shape)", "off by one"),
    Mutant("nn/ablations.py", "output / math.sqrt(2)", "output / 2", "the root of 2"),
    Mutant("nn/ablations.py", "skips.pop()", "skips.pop(0)", "first in, first out"),
    Mutant("nn/ablations.py", "x[:, :-channels]", "x[:, channels:]", "the wrong half silenced"),
    Mutant("nn/ablations.py", "unet, SelfAttention2d", "unet, nn.GroupNorm", "another part"),
    Mutant(
        "diffusion/solvers.py", "alpha_s - shrinks * alpha_t", "alpha_s", "the noise left in x_t"
    ),
    Mutant("diffusion/solvers.py", "(2 * (now - self._lambda))", "(now - self._lambda)", "half"),
    Mutant("diffusion/solvers.py", "(x_0 - self._x_0)", "(self._x_0 - x_0)", "sign of the line"),
    Mutant("diffusion/solvers.py", "(now + then) / 2", "now", "the middle is the beginning"),
    Mutant("diffusion/solvers.py", "denoise(there, middle)", "denoise(there, t)", "index"),
    Mutant(
        "diffusion/solvers.py",
        "torch.isfinite(ahead), ahead, 0",
        "ahead == ahead, ahead, 0",
        "0 ahead",
    ),
    Mutant("diffusion/solvers.py", "torch.equal(self._end, t)", "True", "memory of another walk"),
    Mutant("diffusion/solvers.py", "raised.square() - level.square()", "raised - level", "root"),
    Mutant("diffusion/solvers.py", "-2 * raised.log()", "-raised.log()", "factor of the log-SNR"),
    Mutant("diffusion/solvers.py", "lambda *_: line", "lambda *_: x_0", "first order with noise"),
    Mutant("diffusion/solvers.py", "eta=self.eta", "eta=1.0", "all the noise or none"),
    Mutant("diffusion/solvers.py", "if self.eta == 0", "if True", "no fresh noise at all"),
    Mutant("diffusion/solvers.py", "added = spread * shaped", "added = shaped", "spread of it"),
    Mutant(
        "diffusion/solvers.py",
        "heun_step(denoise, schedule, x_up",
        "heun_step(denoise, schedule, x_t",
        "noise thrown away",
    ),
    Mutant("diffusion/distillation.py", "(alpha_s - shrinks * alpha_t)", "alpha_s", "divisor"),
    Mutant("diffusion/distillation.py", "x_s - shrinks * x_t", "x_s", "the noise left"),
    Mutant("diffusion/distillation.py", "there, middle, s)", "there, t, s)", "index"),
    Mutant(
        "diffusion/distillation.py",
        "t - stride, t - 2 * stride)",
        "t - stride, t - stride)",
        "off by one",
    ),
    Mutant("diffusion/distillation.py", "(weight * (student", "((student", "weight of the loss"),
    Mutant("models/cascade.py", "alpha * low_res + sigma", "low_res + sigma", "alpha"),
    Mutant("models/cascade.py", "also=self.aug(aug_t)", "also=None", "deaf to the noise"),
    Mutant("models/cascade.py", "self.up_to + 1, (n,)", "2 * self.up_to + 1, (n,)", "range"),
    Mutant("models/cascade.py", '"aug_t": aug_t}))', '"aug_t": 0 * aug_t}))', "level not told"),
    Mutant(
        "models/cascade.py",
        "stops = [*levels, 0] if truncated",
        "stops = [0, *levels] if truncated",
        "index",
    ),
    Mutant("models/cascade.py", "x if truncated else augment(", "augment(", "noised twice"),
    Mutant("models/cascade.py", "steps=steps, stop=stop", "steps=steps, stop=0", "end of the walk"),
    Mutant("models/cascade.py", "for _ in range(noises)]", "for _ in range(1)]", "one noise"),
    Mutant("models/palette.py", "square() * hole", "square()", "outside of the hole"),
    Mutant("models/palette.py", "hole.expand_as(x_0).flatten(1).sum(1)", "hole.sum()", "divisor"),
    Mutant("models/palette.py", "hole | (task == 2))", "hole)", "posterised ones count whole"),
    Mutant(
        "models/palette.py",
        "torch.where(hole, denoise(x_t, t), known)",
        "denoise(x_t, t)",
        "known pixels",
    ),
    Mutant("models/palette.py", "(levels - 1) / 2", "levels / 2", "grey levels"),
    Mutant(
        "models/palette.py",
        "torch.where(hole, randn_like(images), images)",
        "images",
        "hole left as it is",
    ),
    Mutant(
        "diffusion/exact.py",
        "alpha_s[..., None] * see], 1)",
        "see + 0 * alpha_s[..., None]], 1)",
        "low_res: alpha",
    ),
    Mutant(
        "diffusion/exact.py", "torch.logdet(spread)) + self", "0) + self", "low_res: determinant"
    ),
    Mutant("diffusion/exact.py", "low_res)], 1).square()", "low_res)], 1)", "low_res: variance"),
    Mutant("metrics.py", "10 * log10(peak**2 /", "10 * log10(peak /", "psnr: square of the peak"),
    # trainer
    Mutant("train.py", "min(decay, (1 + n)", "min(decay, (2 + n)", "off by one"),
    Mutant("train.py", "current, 1 - min(decay", "current, min(decay", "average runs backwards"),
    Mutant(
        "train.py",
        "config.seed * 1_000_003 + done",
        "config.seed * 1_000_003",
        "the same noise each step",
    ),
    Mutant(
        "train.py",
        "(done + 1) / max(1, config.warmup_steps)",
        "done / max(1, config.warmup_steps)",
        "off by one",
    ),
    Mutant(
        "train.py",
        "left = config.total_steps - done",
        "left = config.total_steps - done - 1",
        "off by one",
    ),
    Mutant(
        "train.py",
        '(self.ema, "ema.")',
        '(self.model, "ema.")',
        "the average is not restored",
    ),
    Mutant("train.py", 'about["sha256"] != _digest', "None is _digest", "damage goes unnoticed"),
    Mutant(
        "train.py", 'record["config"] != asdict', "None is asdict", "another config goes unnoticed"
    ),
    # networks that were taught labels
    Mutant("nn/unet.py", "[self.time, *([]", "[*([]", "the time's own embedding stays behind"),
    Mutant(
        "nn/unet.py",
        "for part in self.modules() if isinstance(part, ResBlock)",
        "for part in self.down.modules() if isinstance(part, ResBlock)",
        "only the way down reads",
    ),
    # weights
    # guidance
    Mutant(
        "diffusion/guidance.py",
        "return away + scale * (good(x_t, t) - away)",
        "return away + scale * (away - good(x_t, t))",
        "sign: towards the bad one",
    ),
    Mutant(
        "diffusion/guidance.py",
        "return u + scale * (c - u)",
        "return c + scale * (c - u)",
        "w for 1 + w",
    ),
    Mutant(
        "diffusion/guidance.py",
        "torch.cat([yes[name], no[name]])",
        "torch.cat([no[name], yes[name]])",
        "order: the halves swapped",
    ),
    Mutant(
        "diffusion/guidance.py",
        "(t > low) & (t <= high)",
        "(t >= low) & (t < high)",
        "the ends of the interval",
    ),
    Mutant(
        "diffusion/guidance.py",
        "ratio = calm.std(axes, keepdim=True) / eps.std(axes, keepdim=True)",
        "ratio = eps.std(axes, keepdim=True) / calm.std(axes, keepdim=True)",
        "the ratio upside down",
    ),
    Mutant(
        "diffusion/guidance.py",
        "(phi * ratio + 1 - phi)",
        "((1 - phi) * ratio + phi)",
        "the share of the other one",
    ),
    Mutant(
        "diffusion/guidance.py",
        '"ho": (-1.0, 0.0)',
        '"ho": (0.0, 1.0)',
        "w for 1 + w",
    ),
    Mutant(
        "diffusion/guidance.py",
        "(w - unconditional) / (conditional - unconditional)",
        "(w - conditional) / (conditional - unconditional)",
        "the scale counted from the other end",
    ),
    Mutant(
        "diffusion/guidance.py",
        "if set(condition) != set(null):",
        "if False:",
        "a check that never fails",
    ),
    Mutant("weights.py", "found != expected", "not found", "damage goes unnoticed"),
    Mutant("weights.py", "shapes(own), shapes(tensors)", "{}, {}", "shapes go unnoticed"),
    # chapter 15: variances, chains that skip, weights
    Mutant("diffusion/variance.py", "(1 - v) * shaped(low", "v * shaped(low", "which end"),
    Mutant("diffusion/variance.py", "(raw + 1) / 2", "raw / 2", "offset"),
    Mutant(
        "diffusion/variance.py",
        "shaped(step.on_x_0.square(), error) * error",
        "shaped(step.on_x_0, error) * error",
        "square",
    ),
    Mutant("diffusion/variance.py", "(place - 1).clamp", "(place + 1).clamp", "index"),
    Mutant("diffusion/variance.py", "shaped(s > 0, x_t) * variance", "variance", "the last step"),
    Mutant(
        "diffusion/variance.py",
        "shaped(step.on_x_0, x_0) * (guess - x_0)",
        "(guess - x_0)",
        "factor of x_0",
    ),
    Mutant(
        "diffusion/variance.py",
        "interpolated(schedule, v, t, t - 1, near)",
        "interpolated(schedule, v, t, s, near)",
        "which chain",
    ),
    Mutant("recipes.py", "out.detach() if stopped else out", "out", "no stop"),
    Mutant("recipes.py", "weight * schedule.T * bits.mean()", "weight * bits.mean()", "factor T"),
    Mutant("recipes.py", "(weight.to(losses.dtype) * losses)", "losses", "no weight"),
    Mutant(
        "nn/unet.py",
        "torch.cat([self.first(h, x_t), self.second(h, x_t)], dim=1)",
        "torch.cat([self.second(h, x_t), self.first(h, x_t)], dim=1)",
        "which head comes first",
    ),
    Mutant("diffusion/schedules.py", "alpha_bar[times.flip(0)]", "alpha_bar[times]", "order"),
    Mutant("diffusion/schedules.py", "(first / (first - last))", "first", "stretch"),
    Mutant(
        "diffusion/training.py",
        "snr(t).clamp(max=gamma) / own",
        "snr(t).clamp(max=gamma) * own",
        "factor",
    ),
    Mutant("models/autoencoder.py", "LOG_VAR = (-30.0, 20.0)", "LOG_VAR = (-30.0, 60.0)", "clamp"),
    Mutant(
        "models/autoencoder.py", "self.weight * nats / self.values", "self.weight * nats", "unit"
    ),
    Mutant(
        "models/autoencoder.py",
        "kl_to_prior(mean, log_var).sum(1).mean()",
        "kl_to_prior(mean, log_var).mean()",
        "mean for sum",
    ),
    Mutant(
        "models/autoencoder.py",
        "self.codebook.square().sum(1) - 2 * flat",
        "self.codebook.square().sum(1) - flat",
        "factor 2",
    ),
    Mutant("models/autoencoder.py", "return apart.argmin(1)", "return apart.argmax(1)", "farthest"),
    Mutant(
        "models/autoencoder.py",
        "F.mse_loss(codes, h.detach()), F.mse_loss(h, codes.detach())",
        "F.mse_loss(codes.detach(), h), F.mse_loss(h.detach(), codes)",
        "each moves the other side",
    ),
    Mutant("models/autoencoder.py", "follow + self.commit * commit", "follow + commit", "beta"),
    Mutant(
        "models/autoencoder.py", "return h + (rounded - h).detach()", "return rounded", "no way"
    ),
    Mutant(
        "models/autoencoder.py",
        "dead = self.used < 0.1 / len(self.used)",
        "dead = self.used > 0.1 / len(self.used)",
        "moves the living",
    ),
    Mutant(
        "models/autoencoder.py",
        "self.used[dead] = 1 / len(self.used)",
        "self.used[dead] = 0",
        "dies again at once",
    ),
    Mutant(
        "models/autoencoder.py",
        "return self.look_up(self.nearest(z))",
        "return z",
        "never rounded",
    ),
    Mutant("models/autoencoder.py", ".sum().exp()", ".sum().exp2()", "bits for nats"),
    Mutant("models/autoencoder.py", "return 1 / z.std()", "return 1 / z.var()", "variance"),
    Mutant(
        "models/autoencoder.py", "self.scale * self.autoencoder", "self.autoencoder", "unscaled"
    ),
    Mutant(
        "models/autoencoder.py",
        "self.autoencoder.decode(z / self.scale)",
        "self.autoencoder.decode(z * self.scale)",
        "scaled twice",
    ),
    Mutant("models/autoencoder.py", "F.relu(1 + made).mean()", "F.relu(1 - made).mean()", "sign"),
    Mutant(
        "models/autoencoder.py",
        "pulls[0] / (pulls[1] + 1e-6)",
        "pulls[1] / (pulls[0] + 1e-6)",
        "upside down",
    ),
    Mutant("models/autoencoder.py", ".clamp(max=most).detach()", ".detach()", "no bound"),
    Mutant(
        "models/autoencoder.py",
        "model.critic(made.detach()))",
        "model.critic(made))",
        "the critic's loss moves the decoder",
    ),
    Mutant("models/autoencoder.py", "fool = -functional_call(", "fool = functional_call(", "sign"),
    Mutant(
        "models/autoencoder.py",
        "int(self.steps) >= self.start",
        "int(self.steps) > self.start",
        "starts late",
    ),
    Mutant(
        "models/autoencoder.py",
        "(seen[:, :3] + (255 - seen[:, 3:]) * ground)",
        "(seen[:, :3] + seen[:, 3:] * ground)",
        "ground under the cover",
    ),
    Mutant("models/autoencoder.py", "pick[0] < whole", "pick[0] > whole", "wholes for windows"),
    Mutant(
        "models/autoencoder.py",
        "rows - side + 1, (2, n)",
        "rows - side - 20, (2, n)",
        "no window at the end",
    ),
    Mutant(
        "models/clip.py",
        "info_nce(scores) + info_nce(scores[:, :n].T)",
        "info_nce(scores) + info_nce(scores[:, :n])",
        "one question twice",
    ),
    Mutant(
        "models/clip.py", "info_nce(scores[:, :n].T)) / 2", "info_nce(scores[:, :n].T))", "factor 2"
    ),
    Mutant("models/clip.py", "if m < n:", "if m <= n - 3:", "refuses too late"),
    Mutant(
        "models/clip.py",
        "math.log(scores.shape[1]) - info_nce",
        "math.log(scores.shape[0] - 1) - info_nce",
        "off by one",
    ),
    Mutant("models/clip.py", "2 * torch.eye(", "torch.eye(", "sign of the pairs"),
    Mutant(
        "models/clip.py",
        "F.logsigmoid(sign * (scores + bias)).sum(1)",
        "F.logsigmoid(sign * (scores - bias)).sum(1)",
        "sign",
    ),
    Mutant(
        "models/clip.py",
        "(scores + bias)).sum(1).mean()",
        "(scores + bias)).mean()",
        "sum is a mean",
    ),
    Mutant(
        "models/clip.py",
        "(scores > own).sum(1), (scores == own)",
        "(scores < own).sum(1), (scores == own)",
        "order",
    ),
    Mutant(
        "models/clip.py",
        "((k - better) / equal).clamp(0, 1)",
        "(k - better).clamp(0, 1)",
        "ties all count",
    ),
    Mutant("models/clip.py", "dim=1).clamp(min=0)", "dim=1)", "negative scores"),
    Mutant(
        "models/clip.py", "F.normalize(images, dim=1).mean(0)", "images.mean(0)", "lengths count"
    ),
    Mutant("models/clip.py", "F.normalize(images, dim=1) @", "images @", "lengths count"),
    Mutant("models/clip.py", "return x + F.silu(", "return F.silu(", "no shortcut"),
    Mutant(
        "models/clip.py",
        "end = (tokens == END).int().argmax(1)",
        "end = torch.full((len(tokens),), tokens.shape[1] - 1)",
        "padding is read",
    ),
    Mutant("models/clip.py", "causal=True", "causal=False", "direction of the text"),
    Mutant("models/clip.py", "(ahead > 0)", "(ahead < 0)", "sign"),
    Mutant(
        "models/clip.py",
        "torch.where(ahead.abs() < 1e-5, 0.5,",
        "torch.where(ahead.abs() < 0, 0.5,",
        "rounding is an opinion",
    ),
    Mutant("models/clip.py", "self.levels[:levels]", "self.levels", "all levels"),
    Mutant(
        "models/clip.py",
        "self.log_scale.clamp_(max=math.log(MAX_SCALE))",
        "self.log_scale.clamp_(max=MAX_SCALE)",
        "log",
    ),
    Mutant("models/clip.py", "torch.tensor(math.log(scale))", "torch.tensor(scale)", "log"),
    Mutant(
        "models/clip.py",
        "return self.scale * self.embed_images",
        "return self.embed_images",
        "no scale",
    ),
    # weights in 8 bits, words and captioned data
    Mutant("core/eight_bits.py", "(largest / top)", "(largest / 100)", "the largest is cut"),
    Mutant("data/prompted.py", "math.sin(angle)", "-math.sin(angle)", "turned the other way"),
    Mutant("data/prompted.py", "(1 - cosine) / 3", "(1 - cosine) / 2", "greys are not kept"),
    Mutant("data/prompted.py", "found[wanted] < 0.5", "found[wanted] < 0", "any colour will do"),
    Mutant("data/prompted.py", "name not in colours and", "", "a ground that hides it"),
    Mutant("core/eight_bits.py", "largest = blocks.abs()", "largest = blocks", "negative ones"),
    Mutant(
        "core/eight_bits.py", "scale.view(torch.int16) + short", "scale.view(torch.int16)", "cut"
    ),
    Mutant("core/eight_bits.py", "whole.float() * each", "whole.float() / each", "inverse"),
    Mutant("weights.py", "value.dim() > 1", "value.dim() > 0", "biases in 8 bits"),
    Mutant("data/scenes.py", "% 8 == 3", "% 8 == 9", "no pair held out"),
    Mutant(
        "data/scenes.py", "scene.number) % 8 == 6", "scene.number) % 8 == 9", "no count held out"
    ),
    Mutant("data/scenes.py", "dx * right + dy * down", "dx * right - dy * down", "sign"),
    Mutant("data/scenes.py", "second.colour == first.colour or", "False or", "colours may agree"),
    Mutant("data/scenes.py", "0.5 - radius * apart", "0.5 + radius * apart", "inside out"),
    Mutant("data/scenes.py", "sign * np.sqrt(nearest)", "np.sqrt(nearest)", "no inside"),
    Mutant("data/scenes.py", "default_rng([seed, n])", "default_rng([seed, count])", "all alike"),
    Mutant("data/oracle.py", "total / area) ** 0.5", "total / area)", "root"),
    Mutant(
        "data/oracle.py",
        "y - radius * down",
        "y + radius * down",
        "sign",
    ),
    Mutant("data/oracle.py", "Counter(seen) == Counter(asked)", "True", "binding unasked"),
    Mutant("data/oracle.py", "(one.radius > 0.125) ==", "(one.radius > 0) ==", "size unasked"),
    Mutant("data/oracle.py", "a.x - b.x, a.y - b.y", "b.x - a.x, b.y - a.y", "the other way round"),
    Mutant(
        "data/oracle.py",
        "3 * _third(one.y) + _third(one.x)",
        "3 * _third(one.x) + _third(one.y)",
        "transposed",
    ),
    Mutant(
        "data/emoji.py",
        "asarray(background, np.float32) * (1 - cover)",
        "asarray(background, np.float32) * cover",
        "cover",
    ),
    Mutant("data/emoji.py", 'split in ("all", part)', "True", "splits ignored"),
    Mutant("data/emoji.py", "apart.argmin(1)", "apart.argmax(1)", "the farthest colour"),
    Mutant(
        "data/emoji.py",
        "116 * y - 16, 500 * (x - y)",
        "116 * y - 16, 50 * (x - y)",
        "factor",
    ),
    Mutant(
        "models/minilm.py", "attn_mask=mask[:, None, None]", "attn_mask=None", "padding is read"
    ),
    Mutant(
        "models/minilm.py",
        "range(len(word), start, -1)",
        "range(start + 1, len(word) + 1)",
        "shortest first",
    ),
    Mutant("models/minilm.py", "x + self.mix(", "self.mix(", "no shortcut"),
    Mutant("models/minilm.py", " + self.segment.weight[0]", "", "no segment"),
    Mutant("models/minilm.py", "states * mask[..., None]", "states", "padding is averaged"),
    Mutant("models/minilm.py", "left < 0", "left < 1", "one piece early"),
    Mutant("nn/perceptual.py", "(x - self.shift) / self.scale", "x", "not ImageNet's scale"),
    Mutant(
        "nn/perceptual.py",
        "if number in (1, 2) else x",
        "if number in (1,) else x",
        "one pooling less",
    ),
    Mutant(
        "nn/perceptual.py",
        "x.square().sum(1, keepdim=True).sqrt()",
        "x.square().sum(1, keepdim=True)",
        "root",
    ),
    Mutant(
        "models/glide.py",
        "level(x) + shift(told)[:, :, None, None]",
        "level(x)",
        "deaf to the noise level",
    ),
    Mutant(
        "models/glide.py",
        "self.time(t), with_places(x_t)",
        "self.time(0 * t), with_places(x_t)",
        "always clean",
    ),
    Mutant(
        "models/glide.py",
        "alpha * x_0 + sigma * torch.randn_like(x_0), tokens",
        "alpha * x_0, tokens",
        "no noise",
    ),
    Mutant(
        "models/glide.py",
        "torch.zeros(len(x_0), device",
        "500 + torch.zeros(len(x_0), device",
        "a clean picture called noisy",
    ),
    Mutant(
        "models/glide.py",
        "model.scale * (model.embed_images(x_t, t) * texts)",
        "(model.embed_images(x_t, t) * texts)",
        "no scale",
    ),
    Mutant(
        "models/glide.py",
        "wide.weight[:, : conv.in_channels] = conv.weight",
        "wide.weight[:, -conv.in_channels :] = conv.weight",
        "new channels first",
    ),
    Mutant("models/glide.py", "wide.bias.copy_(conv.bias)", "pass", "another bias"),
    Mutant("models/glide.py", "wide.weight.zero_()", "pass", "random at first"),
    Mutant("models/glide.py", "kept = (~hole)", "kept = hole", "mask inside out"),
    Mutant("models/glide.py", "known * kept, kept], 1)", "known, kept], 1)", "sees in the hole"),
    Mutant(
        "models/glide.py",
        "given = hide(tokens, p_uncond)",
        "given = tokens",
        "no caption hidden",
    ),
    Mutant(
        "models/glide.py",
        "hole = inpaint(x_0, side // 4, side)",
        "hole = inpaint(x_0, 1, side // 2)",
        "small holes only",
    ),
    Mutant(
        "models/glide.py",
        "    told = keep_known(told, known, hole)\n",
        "",
        "what is known is not told",
    ),
    Mutant(
        "data/scenes.py",
        "for at in (placed[1].y, placed[1].x)]",
        "for at in (placed[0].y, placed[0].x)]",
        "the first thing",
    ),
    # unCLIP and Imagen
    Mutant(
        "diffusion/guidance.py",
        "percentile, dim=1).clamp(min=1)",
        "percentile, dim=1)",
        "quiet pictures made loud",
    ),
    Mutant(
        "diffusion/guidance.py",
        "x_0.flatten(1).abs(), percentile",
        "x_0.flatten(1), percentile",
        "of numbers, not sizes",
    ),
    Mutant(
        "diffusion/guidance.py",
        "return x_0.clamp(-s, s) / s",
        "return x_0.clamp(-s, s)",
        "not divided",
    ),
    Mutant(
        "metrics.py",
        "(images.abs() >= edge)",
        "(images >= edge)",
        "one end only",
    ),
    Mutant(
        "nn/unet.py",
        "skip = self.skip_scale * skips.pop()",
        "skip = skips.pop()",
        "skips not scaled",
    ),
    Mutant(
        "models/unclip.py",
        "kept = torch.rand(len(there), 1, device=there.device) >= p\n",
        "kept = torch.rand(len(there), 1, device=there.device) < p\n",
        "kept with the chance of hiding",
    ),
    Mutant(
        "models/unclip.py",
        "states * kept[..., None], there & kept",
        "states, there & kept",
        "pieces not hidden",
    ),
    Mutant(
        "models/unclip.py",
        "causal_mask(count, tokens.device) & seen[:, None, None]) | own",
        "seen[:, None, None].expand(-1, 1, count, -1)) | own",
        "all see all",
    ),
    Mutant(
        "models/unclip.py",
        "self.text(math.sqrt(self.dim) * text_vector),\n            self.time(t)",
        "self.text(text_vector),\n            self.time(0 * t)",
        "deaf to the time",
    ),
    Mutant(
        "models/unclip.py",
        "self.place[:length], self.place[-4:]]",
        "self.place[: length + 4]]",
        "places of the last four move",
    ),
    Mutant(
        "models/unclip.py",
        "self.read(tokens + places, there)[:, -1]",
        "self.read(tokens + places, there)[:, -2]",
        "the noised vector answers",
    ),
    Mutant(
        "models/unclip.py",
        'cosine(), predicts="x_0")',
        'cosine(), predicts="eps")',
        "predicts the noise",
    ),
    Mutant(
        "models/unclip.py",
        "z_0 = math.sqrt(vectors.shape[1]) * vectors",
        "z_0 = vectors",
        "not scaled",
    ),
    Mutant(
        "models/unclip.py",
        "drawn.append(F.normalize(z, dim=1))",
        "drawn.append(z)",
        "length left as it is",
    ),
    Mutant(
        "models/unclip.py",
        "best = (drawn * text_vector).sum(2).argmax(0)",
        "best = (drawn * text_vector).sum(2).argmin(0)",
        "the worst of two",
    ),
    Mutant(
        "models/unclip.py",
        "self.low + (codes + 0.5) * self.width",
        "self.low + codes * self.width",
        "the lower end of a bucket",
    ),
    Mutant(
        "models/unclip.py",
        "svd(vectors - self.mean, full_matrices=False)",
        "svd(vectors, full_matrices=False)",
        "mean not taken away",
    ),
    Mutant(
        "models/unclip.py",
        ".floor().long().clamp(0, self.buckets - 1)",
        ".floor().long()",
        "ends do not hold",
    ),
    Mutant(
        "models/unclip.py",
        "[1:-1]\n",
        "[:-2]\n",
        "edges one too low",
    ),
    Mutant(
        "models/unclip.py",
        "torch.bucketize(products, self.edges) + 1",
        "torch.bucketize(products, self.edges)",
        "bucket 0 means two things",
    ),
    Mutant(
        "models/unclip.py",
        "return self.answer(read[:, length + 1 :])",
        "return self.answer(read[:, length : -1])",
        "codes guessed one place early",
    ),
    Mutant(
        "models/unclip.py",
        "logits = model(codes[:, :-1], dots,",
        "logits = model(codes[:, 1:], dots,",
        "codes seen that are to be guessed",
    ),
    Mutant(
        "models/unclip.py",
        "dots = dots * text_vector.any(1) * (torch.rand",
        "dots = dots * (torch.rand",
        "dot product told without its text",
    ),
    Mutant(
        "models/unclip.py",
        "torch.randint(model.dots // 2 + 1, model.dots + 1",
        "torch.randint(1, model.dots + 1",
        "any dot product",
    ),
    Mutant(
        "models/unclip.py",
        "logits = away + scale * (logits - away)",
        "logits = logits + scale * (logits - away)",
        "another scale",
    ),
    Mutant(
        "models/unclip.py",
        "also = self.add(v) if gist",
        "also = 0 * self.add(v) if gist",
        "vector not added to the time",
    ),
    Mutant(
        "models/unclip.py",
        "torch.cat([states, more], 1)",
        "torch.cat([states, 0 * more], 1)",
        "no extra tokens",
    ),
    Mutant(
        "models/unclip.py",
        '"image_vector": vectors * kept}',
        '"image_vector": vectors}',
        "vectors never hidden",
    ),
    Mutant(
        "models/unclip.py",
        '"tokens": hide(tokens, hide_caption)',
        '"tokens": tokens',
        "captions never hidden",
    ),
    Mutant(
        "models/unclip.py",
        "denoise = denoise if limit is None else clip(denoise, -limit, limit)",
        "pass",
        "no limit",
    ),
    Mutant(
        "models/unclip.py",
        "steps).flip(0)\n",
        "steps).flip(0)[:-1]\n",
        "inverts short of the noise",
    ),
    Mutant(
        "models/unclip.py",
        "step = partial(ddim_step, eta=eta,",
        "step = partial(ddim_step, eta=0.0,",
        "no variation",
    ),
    Mutant(
        "models/unclip.py",
        "away = after - before\n",
        "away = before - after\n",
        "the other way",
    ),
    Mutant(
        "models/unclip.py",
        "slerp(image_vector, F.normalize(away, dim=1), weight)",
        "slerp(image_vector, F.normalize(after, dim=1), weight)",
        "towards the text itself",
    ),
    Mutant(
        "models/imagen.py",
        "states = self.norm(states)\n",
        "pass\n",
        "no LayerNorm",
    ),
    Mutant(
        "models/imagen.py",
        "self.pooled(mean_of(states, there))",
        "self.pooled(states.mean(1))",
        "padding in the mean",
    ),
    Mutant(
        "models/imagen.py",
        "(2 * torch.randint(free // 2 + 1",
        "(1 * torch.randint(free // 2 + 1",
        "crops of half a small pixel",
    ),
    Mutant(
        "models/imagen.py",
        "also = self.pooled(",
        "also = 0 * self.pooled(",
        "no pooled vector",
    ),
    Mutant(
        "models/imagen.py",
        "also = also + self.aug(aug_t)",
        "also = also",
        "noise of the small picture not told",
    ),
    Mutant(
        "models/imagen.py",
        "context=context, context_mask=there)",
        "context=context)",
        "padding is looked at",
    ),
    Mutant(
        "models/imagen.py",
        "1, device=states.device) >= p)",
        "1, device=states.device) < p)",
        "hidden the other way",
    ),
    Mutant(
        "models/imagen.py",
        "low_res = augment(model.schedule, shrink(x_0), aug_t)",
        "low_res = shrink(x_0)",
        "small picture left clean",
    ),
    Mutant(
        "models/imagen.py",
        'told["low_res"] = augment(model.schedule, small, aug_t, randn_like)',
        'told["low_res"] = small',
        "clean at the joint",
    ),
    Mutant(
        "models/imagen.py",
        "denoise = hold(classifier_free(model, told, null, scale))",
        "denoise = classifier_free(model, told, null, scale)",
        "estimates not held",
    ),
    Mutant(
        "models/imagen.py",
        'null = told | {"states": torch.zeros_like(states)}',
        "null = told",
        "guided away from itself",
    ),
]


def main() -> int:
    """Run the mutants that were asked for; print and perhaps write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="part of a file's name, e.g. samplers")
    parser.add_argument("--report", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.file]
    if not chosen:
        parser.error(f"no file matches {options.only!r}. Files: {', '.join(TESTS)}")

    warm = sys.platform == "linux"
    if warm:  # once here, instead of once for each mutant
        for package in ("torch", "hypothesis", "beartype", "jaxtyping", "scipy.stats", "tqdm.auto"):
            importlib.import_module(package)

    rows, survivors = [], 0
    with tempfile.TemporaryDirectory() as folder:
        copy = make_copy(Path(folder))
        sound = sorted({test for mutant in chosen for test in mutant.tests})
        if failed := first_failure(copy, sound, warm):
            print(f"the tests fail without any mutant: {failed}. Mend that first")
            return 2
        for number, mutant in enumerate(chosen, 1):
            caught = try_mutant(copy, mutant, warm)
            survivors += caught is None
            rows.append(row(mutant, caught))
            print(f"{number:3}/{len(chosen)} {rows[-1]}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants caught")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        old = options.report.read_text() if options.report.exists() else ""
        options.report.write_text(report(rows, old))
    return 1 if survivors else 0


def make_copy(folder: Path) -> Path:
    """What the tests need, where it may be broken."""
    clean = shutil.ignore_patterns("__pycache__", "reference", "browser")
    for name in ("course_lib", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=clean)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "data").symlink_to(ROOT / "data", target_is_directory=True)  # only read
    return folder


def try_mutant(copy: Path, mutant: Mutant, warm: bool = False) -> str | None:
    """Break the copy, name the first test that fails (None if all pass), and mend it."""
    path = copy / "course_lib" / mutant.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(mutate(sound, mutant), encoding="utf-8")
    try:
        return first_failure(copy, mutant.tests, warm)
    finally:
        path.write_text(sound, encoding="utf-8")


def mutate(text: str, mutant: Mutant) -> str:
    """Raise ValueError unless the text to change occurs exactly once."""
    if text.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant.old!r} occurs {text.count(mutant.old)} times in {mutant.file}, not once."
            " The library has changed: bring tools/mutants.py up to date"
        )
    return text.replace(mutant.old, mutant.new)


def first_failure(copy: Path, tests: list[str], warm: bool = False) -> str | None:
    """The name of the first test that fails in `copy`; None if all pass.

    warm   fork this process instead of starting Python anew; it must not have seen course_lib
    """
    arguments = ["-x", "-q", "--tb=no", "-m", "not slow", "-p", "no:cacheprovider"]
    arguments += ["-p", "no:xdist", "-rfE", *tests]
    code, output = (in_a_fork if warm else in_a_process)(copy, arguments)
    if code == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    if code not in (1, 2) or not found:
        raise RuntimeError(f"pytest ended with {code}: {output[-1500:]}")
    return found[1]


def in_a_process(copy: Path, arguments: list[str]) -> tuple[int, str]:
    """Run pytest in a new Python: 3 seconds of imports for each mutant."""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *arguments],
        cwd=copy,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def in_a_fork(copy: Path, arguments: list[str]) -> tuple[int, str]:
    """Run pytest in a copy of this Python, which has imported everything but `course_lib`."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                os.chdir(copy)
                sys.path.insert(0, str(copy))
                sys.dont_write_bytecode = True
                code = int(pytest.main(arguments))
                sys.stdout.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


def row(mutant: Mutant, caught: str | None) -> str:
    """One line of the table."""
    name = caught and caught.split("::")[-1].split("[")[0]
    if name == caught:  # no test's name but a file's: it already fails when it is imported
        name = caught and f"import of {Path(caught).name}"
    old, new = (
        text.strip().replace("|", "\\|").replace("\n", " ") for text in (mutant.old, mutant.new)
    )
    verdict = f"`{name}`" if name else "**nothing**"
    return f"| {mutant.file} | {mutant.what} | `{old}` | `{new}` | {verdict} |"


def report(rows: list[str], old: str) -> str:
    """The page a reader finds in docs/: these rows, and the old ones of files that were not run."""
    fresh = {_file(row) for row in rows}
    kept = [line for line in old.splitlines() if _file(line) in TESTS and _file(line) not in fresh]
    rows = sorted(rows + kept, key=lambda row: list(TESTS).index(_file(row)))
    caught = sum("**nothing**" not in row for row in rows)
    return (
        "# Which test notices which mistake\n\n"
        "Made by `python tools/mutants.py --report docs/mutants.md`: each row breaks the library in"
        f" one place\nand names the first test that fails. {caught} of {len(rows)} mistakes are"
        " caught.\n\n"
        "| file | mistake | from | to | caught by |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _file(row: str) -> str:
    return row.split("|")[1].strip() if row.startswith("| ") else ""


if __name__ == "__main__":
    sys.exit(main())
