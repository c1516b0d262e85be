"""The checks of "Spot the bug", third page: pictures, latents, text and evaluation.

Each check knows the version of a public report, which it names by its symptom, and the usual
half-mends. Stories and reports stand on the page.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from course_lib.exercises.checking import equal, exercise, reject, require


@exercise("every grey level comes back")
def check_to_bytes(to_bytes: Callable[..., Any]) -> None:
    """Bug 22: pictures in [-1, 1] as 8-bit levels."""
    levels = torch.arange(256.0)
    x = levels / 127.5 - 1
    found = torch.as_tensor(to_bytes(x))
    require(found.dtype == torch.uint8, f"8-bit levels (torch.uint8) are asked, got {found.dtype}.")
    require(found.shape == x.shape, "one level for each number.")
    reject(
        bool((found[:128] == 0).all()),
        "as above: everything below the middle is black. The picture lies in [-1, 1], not [0, 1].",
    )
    middle = torch.as_tensor(to_bytes(x[100:120])).double()
    reject(
        equal(found.double(), levels) and equal(middle, levels[:20] * 255 / 19, 1.0),
        "each picture is stretched from its own darkest to its own lightest. -1 is black, 1 white.",
    )
    near = torch.as_tensor(to_bytes(x[:-1] + 0.4 / 127.5)).double()
    far = torch.as_tensor(to_bytes(x[:-1] + 0.6 / 127.5)).double()
    reject(
        equal(near, levels[:-1]) and equal(far, levels[:-1]),
        "cut off, not rounded: every picture comes out half a level too dark on average.",
    )
    require(equal(found.double(), levels), "there and back is not where you began.")
    require(equal(far, levels[1:]), "levels are to be rounded to the nearest.")
    beyond = torch.as_tensor(to_bytes(torch.tensor([-1.05, 1.05]))).tolist()
    require(
        beyond == [0, 255],
        "a little beyond white comes out as another level: samples leave [-1, 1], clip first.",
    )


@exercise("the decoder gets latents of its own size")
def check_to_pictures(to_pictures: Callable[..., Any]) -> None:
    """Bug 23: from scaled latents to pictures."""
    z, scale = torch.randn(3, 4, 2, 2), 0.25

    def decode(latents: Tensor) -> Tensor:
        return (0.3 * latents).tanh()

    found = to_pictures(z, decode, scale)
    reject(
        equal(found, decode(z) / scale),
        "as above: the *picture* is divided by the scale. It leaves [-1, 1], and the decoder saw"
        " latents that are too small.",
    )
    reject(equal(found, decode(z)), "the scale is gone: the decoder sees latents too small for it.")
    reject(equal(found, decode(z * scale)), "scaled twice instead of back: divide.")
    reject(equal(found, decode(z) * scale), "the picture is scaled. It is the latents that were.")
    reject(
        equal(found, decode(z / scale) / scale) or equal(found, decode(z / scale) * scale),
        "the latents are right, and the picture is scaled as well: it needs nothing.",
    )
    reject(
        equal(found, (decode(z) / scale).clamp(-1, 1)),
        "clipping hides it: the decoder still saw latents that are too small.",
    )
    require(
        equal(found, decode(z / scale)),
        "latents that were scaled going in do not come back as their pictures.",
    )


@exercise("noise in training, the mean afterwards")
def check_latent_of(latent_of: Callable[..., Any]) -> None:
    """Bug 24: a latent from the encoder's mean and log-variance."""
    mean, log_var = torch.randn(20_000), torch.full((20_000,), 2 * math.log(0.5))
    still = torch.as_tensor(latent_of(mean, log_var, False))
    require(still.shape == mean.shape, "latents have the shape of the mean.")
    reject(
        equal(still, mean + 0.5),
        "as above: without noise the spread itself is added, and every latent is pushed up by one"
        " standard deviation.",
    )
    require(equal(still, mean), "after training the latent is the mean, the same each time.")
    noise = torch.as_tensor(latent_of(mean, log_var, True)) - mean
    reject(bool((noise == 0).all()), "in training there must be noise around the mean.")
    reject(
        equal(noise.std(), 0.0, 1e-3),
        "one number for all of them: each latent has noise of its own.",
    )
    reject(
        equal(noise.std(), 2 * math.log(2), 0.03) or equal(noise.std(), 0.0625, 0.005),
        "log_var is the logarithm of a variance: the spread is exp(log_var / 2).",
    )
    reject(equal(noise.std(), 0.25, 0.01), "exp(log_var) is the variance. Noise takes its root.")
    require(equal(noise.mean(), 0.0, 0.02), "the noise of training is not centred.")
    require(equal(noise.std(), 0.5, 0.01), "the noise of training has another spread.")
    require(
        not equal(latent_of(mean, log_var, True), mean + noise),
        "the noise must be fresh each time.",
    )


