"""Half-mends that the checks of "Spot the bug" must name; test_bugs.py runs the bugs themselves."""

import math

import torch
from torch.nn.functional import pad

from course_lib.exercises import bugs_sampling as sampling
from course_lib.exercises import bugs_systems as systems
from course_lib.exercises import bugs_training as training

ONE = torch.ones(1, dtype=torch.float64)


def kept_by_reference(model, ema, score):
    kept = model.state_dict()
    model.load_state_dict(ema)
    result = score(model)
    model.load_state_dict(kept)
    return result


def parameters_alone(model, ema, score):
    kept = {name: one.detach().clone() for name, one in model.named_parameters()}
    model.load_state_dict(ema)
    result = score(model)
    model.load_state_dict(kept, strict=False)
    return result


def left_in_eval(model, ema, score):
    kept = {name: one.clone() for name, one in model.state_dict().items()}
    model.load_state_dict(ema)
    result = score(model.eval())
    model.load_state_dict(kept)
    return result


def spread_by(noise):
    return lambda mean, log_var, training: mean + noise(log_var) if training else mean


def sums_mended(q, k, v):
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(1)
    return weights / weights.sum(-1, keepdim=True) @ v


def in_heads(swap=True, back=True):
    def answer(q, k, v, heads):
        q, k, v = (x.unflatten(-1, (heads, -1)) for x in (q, k, v))
        q, k, v = (x.transpose(1, 2) if swap else x for x in (q, k, v))
        mixed = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        tokens = mixed.shape[2] if swap else mixed.shape[1]
        return (mixed.transpose(1, 2) if swap and back else mixed).reshape(len(q), tokens, -1)

    return answer


def reading(mask, low=-torch.inf):
    def answer(q, k, v, real):
        scores = q @ k.mT / q.shape[-1] ** 0.5
        return scores.masked_fill(~mask(real)[:, None], low).softmax(-1) @ v

    return answer


def from_x_0(combine):
    def step(out, x, a, s, b, r, predicts):
        if predicts == "eps":
            return b * (x - s * out) / a + r * out
        return combine(out, x, a, s, b, r)

    return step


def second_slope(combine):
    # combine gets x, Euler's y and both slopes times the length of the step, which is 1
    def step(denoise, x, n_t, n_s):
        slope = (x - denoise(x, n_t)) / n_t
        y = x + (n_s - n_t) * slope
        return combine(x, y, (n_t - n_s) * slope, (n_t - n_s) * (y - denoise(y, n_s)) / n_s)

    return step


def lower_by(combine):
    def lower(eps, energy, x, sigma, strength):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(x).sum(), x)
        return combine(eps, sigma * strength * gradient)

    return lower


def levels_of(choose):
    def invert(eps_of, x, alpha, sigma, times):
        for s, t in zip(times, times[1:], strict=False):
            eps, (of, to) = eps_of(x, t), choose(s, t)
            x = alpha[to] * (x - sigma[of] * eps) / alpha[of] + sigma[to] * eps
        return x

    return invert


def begin_at(choose, shrink=lambda alpha: alpha):
    def begin(x_0, strength, times, alpha, sigma, eps):
        left = choose(times, round(strength * (len(times) - 1)))
        return shrink(alpha[left[0]]) * x_0 + sigma[left[0]] * eps, left

    return begin


def heun(first, second):
    def step(denoise, x, n_t, n_s):
        slope = (x - denoise(x, n_t)) / n_t
        y = x + (n_s - n_t) * slope
        n = {"t": n_t, "s": n_s}
        return x + (n_s - n_t) * (slope + (y - denoise(y, n[first])) / n[second]) / 2

    return step


def euler(times, sign):
    def flow(velocity, noise, steps):
        x, visited = noise, times(steps)
        for t in visited:
            x = x + sign * velocity(x, float(t)) / steps
        return x

    return flow


def up(steps):
    return [i / steps for i in range(steps)]


