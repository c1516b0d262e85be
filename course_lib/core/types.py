"""The shapes that the whole library speaks of, in one place.

Under pytest these annotations are checked at every call (jaxtyping with beartype); a reader who
runs a notebook pays nothing for them.
"""

from collections.abc import Callable

from jaxtyping import Float, Num
from torch import Tensor

Data = Float[Tensor, "batch *dims"]
Images = Float[Tensor, "batch channels height width"]
Points = Float[Tensor, "batch dim"]
Time = Num[Tensor, " batch"]  # one time per example; integers for a discrete schedule
PerExample = Float[Tensor, " batch"]

Denoise = Callable[[Tensor, Tensor], Tensor]  # (x_t, t) -> the mean of x_0 given x_t
RandnLike = Callable[[Tensor], Tensor]  # a tensor -> standard normal noise of its shape