@exercise("each query's weights add up to 1")
def check_attend(attend: Callable[..., Any]) -> None:
    """Bug 25: attention."""
    q, k, v = torch.randn(2, 5, 4), torch.randn(2, 7, 4), torch.randn(2, 7, 3)
    scores = q @ k.transpose(1, 2) / 2
    found = torch.as_tensor(attend(q, k, v))
    require(found.shape == (2, 5, 3), "one answer for each query.")
    reject(
        equal(found, scores.softmax(1) @ v),
        "as above: for each key the queries' shares add up to 1. The answer of a query is then no"
        " mean of the values: with all values 1 it is not 1.",
    )
    reject(
        equal(found, scores.softmax(0) @ v),
        "normalised over the batch: pictures now look at each other.",
    )
    reject(
        equal(found, scores.flatten(1).softmax(1).view_as(scores) @ v),
        "all weights of a picture add up to 1, so each query gets a small part of a mean.",
    )
    reject(equal(found, (2 * scores).softmax(2) @ v), "the scale 1 / sqrt(dim) got lost.")
    reject(
        equal(found, (scores / 2).softmax(2) @ v),
        "the scores are divided by dim. By its *root*: a sum of 4 products has that spread.",
    )
    reject(
        equal(found, (2 * scores / 7**0.5).softmax(2) @ v),
        "the root of the number of tokens. The sum of a score runs over the width.",
    )
    across = scores.softmax(1)
    reject(
        equal(found, across / across.sum(2, keepdim=True) @ v),
        "the sums are mended, the weights are not: take the softmax over the keys.",
    )
    require(equal(found, scores.softmax(2) @ v), "it is not softmax(q k / sqrt(dim)) v.")