def down(steps):
    return [1 - t for t in up(steps)]


def past_the_data(velocity, noise, steps):
    x = noise
    for t in torch.linspace(1, 0, steps):
        x = x - velocity(x, float(t)) / (steps - 1)
    return x


def seeded(next_seed, each_step=False):
    def draw(step, shape, steps, seed):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        fresh = torch.Generator().manual_seed(next_seed(seed))
        for i in range(steps):
            if each_step:
                fresh.manual_seed(next_seed(seed))
            x = step(x, i, torch.randn(shape, generator=fresh))
        return x

    return draw


def unseeded(step, shape, steps, seed):
    x = torch.randn(shape)
    for i in range(steps):
        x = step(x, i, torch.randn(shape))
    return x


def downhill(power, strong=True):
    def lower(eps, energy, x, sigma, strength):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(x).sum(), x)
        return eps + sigma**power * (strength if strong else 1) * gradient

    return lower


def invert_with(time):
    def invert(eps_of, x, alpha, sigma, times):
        for i, (s, t) in enumerate(zip(times, times[1:], strict=False)):
            eps = eps_of(x, time(i, s, t))
            x = alpha[t] * (x - sigma[s] * eps) / alpha[s] + sigma[t] * eps
        return x

    return invert


def pasted(level, grain=True, inside_out=False):
    def paste(x_s, known, hole, alpha, sigma, t, s, eps):
        at = t if level == "t" else s
        around = alpha[at] * known + (sigma[at] * eps if grain else 0)
        return torch.where(hole, around, x_s) if inside_out else torch.where(hole, x_s, around)

    return paste


def begun(shift=0, other_way=False):
    def begin(x_0, strength, times, alpha, sigma, eps):
        steps = len(times) - 1
        share = 1 - strength if other_way else strength
        left = times[steps - round(share * steps) :]
        t = times[steps - round(share * steps) + shift]
        return alpha[t] * x_0 + sigma[t] * eps, left

    return begin


def heads_with(scale):
    def many_heads(q, k, v, heads):
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        weights = (q @ k.transpose(-1, -2) * scale(q.shape[-1], heads)).softmax(-1)
        return (weights @ v).transpose(1, 2).flatten(2)

    return many_heads


def scores(q, k):
    return q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5


def ramp(i):
    return (1 + i) / (10 + i)


