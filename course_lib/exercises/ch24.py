"""The exercises of chapter 24: there and back, guidance in latents, the price by f, a safe hole."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib.exercises.checking import equal, exercise, reject, require
from course_lib.models.latent import latent_hole

MIX = torch.tensor([[2.0, 0.5, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 4.0]])


@exercise("into latents and out of them")
def check_there_and_back(answer: Any) -> None:
    """Exercise 1: a pair of functions, pictures to scaled latents and back."""
    pair = answer if isinstance(answer, tuple | list) else (answer, None)
    as_a_pair = "give the two functions as a pair: (to_latents, to_pictures)."
    require(len(pair) == 2 and callable(pair[0]), as_a_pair)
    to_latents, to_pictures = pair

    def encode(x: Tensor) -> Tensor:
        return x @ MIX + 3

    def decode(z: Tensor) -> Tensor:
        return (z - 3) @ torch.linalg.inv(MIX)

    x = torch.randn(500, 3)
    raw = encode(x)
    scale = 1 / raw.std()
    empty = "nothing is filled in. Write your own line for the `...`"
    z = to_latents(x, encode, scale)
    require(z is not None, f"{empty} of to_latents.")
    require(callable(to_pictures), as_a_pair)
    z = torch.as_tensor(z)
    require(z.shape == raw.shape, f"latents of the shape {list(raw.shape)}, got {list(z.shape)}.")
    reject(
        equal(z, raw),
        "these are the encoder's latents, several times as large as the noise will be: the scale is"
        " forgotten on the way in.",
    )
    reject(
        equal(z, raw / scale, 1e-3),
        "upside down: the scale is 1 / (standard deviation) and multiplies on the way in.",
    )
    reject(
        equal(z, encode(scale * x)),
        "this scales the picture. The encoder wants it as it was trained; its latents are scaled.",
    )
    reject(
        equal(z, scale * (raw - raw.mean()), 1e-3),
        "the mean is taken off too. The scale is about the spread alone, and the way back would"
        " have to know this mean.",
    )
    reject(
        equal(z, (raw - raw.mean(0)) / raw.std(0), 1e-2) or equal(z, raw / raw.std(0), 1e-2),
        "each number of the latents has its own scale here. One for all is given.",
    )
    reject(
        equal(z, encode(x / scale)),
        "the two functions are swapped: (to_latents, to_pictures).",
    )
    require(equal(z, scale * raw), "the encoder's latents times the scale are asked.")
    require(
        equal(to_latents(x, encode, 0.5), 0.5 * raw),
        "`scale` is an argument: it was measured once, on other pictures than these.",
    )
    back = to_pictures(z, decode, scale)
    require(back is not None, f"{empty} of to_pictures.")
    back = torch.as_tensor(back)
    reject(
        equal(back, decode(z), 1e-3),
        "the decoder is given latents of variance 1, and knows only its own, larger ones: the scale"
        " is forgotten on the way out. Pictures of this mistake look washed out.",
    )
    reject(
        equal(back, decode(scale * z), 1e-3),
        "scaled twice, not back: divide on the way out.",
    )
    reject(
        equal(back, decode(z) / scale, 1e-3),
        "the picture is divided by the scale. It is the latents that were multiplied: divide before"
        " decoding.",
    )
    require(equal(back, x, 1e-3), "there and back should be where you began.")


@exercise("guidance in latents")
def check_guided(guided: Callable[..., Any]) -> None:
    """Exercise 2: classifier-free guidance of an estimate of z_0."""
    z_t, t = 2 * torch.randn(3, 4, 2, 2), torch.tensor([900, 500, 100])
    tokens, null = torch.tensor([[1, 5, 2], [1, 6, 2], [1, 7, 2]]), torch.tensor([[1, 2, 0]])
    asked = []

    def model(z: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        require(
            torch.is_tensor(tokens) and len(tokens) == len(z) and len(t) == len(z),
            "the model wants one row of tokens and one time for each picture. `null` has one row:"
            " `null.expand(len(z_t), -1)` repeats it.",
        )
        asked.append(tokens)
        word = tokens[:, 1].float()[:, None, None, None]
        return 0.5 * z + 0.3 * word + 1e-3 * t[:, None, None, None]

    def ask(words: Tensor) -> Tensor:
        return model(z_t, t, words)

    c, u = ask(tokens), ask(null.expand(3, -1))
    scale = 3.0
    asked.clear()
    found = torch.as_tensor(guided(model, z_t, t, tokens, null, scale))
    require(found.shape == z_t.shape, f"an estimate of z_0, {list(z_t.shape)}.")
    right = u + scale * (c - u)
    reject(
        equal(found, right.clamp(-1, 1)) or equal(found, u + scale * (c.clamp(-1, 1) - u)),
        "held within [-1, 1]. Pixels have that range; latents of variance 1 leave it all the time.",
    )
    reject(
        equal(found, c + scale * (c - u)),
        "this begins at the answer with the prompt: it is w, with scale = 1 + w. At scale 1 nothing"
        " may change.",
    )
    reject(
        equal(found, c + scale * (u - c)),
        "the wrong way: from the answer with the prompt towards the one without.",
    )
    reject(
        equal(found, scale * c + (1 + scale) * u) or equal(found, scale * c),
        "the weights of the two answers must add up to 1.",
    )
    reject(
        equal(found, u.clamp(-1, 1) + scale * (c.clamp(-1, 1) - u.clamp(-1, 1))),
        "both answers are held within [-1, 1]. Latents of variance 1 leave that all the time.",
    )
    reject(equal(found, scale * (c - u)), "the arrow alone is no estimate: it starts at u.")
    reject(equal(found, u + scale * c), "you add the answer c, not the arrow c - u.")
    reject(equal(found, z_t + scale * (c - u)), "the arrow starts at u, not at z_t.")
    nothing = ask(torch.zeros_like(tokens))
    reject(
        equal(found, nothing + scale * (c - nothing)),
        "a row of zeros is not the empty prompt: that is `null`, as it was trained.",
    )
    reject(
        equal(found, c) or equal(found, u),
        "one of the two answers alone: nothing is guided.",
    )
    require(equal(found, right), "asked is u + scale (c - u).")
    require(
        equal(guided(model, z_t, t, tokens, null, 1.0), c),
        "scale is an argument: at 1 it is the answer with the prompt.",
    )


@exercise("multiply-adds of a convolution, by f")
def check_price(price: Callable[..., Any]) -> None:
    """Exercise 3: what a convolution costs in the latents of a picture."""
    case = (64, 4, 32, 48, 3)  # side, f, from, to, kernel
    right = 16 * 16 * 32 * 48 * 9
    found = float(price(*case))
    for wrong, why in (
        (64 * 64 * 32 * 48 * 9, "f is not there: this is the price on pixels."),
        (
            64 * 64 // 4 * 32 * 48 * 9,
            "divided by f once. Rows *and* columns are f times fewer: f squared.",
        ),
        (16 * 32 * 48 * 9, "only one side is counted: there are side/f rows and side/f columns."),
        (16 * 16 * 32 * 48 * 3, "a kernel is a square: 3 times 3 for each pair of channels."),
        (16 * 16 * 48 * 9, "each output channel reads every input channel."),
        (16 * 16 * 32 * 9, "each of the output channels costs this much."),
        (16 * 16 * (32 + 48) * 9, "channels multiply: each of the 48 reads each of the 32."),
        (32 * 48 * 9, "these are its parameters. They are used at every place of the latents."),
        (
            2 * right,
            "twice as many: a multiplication with its addition counts as one multiply-add.",
        ),
        (16 * 16 * 32 * 48, "the kernel is not there: each output looks at 3 times 3 places."),
        (16**4 * 32 * 48 * 9, "the fourth power is attention's. A convolution has (side / f)^2."),
        (right + 16 * 16 * 48, "a bias is added, and multiplies nothing."),
        (14 * 14 * 32 * 48 * 9, "padding keeps the size: also the border has outputs."),
    ):
        reject(abs(found - wrong) < 0.5, why)
    require(abs(found - right) < 0.5, f"at side 64 and f = 4, 32 to 48 channels, {right:,}.")
    require(
        abs(float(price(32, 1, 3, 8, 1)) - 32 * 32 * 3 * 8) < 0.5,
        "on pixels (f = 1) with a kernel of 1 it is not right.",
    )


@exercise("a hole of which no known latent has heard")
def check_open(open_latents: Callable[..., Any]) -> None:
    """Exercise 4: which latents to draw anew."""
    hole = torch.zeros(1, 1, 32, 40, dtype=torch.bool)
    hole[..., 8:19, 14:22] = hole[..., 26, 33] = True
    f, reach = 4, 1
    found = torch.as_tensor(open_latents(hole, f, reach))
    size = hole.shape[-2] // f, hole.shape[-1] // f
    require(
        found.shape == (1, 1, *size),
        f"one answer for each place of the latents: [1, 1, {size[0]}, {size[1]}],"
        f" got {list(found.shape)}.",
    )
    found = found > 0
    reject(
        equal(found, ~latent_hole(hole, f, reach)),
        "inside out: True is where latents are drawn anew.",
    )
    share = F.avg_pool2d(hole.float(), f)

    def grown(places: Tensor) -> Tensor:
        return F.max_pool2d(places.float(), 2 * reach + 1, stride=1, padding=reach) > 0

    right = latent_hole(hole, f, reach)
    reject(
        equal(found, grown(F.max_pool2d((~hole).float(), f))),
        "this opens the picture and keeps the hole: `hole` is True where pixels are missing.",
    )
    reject(
        equal(found, ~grown(F.max_pool2d((~hole).float(), f))),
        "you let what is known grow, and the open ones shrink. A latent with one missing pixel is"
        " open, and so are its neighbours.",
    )
    thin = [hole[..., ::f, ::f], hole[..., f // 2 :: f, f // 2 :: f]]
    reject(
        any(
            equal(found, one) or (equal(found, grown(one)) and not equal(found, right))
            for one in thin
        ),
        "one pixel in f is looked at: edges of the hole fall between them. Every pixel counts.",
    )
    reject(
        any(
            equal(found, one) or (equal(found, grown(one)) and not equal(found, right))
            for one in (share >= 1, share > 0.5, share.round() > 0)
        ),
        "only latents that lie wholly or mostly in the hole. One pixel of it is enough to be seen.",
    )
    reject(
        equal(found, latent_hole(hole, f)),
        "these latents lie over the hole. Their neighbours have looked into it: `reach` of them on"
        " each side must be drawn anew too.",
    )
    wide = F.max_pool2d(hole.float(), 2 * reach + 1, stride=1, padding=reach)
    reject(
        equal(found, F.max_pool2d(wide, f) > 0),
        "the hole has grown by `reach` pixels. It is meant in latents, of f pixels each: shrink"
        " first, then grow.",
    )
    touched = latent_hole(hole, f).float()
    cross = F.conv2d(touched, torch.tensor([[[[0.0, 1, 0], [1, 1, 1], [0, 1, 0]]]]), padding=1)
    reject(
        equal(found, cross > 0),
        "corners are missing: a kernel is a square and sees diagonally as well.",
    )
    require(equal(found, right), "not the latents that have seen the hole.")
    require(
        equal(torch.as_tensor(open_latents(hole, 8, 2)) > 0, latent_hole(hole, 8, 2)),
        "right for f = 4 and reach 1 only: both are arguments.",
    )
    require(
        equal(torch.as_tensor(open_latents(hole, 4, 0)) > 0, latent_hole(hole, 4)),
        "with reach 0 it is the latents that lie over the hole, and no more.",
    )