def attention_of_one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention with one head."""
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


@exercise("scores of unit spread in every head")
def check_many_heads(many_heads: Callable[..., Any]) -> None:
    """Bug 26: the scale of attention in several heads."""
    q, k, v = torch.randn(3, 2, 5, 12)
    heads = 3

    def with_scale(scale: float) -> Tensor:
        split = [x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v)]
        weights = (split[0] @ split[1].transpose(-1, -2) * scale).softmax(-1)
        return (weights @ split[2]).transpose(1, 2).flatten(2)

    found = torch.as_tensor(many_heads(q, k, v, heads))
    require(found.shape == v.shape, "the heads' answers are put side by side: the shape of v.")
    reject(
        equal(found, with_scale(12**-0.5)),
        "as above: the width of all heads together. A head's scores add up 4 products, not 12, so"
        " they come out too small and its look too vague.",
    )
    reject(equal(found, with_scale(1.0)), "without a scale the scores grow with the width.")
    reject(equal(found, with_scale(1 / 4)), "the spread of a sum grows with the root: take it.")
    reject(equal(found, with_scale(heads**-0.5)), "the number of heads is not their width.")
    split = [x.unflatten(-1, (heads, -1)) for x in (q, k, v)]
    within = (split[0] @ split[1].mT / 2).softmax(-1) @ split[2]
    reject(
        equal(found, within.flatten(2)),
        "heads and tokens are not swapped: here the heads of one token look at each other.",
    )
    split = [x.transpose(1, 2) for x in split]
    apart = (split[0] @ split[1].mT / 2).softmax(-1) @ split[2]
    reject(
        equal(found, apart.reshape(v.shape)),
        "heads and tokens are not swapped back: a token gets parts of others.",
    )
    reject(equal(found, attention_of_one(q, k, v)), "all of the width as one head.")
    require(equal(found, with_scale(0.5)), "the scores are not divided by sqrt(width of a head).")


@exercise("padding is not read")
def check_read_text(read_text: Callable[..., Any]) -> None:
    """Bug 27: attention to a caption that is padded to a fixed length."""
    q, k, v = torch.randn(2, 4, 6), torch.randn(2, 5, 6), torch.randn(2, 5, 3)
    real = torch.tensor([[True, True, True, False, False], [True] * 5])
    scores = q @ k.transpose(1, 2) / 6**0.5
    right = scores.masked_fill(~real[:, None], -math.inf).softmax(2) @ v
    found = torch.as_tensor(read_text(q, k, v, real))
    require(found.shape == right.shape, "one answer for each query.")
    zeroed = (q @ (k * real[..., None]).transpose(1, 2) / 6**0.5).softmax(2)
    reject(
        equal(found, zeroed @ (v * real[..., None])),
        "as above: a key of zeros has score 0, and exp(0) is 1. Padding says nothing and still"
        " takes its share, so longer padding makes the caption fainter.",
    )
    reject(equal(found, scores.softmax(2) @ v), "the mask is not used.")
    reject(
        equal(found, (scores.softmax(2) * real[:, None]) @ v),
        "masked after the softmax: what is left no longer adds up to 1.",
    )
    reject(
        equal(found, scores.masked_fill(~real[:, None], 0).softmax(2) @ v),
        "a score of 0 is not no score: exp(0) = 1. Minus infinity is none.",
    )
    only = scores.masked_fill(real[:, None], -math.inf).softmax(2)[:1] @ v[:1]
    reject(equal(found[:1], only), "turned round: it reads the padding and nothing else.")
    reject(
        bool(found[0].isnan().any() | found[1].isnan().any()),
        "NaN: a row in which everything is masked has no softmax. `real` is True for tokens that"
        " are to be read.",
    )
    first = scores.masked_fill(~real[:1, None], -math.inf).softmax(2) @ v
    reject(equal(found, first), "all captions are cut as the first one is: each has its own mask.")
    reject(
        equal(found, (6**0.5 * scores).masked_fill(~real[:, None], -math.inf).softmax(2) @ v),
        "the scale 1 / sqrt(dim) got lost.",
    )
    reject(
        equal(found, scores.masked_fill(~real[:, None], -1.0).softmax(2) @ v),
        "a low score is a score, and other scores may be lower. Minus infinity is none.",
    )
    require(equal(found, right), "it is not attention to the real tokens alone.")


@exercise("eight bits for pictures of which nothing is known")
def check_bits_per_dim(bits_per_dim: Callable[..., Any]) -> None:
    """Bug 28: bits per dimension from a density on [-1, 1]."""
    for dims in (64, 3072):
        found = float(bits_per_dim(torch.tensor(-dims * math.log(2.0)), dims))
        reject(
            abs(found - 9) < 1e-3,
            "as above: a uniform density on [-1, 1] costs 9 bits where 8-bit pictures cannot cost"
            " more than 8. A level is 2/256 wide there, not 1/256.",
        )
        reject(abs(found - 1) < 1e-3, "this is the density's own number: a level has a width.")
        reject(abs(found + 6) < 1e-3, "the sign of the width's logarithm: finer levels cost more.")
        reject(abs(found - 6) < 1e-3, "the sign: log p is negative of a cost.")
        reject(
            abs(found - (math.log(2) + 7)) < 1e-3
            or abs(found - (math.log(2) + 7 * math.log(2))) < 1e-3,
            "nats: divide the logarithm of the density by log 2.",
        )
        reject(
            abs(found - (dims + 7)) < 1e-2, "the sum over all dimensions: divide by their number."
        )
        reject(
            abs(found - (1 + 7 / math.log(2))) < 1e-3 or abs(found - (1 + 7 / dims)) < 1e-3,
            "7 is in bits for each dimension already: it is added last.",
        )
        reject(abs(found - (math.log(2) ** 2 + 7)) < 1e-3, "from nats to bits you divide by log 2.")
        require(abs(found - 8) < 1e-3, "a uniform density on [-1, 1] must cost exactly 8 bits.")
    other = float(bits_per_dim(torch.tensor(0.0), 10))
    require(abs(other - 7) < 1e-3, "right for the uniform density only: use log_p.")


@exercise("levels that fill [0, 1) without gap or overlap")
def check_dequantised(dequantised: Callable[..., Any]) -> None:
    """Bug 29: whole-number levels as a density's data."""
    levels = torch.arange(256).repeat(400)
    found = torch.as_tensor(dequantised(levels)).double()
    require(found.shape == levels.shape, "one number for each level.")
    k = levels.double()
    inside = found * 255 - k
    reject(
        bool((inside >= -1e-5).all()) and 0.99 < float(inside.max()) < 0.9999,
        "as above: levels stand 1/255 apart and the noise is 1/256 wide. Between them are gaps that"
        " no data fills, and the last level lies beyond 1.",
    )
    reject(
        bool((inside >= -1e-5).all()) and 0.9999 <= float(inside.max()) < 1.0001,
        "no gaps, but the last level lies in [1, 1 + 1/255): 256 levels need 256 equal parts.",
    )
    part = found * 256 - k
    reject(bool((part.abs() < 1e-4).all()), "there is no noise: a density of points has no bound.")
    reject(
        bool((part < -0.1).any()),
        "noise to both sides: level 0 then lies half below 0. Add it upwards.",
    )
    require(bool(((part > -1e-4) & (part < 1.0001)).all()), "a level leaves its 256th part.")
    require(equal(part.mean(), 0.5, 0.01), "the noise is not even over the level's part.")
    require(
        abs(float(part.std()) - 12**-0.5) < 0.01,
        "the noise does not fill the level's part evenly.",
    )
    again = torch.as_tensor(dequantised(levels)).double()
    require(not equal(found, again, 1e-9), "the noise must be fresh each time.")