WRONG = [
    (training.check_step_before, lambda bar: torch.cat([bar[1:], ONE]), "the step after"),
    (training.check_step_before, lambda bar: bar.roll(1), "rolled round"),
    (training.check_step_before, lambda bar: torch.cat([0 * ONE, bar[:-1]]), "all is signal"),
    (training.check_step_before, lambda bar: torch.cat([ONE, bar]), "no more, no fewer"),
    (training.check_step_before, lambda bar: torch.cat([bar[:1], bar[:-1]]), "is repeated"),
    (
        training.check_betas_for,
        lambda T: torch.linspace(1e-4, 0.02 * 1000 / T, T),
        "the same path: scale it too",
    ),
    (
        training.check_betas_for,
        lambda T: torch.linspace(1e-4, 0.02, T) * T / 1000,
        "the wrong way",
    ),
    (training.check_betas_for, lambda T: torch.linspace(0.1 / T, 0.02, T), "only the first end"),
    (training.check_betas_for, lambda T: torch.linspace(1e-4, 0.03, T), "the paper's own values"),
    (training.check_add_noise, lambda x, a, e: a * x + (1 - a) * e, "both roots"),
    (training.check_add_noise, lambda x, a, e: a * x + (1 - a).sqrt() * e, "lost its own"),
    (
        training.check_draw_times,
        lambda T, n: torch.randint(0, T + 1, (n,)).clamp(min=1),
        "twice as often",
    ),
    (
        training.check_drop_labels,
        lambda labels, null, p: torch.where(torch.rand(labels.shape) < p, 10, labels),
        "10 still stands",
    ),
    (training.check_judged, parameters_alone, "the whole state_dict"),
    (sampling.check_x_0_from_v, lambda v, x, a, s: s * x - a * v, "factors are swapped"),
    (sampling.check_em_step, lambda x, h, drift, s, randn: x + h**0.5 * s * randn(x), "left out"),
    (sampling.check_guided, lambda c, u, w: c + (1 + w) * (c - u), "counted twice"),
    (
        sampling.check_paste,
        lambda x, known, hole, a, b, t, s, e: torch.where(hole, x, a[s] * known + b[t] * e),
        "half of it",
    ),
    (
        training.check_add_noise,
        lambda x, a, e: a.sqrt() * x + (1 - a.sqrt()) * e,
        "root of 1 minus",
    ),
    (training.check_add_noise, lambda x, a, e: (1 - a).sqrt() * x + a.sqrt() * e, "swapped"),
    (training.check_draw_times, lambda T, n: torch.randint(0, T + 1, (n,)), "0 is clean data"),
    (training.check_draw_times, lambda T, n: torch.randint(0, T, (n,)), "0 is clean data"),
    (training.check_draw_times, lambda T, n: torch.randint(1, T + 2, (n,)), "a time above T"),
    (
        training.check_draw_times,
        lambda T, n: torch.randint(1, T + 1, (1,)).expand(n),
        "each picture draws its own",
    ),
    (
        training.check_drop_labels,
        lambda labels, null, p: labels if torch.rand(()) > p else torch.full_like(labels, null),
        "Draw for each example",
    ),
    (
        training.check_drop_labels,
        lambda labels, null, p: torch.where(torch.rand(labels.shape) < p, labels, null),
        "turned round",
    ),
    (
        training.check_drop_labels,
        lambda labels, null, p: torch.where(
            torch.arange(len(labels)) < p * len(labels), null, labels
        ),
        "must be drawn anew",
    ),
    (
        training.check_weighted_loss,
        lambda out, target, weight: (weight * (out - target)).square().mean(),
        "squared",
    ),
    (
        training.check_weighted_loss,
        lambda out, target, weight: (weight * (out - target).square()).flatten(1).mean(1).sum(),
        "grows with the batch",
    ),
    (
        training.check_weighted_loss,
        lambda out, target, weight: (
            (weight * (out - target).square()).flatten(1).mean(1).sum() / weight.sum()
        ),
        "the batch's own times",
    ),
    (training.check_v_weight, lambda snr, gamma: snr.clamp(max=gamma) / snr, "weight for eps"),
    (training.check_v_weight, lambda snr, gamma: snr.clamp(max=gamma), "weight for x_0"),
    (training.check_v_weight, lambda snr, gamma: snr.clamp(min=gamma) / (snr + 1), "max in"),
    (training.check_v_weight, lambda snr, gamma: snr.clamp(max=5.0) / (snr + 1), "an argument"),
    (training.check_decays, lambda steps, most: [most] * steps, "constant"),
    (training.check_decays, lambda steps, most: [ramp(i) for i in range(steps)], "is forgotten"),
    (
        training.check_decays,
        lambda steps, most: [max(most, ramp(i)) for i in range(steps)],
        "max in the place of min",
    ),
    (training.check_judged, lambda model, ema, score: score(model), "the network in training"),
    (training.check_judged, kept_by_reference, "not copies"),
    (
        sampling.check_walk_times,
        lambda T, steps: torch.linspace(T, 0, steps).round().long(),
        "for the last time",
    ),
    (
        sampling.check_walk_times,
        lambda T, steps: torch.linspace(1, T, steps).round().long(),
        "they must fall",
    ),
    (
        sampling.check_walk_times,
        lambda T, steps: torch.arange(T, 0, -(T // steps)),
        "30 times are asked",
    ),
    (
        sampling.check_walk_times,
        lambda T, steps: torch.arange(T, 0, -(T // (2 * steps)))[:steps],
        "longer than the rest",
    ),
    (sampling.check_x_0_from_v, lambda v, x, a, s: a * v + s * x, "this is the noise"),
    (sampling.check_x_0_from_v, lambda v, x, a, s: (x - s * v) / a, "taken for eps"),
    (sampling.check_x_0_from_v, lambda v, x, a, s: s * v - a * x, "the sign of the whole"),
    (
        sampling.check_ddim,
        lambda out, x, a, s, b, r, kind: (
            b * (x - s * out) / a + r * out if kind == "eps" else b * out + r * (x - out) / s
        ),
        "not x_0: take that off",
    ),
    (
        sampling.check_ddim,
        lambda out, x, a, s, b, r, kind: (
            b * (x - s * out) / a + r * out if kind == "eps" else b * out + r * (x - a * out)
        ),
        "divide by sigma_t",
    ),
    (
        sampling.check_ddim,
        lambda out, x, a, s, b, r, kind: (
            b * (x - s * out) / a + r * out if kind == "eps" else b * out + r * torch.randn_like(x)
        ),
        "fresh noise",
    ),
    (
        sampling.check_ddim,
        lambda out, x, a, s, b, r, kind: b * out + r * (x - a * out) / s,
        "that predicts eps",
    ),
    (sampling.check_heun, heun("s", "t"), "still divided by n_t"),
    (sampling.check_heun, heun("t", "s"), "still asked at n_t"),
    (
        sampling.check_heun,
        lambda denoise, x, n_t, n_s: x + (n_s - n_t) * (x - denoise(x, n_t)) / n_t,
        "Euler's step",
    ),
    (
        sampling.check_heun,
        lambda denoise, x, n_t, n_s: (
            x + (n_s - n_t) * ((x - denoise(x, n_t)) / n_t + (x - denoise(x, n_s)) / n_s) / 2
        ),
        "y, not x",
    ),
    (sampling.check_flow, euler(up, -1), "still run from 0 to 1"),
    (sampling.check_flow, euler(down, 1), "points to noise"),
    (sampling.check_flow, past_the_data, "past the data"),
    (
        sampling.check_em_step,
        lambda x, h, drift, sigma, randn_like: x + h * drift(x) + h * sigma * randn_like(x),
        "root of the time step",
    ),
    (
        sampling.check_em_step,
        lambda x, h, drift, sigma, randn_like: x + h * drift(x) + h**0.5 * sigma**2 * randn_like(x),
        "do not square",
    ),
    (sampling.check_em_step, lambda x, h, drift, sigma, randn_like: x + h * drift(x), "no noise"),
    (
        sampling.check_em_step,
        lambda x, h, drift, sigma, randn_like: x + h * drift(x) + h**0.5 * randn_like(x),
        "sigma changes nothing",
    ),
    (sampling.check_draw, seeded(lambda seed: seed + 1), "the *next* seed's picture"),
    (sampling.check_draw, seeded(lambda seed: seed + 50, each_step=True), "every step adds"),
    (sampling.check_draw, unseeded, "the same seed gives another picture"),
    (sampling.check_draw, seeded(lambda seed: seed, each_step=True), "both generators"),
    (sampling.check_guided, lambda c, u, w: c + w * (u - c), "the wrong way"),
    (sampling.check_guided, lambda c, u, w: (1 + w) * c + w * u, "add up to 1 + 2w"),
    (sampling.check_lower, downhill(0), "sigma is missing"),
    (sampling.check_lower, downhill(2), "sigma once"),
    (sampling.check_lower, downhill(1, strong=False), "`strength` changes nothing"),
    (sampling.check_lower, lambda eps, energy, x, sigma, strength: eps, "changes nothing"),
    (sampling.check_invert, invert_with(lambda i, s, t: i), "places"),
    (sampling.check_invert, invert_with(lambda i, s, t: 1000 - t), "this walks down"),
    (sampling.check_invert, invert_with(lambda i, s, t: (s + t) // 2), "other times"),
    (sampling.check_paste, pasted("s", inside_out=True), "inside out"),
    (sampling.check_paste, pasted("s", grain=False), "its noise is missing"),
    (
        sampling.check_paste,
        lambda x_s, known, hole, *rest: torch.where(hole, x_s, known),
        "without noise",
    ),
    (sampling.check_begin, begun(other_way=True), "turned round"),
    (sampling.check_begin, begun(shift=1), "one step too little"),
    (sampling.check_begin, lambda x_0, strength, times, *rest: x_0, "return the noisy picture"),
    (
        systems.check_to_bytes,
        lambda x: ((x.clamp(-1, 1) + 1) * 127.5 + 1e-3).to(torch.uint8),
        "cut off",
    ),
    (
        systems.check_to_bytes,
        lambda x: ((x + 1) * 127.5).round().to(torch.int64).to(torch.uint8),
        "clip first",
    ),
    (systems.check_to_bytes, lambda x: (x + 1) * 127.5, "torch.uint8"),
    (systems.check_to_pictures, lambda z, decode, scale: decode(z), "the scale is gone"),
    (systems.check_to_pictures, lambda z, decode, scale: decode(z * scale), "scaled twice"),
    (systems.check_latent_of, lambda mean, log_var, training: mean, "there must be noise"),
    (
        systems.check_latent_of,
        lambda mean, log_var, training: mean + training * log_var.exp() * torch.randn_like(mean),
        "takes its root",
    ),
    (
        systems.check_latent_of,
        lambda mean, log_var, training: mean + (0.5 * log_var).exp() * torch.randn_like(mean),
        "the same each time",
    ),
    (systems.check_attend, lambda q, k, v: scores(q, k).softmax(0) @ v, "over the batch"),
    (
        systems.check_attend,
        lambda q, k, v: scores(q, k).flatten(1).softmax(1).view_as(scores(q, k)) @ v,
        "a small part of a mean",
    ),
    (
        systems.check_attend,
        lambda q, k, v: (q @ k.transpose(-1, -2)).softmax(-1) @ v,
        "the scale 1 / sqrt(dim)",
    ),
    (systems.check_many_heads, heads_with(lambda width, heads: 1.0), "without a scale"),
    (systems.check_many_heads, heads_with(lambda width, heads: 1 / width), "with the root"),
    (systems.check_many_heads, heads_with(lambda width, heads: heads**-0.5), "not their width"),
    (systems.check_read_text, lambda q, k, v, real: scores(q, k).softmax(-1) @ v, "not used"),
    (
        systems.check_read_text,
        lambda q, k, v, real: (scores(q, k).softmax(-1) * real[:, None]) @ v,
        "after the softmax",
    ),
    (
        systems.check_read_text,
        lambda q, k, v, real: scores(q, k).masked_fill(~real[:, None], 0).softmax(-1) @ v,
        "not no score",
    ),
    (
        systems.check_read_text,
        lambda q, k, v, real: scores(q, k).masked_fill(real[:, None], -math.inf).softmax(-1) @ v,
        "reads the padding",
    ),
    (systems.check_bits_per_dim, lambda log_p, n: -log_p / n / math.log(2), "a level has a width"),
    (systems.check_bits_per_dim, lambda log_p, n: -log_p / n / math.log(2) - 7, "finer levels"),
    (systems.check_bits_per_dim, lambda log_p, n: log_p / n / math.log(2) + 7, "the sign: log p"),
    (systems.check_bits_per_dim, lambda log_p, n: -log_p / n + 7, "nats"),
    (systems.check_bits_per_dim, lambda log_p, n: -log_p / math.log(2) + 7, "by their number"),
    (
        systems.check_dequantised,
        lambda levels: (levels + torch.rand(levels.shape)) / 255,
        "256 equal parts",
    ),
    (systems.check_dequantised, lambda levels: levels / 256, "there is no noise"),
    (
        systems.check_dequantised,
        lambda levels: (levels + torch.rand(levels.shape) - 0.5) / 256,
        "both sides",
    ),
    (
        systems.check_statistics,
        lambda features: (features.mean(0), features.T @ features / (len(features) - 1)),
        "second moment",
    ),
    (
        systems.check_statistics,
        lambda features: (features.mean(1), torch.cov(features.T)),
        "over the pictures",
    ),
    (
        systems.check_statistics,
        lambda features: (features.mean(0), torch.corrcoef(features.T)),
        "the spread of the features",
    ),
    (systems.check_statistics, lambda features: torch.cov(features.T), "return two"),
    (
        systems.check_to_bytes,
        lambda x: ((x - x.min()) / (x.max() - x.min()) * 255).round().to(torch.uint8),
        "its own darkest",
    ),
    (
        systems.check_attend,
        lambda q, k, v: (q @ k.mT / q.shape[-1]).softmax(-1) @ v,
        "By its *root*",
    ),
    (
        systems.check_many_heads,
        lambda q, k, v, heads: systems.attention_of_one(q, k, v),
        "as one head",
    ),
    (
        systems.check_dequantised,
        lambda levels: (levels + torch.randint(0, 2, levels.shape)) / 256,
        "evenly",
    ),
    (systems.check_bits_per_dim, lambda p, dims: (7 - p / dims) / math.log(2), "added last"),
    (systems.check_bits_per_dim, lambda p, dims: 7 - p / dims * math.log(2), "you divide by log 2"),
    (systems.check_to_pictures, lambda z, decode, s: decode(z / s) / s, "it needs nothing"),
    (
        systems.check_to_pictures,
        lambda z, decode, s: (decode(z) / s).clamp(-1, 1),
        "clipping hides it",
    ),
    (systems.check_latent_of, spread_by(lambda v: (v / 2).exp() * torch.randn(())), "one number"),
    (systems.check_latent_of, spread_by(lambda v: v * torch.randn_like(v)), "exp(log_var / 2)"),
    (
        systems.check_attend,
        lambda q, k, v: (q @ k.mT / k.shape[1] ** 0.5).softmax(-1) @ v,
        "number of tokens",
    ),
    (systems.check_attend, sums_mended, "the sums are mended"),
    (systems.check_many_heads, in_heads(swap=False), "heads of one token"),
    (systems.check_many_heads, in_heads(back=False), "not swapped back"),
    (systems.check_read_text, reading(lambda real: real[:1].expand_as(real)), "its own mask"),
    (systems.check_read_text, reading(lambda real: real, -1.0), "a low score is a score"),
    (systems.check_statistics, lambda f: (torch.cov(f.T), f.mean(0)), "are swapped"),
    (
        systems.check_statistics,
        lambda f: (f.mean(0), torch.cov(f.T) * (len(f) - 1) / (f.shape[1] - 1)),
        "number of features",
    ),
    (systems.check_statistics, lambda f: (f.mean(0), f.var(0).diag()), "variances alone"),
    (training.check_decays, lambda steps, most: most, "a list of decays"),
    (training.check_decays, lambda n, most: [min(most, ramp(i + 1)) for i in range(n)], "i = 0"),
    (training.check_decays, lambda n, most: [1 - min(most, ramp(i)) for i in range(n)], "is kept"),
    (training.check_decays, lambda n, most: [most * ramp(i) for i in range(n)], "cut off at"),
    (training.check_judged, left_in_eval, "left in eval"),
    (
        training.check_judged,
        lambda model, ema, score: score(model) * 2 / 3,
        "the network's own buffer",
    ),
    (
        training.check_betas_for,
        lambda T: torch.linspace(1e-4, 0.02, 1000)[:: 1000 // T][:T],
        "most of them left out",
    ),
    (
        training.check_betas_for,
        lambda T: torch.linspace(1e-4 * (1000 // T), 0.02 * (1000 // T), T),
        "a whole number",
    ),
    (training.check_add_noise, lambda x, a, e: a.sqrt() * x + (1 - a) ** 2 * e, "no squares"),
    (
        sampling.check_walk_times,
        lambda T, steps: torch.linspace(T, 0, steps + 1)[:-1],
        "places in tables",
    ),
    (
        sampling.check_x_0_from_v,
        lambda v, x, a, s: (a * x + s * v) / (a**2 - s**2),
        "Mend the sign",
    ),
    (sampling.check_ddim, from_x_0(lambda x_0, x, a, s, b, r: b * x_0 + x - a * x_0), "at time t"),
    (sampling.check_heun, second_slope(lambda x, y, one, two: x - (one + two)), "of both slopes"),
    (sampling.check_heun, second_slope(lambda x, y, one, two: x - two), "second slope alone"),
    (sampling.check_heun, second_slope(lambda x, y, one, two: y - (one + two) / 2), "goes on"),
    (sampling.check_heun, second_slope(lambda x, y, one, two: x + (one + two) / 2), "the mean of"),
    (
        sampling.check_em_step,
        lambda x, h, drift, s, randn: x + h * drift(x) + s * randn(x),
        "root of the time step is",
    ),
    (
        sampling.check_em_step,
        lambda x, h, drift, s, randn: x + h * drift(x) + h**0.5 * s * randn(x).abs(),
        "only one sign",
    ),
    (
        sampling.check_em_step,
        lambda x, h, drift, s, randn: x + drift(x) + h**0.5 * s * randn(x),
        "is a speed",
    ),
    (
        sampling.check_em_step,
        lambda x, h, drift, s, randn: x - h * drift(x) + h**0.5 * s * randn(x),
        "wrong sign",
    ),
    (sampling.check_draw, seeded(lambda seed: 0), "as above again"),
    (sampling.check_guided, lambda c, u, w: u + (w - 1) * (c - u), "the way back"),
    (sampling.check_guided, lambda c, u, w: (1 + w) * c - u, "u has -w"),
    (sampling.check_lower, lower_by(lambda eps, g: eps + g / 3), "mean over the batch"),
    (sampling.check_lower, lower_by(lambda eps, g: g - eps), "own noise"),
    (sampling.check_invert, levels_of(lambda s, t: (t, s)), "this walks down: x is"),
    (sampling.check_invert, levels_of(lambda s, t: (t, t)), "nothing moves"),
    (
        sampling.check_paste,
        lambda x, known, hole, a, b, t, s, e: torch.where(hole, x, known + b[s] * e),
        "must shrink",
    ),
    (
        sampling.check_paste,
        lambda x, known, hole, a, b, t, s, e: a[s] * torch.where(hole, x, known) + b[s] * e,
        "Only the known part",
    ),
    (sampling.check_begin, begin_at(lambda times, n: times[-n - 2 :]), "one step too many"),
    (sampling.check_begin, begin_at(lambda times, n: times[-n:]), "one step too few"),
    (sampling.check_begin, begin_at(lambda times, n: times[: n + 1]), "the first steps"),
    (
        sampling.check_begin,
        begin_at(lambda times, n: times[-n - 1 :], lambda alpha: 1),
        "must shrink as well",
    ),
]


def test_other_right_answers_pass() -> None:
    # A schedule that skips times of the paper's own walks the same path.
    def skipping(T):
        bar = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)
        kept = torch.cat([ONE, bar])[torch.linspace(0, 1000, T + 1).round().long()]
        return 1 - kept[1:] / kept[:-1]

    assert training.check_betas_for(skipping)
    assert training.check_step_before(lambda bar: pad(bar[:-1], (1, 0), value=1.0))
    assert sampling.check_walk_times(lambda T, n: torch.linspace(T, 1, n).round().long())
    assert sampling.check_invert(invert_with(lambda i, s, t: s))
    assert systems.check_dequantised(lambda k: ((k + torch.rand(k.shape)) / 256).double())