@exercise("a covariance of features, not of pictures")
def check_statistics(statistics: Callable[..., Any]) -> None:
    """Bug 30: mean and covariance for a Frechet distance."""
    features = torch.randn(40, 6, dtype=torch.float64) @ torch.randn(6, 6, dtype=torch.float64) + 2
    answer = statistics(features)
    two = isinstance(answer, (tuple, list)) and len(answer) == 2
    require(two, "return two: mean and covariance.")
    mean, covariance = (torch.as_tensor(part) for part in answer)
    reject(equal(covariance, features.mean(0)), "the two are swapped: the mean first.")
    require(equal(mean, features.mean(0)), "the mean of each feature over the pictures is asked.")
    reject(
        covariance.shape == (40, 40),
        "as above: [pictures, pictures]. `torch.cov` takes each *row* for a variable, and has no"
        " `rowvar` to say otherwise.",
    )
    require(covariance.shape == (6, 6), "the covariance has one row for each feature.")
    moment = features.T @ features / 39
    reject(
        equal(covariance, moment) or equal(covariance, moment * 39 / 40),
        "the mean is not taken off: this is the second moment.",
    )
    right = torch.cov(features.T)
    reject(
        equal(covariance, torch.corrcoef(features.T)),
        "these are correlations: the spread of the features is gone.",
    )
    reject(
        equal(covariance, right * 39 / 5) or equal(covariance, right * 39 / 6),
        "divided by the number of features. The mean runs over the pictures.",
    )
    reject(equal(covariance, right.diagonal().diag()), "the features' variances alone.")
    reject(equal(covariance, right * 39), "a sum of products: divide by the number of pictures.")
    require(
        equal(covariance, right) or equal(covariance, right * 39 / 40),
        "it is not the covariance of the features.",
    )
