"""Diffusion of bits against enumeration: matrices, Bayes' rule, and a likelihood written out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.data.sequences import heartbeats
from course_lib.diffusion import discrete
from course_lib.recipes import heartbeat_2015, heartbeat_2015_loss

BOTH = torch.tensor([0.0, 1.0])
chances = st.floats(0.01, 0.99)


def at(t: int, n: int) -> torch.Tensor:
    return torch.full((n,), t)


def matrices(schedule: discrete.BinomialSchedule) -> list[torch.Tensor]:
    """q(x_t | x_{t-1}) as [from, to] for t = 1..T; entry 0 is the identity."""
    steps = [torch.eye(2, dtype=torch.float64)]
    for beta in schedule.beta[1:]:
        redraw = torch.tensor([1 - schedule.rate, schedule.rate], dtype=torch.float64)
        steps.append((1 - beta) * steps[0] + beta * redraw.expand(2, 2))
    return steps


@given(betas=st.lists(chances, min_size=1, max_size=5), rate=chances)
@settings(max_examples=25, deadline=None)
def test_marginals_and_posteriors_are_those_of_the_matrices(betas, rate):
    schedule = discrete.from_betas(torch.tensor(betas, dtype=torch.float64), rate)
    steps, power = matrices(schedule), torch.eye(2, dtype=torch.float64)
    for t in range(1, schedule.T + 1):
        before, power = power, power @ steps[t]
        ones = discrete.marginal(schedule, BOTH[:, None], at(t, 2))[:, 0]
        torch.testing.assert_close(ones, power[:, 1], atol=1e-12, rtol=0)
        for start in (0, 1):
            joint = before[start][:, None] * steps[t]  # [x_{t-1}, x_t]
            bayes = joint[1] / joint.sum(0)
            x_0 = torch.full((2, 1), float(start))
            ours = discrete.posterior(schedule, BOTH[:, None], x_0, at(t, 2))[:, 0]
            torch.testing.assert_close(ours, bayes, atol=1e-9, rtol=0)


@given(T=st.integers(1, 3000))
@settings(max_examples=25, deadline=None)
def test_the_even_schedule_erases_the_same_share_at_every_step(T):
    keep = discrete.even(T).keep
    torch.testing.assert_close(keep, 1 - torch.arange(T + 1).double() / T, atol=1e-12, rtol=0)


def test_the_exact_denoiser_is_bayes_over_the_sequences():
    schedule = discrete.even(7, rate=0.2)
    x_t = (torch.rand(30, 20) < 0.3).float()
    ours = discrete.exact_denoiser(heartbeats(), schedule)(x_t, at(4, 30))
    chance = discrete.marginal(schedule, heartbeats(), at(4, 5))
    likelihood = torch.stack([torch.where(x_t > 0.5, c, 1 - c).prod(1) for c in chance], 1)
    weights = likelihood / likelihood.sum(1, keepdim=True)
    torch.testing.assert_close(ours, weights @ heartbeats().double())


def test_a_network_is_shown_minus_one_and_one_and_answers_in_log_odds():
    class Thrice(torch.nn.Module):
        def forward(self, x_t, t):
            return 3 * x_t + t[:, None]

    model = discrete.BitDenoiser(Thrice(), discrete.even(5))
    expected = 1 / (1 + torch.exp(-torch.tensor([[-3.0 + 2], [3.0 + 2]])))
    torch.testing.assert_close(model(BOTH[:, None], at(2, 2)), expected)


def exact_bits(T: int) -> tuple[float, float]:
    """log2 p(x_0) and K for one-pulse sequences of 4 bits, all 16 states enumerated.

    The model is the best bitwise one, its first step the mirror of the forward one.
    """
    schedule, data = discrete.even(T, rate=0.25), torch.eye(4)
    states = torch.cartesian_prod(*[BOTH] * 4)

    def law(p: torch.Tensor) -> torch.Tensor:
        return torch.where(states > 0.5, p[..., None, :], 1 - p[..., None, :]).prod(-1)

    denoise = discrete.exact_denoiser(data, schedule)
    p = pi = law(torch.full((4,), 0.25, dtype=torch.float64))
    K = float(discrete.ends_bits(schedule, data).mean())
    for t in range(T, 1, -1):
        p = p @ law(discrete.reverse(denoise, schedule, states, at(t, 16)))
        q = law(discrete.marginal(schedule, data, at(t, 4)))  # [sequence, state]
        for i in range(4):
            x_0 = data[i].expand(16, 4)
            K -= float(q[i] @ discrete.step_bits(denoise, schedule, x_0, states, at(t, 16))) / 4
    first = discrete.from_betas(schedule.beta[1:2], rate=0.25)
    forward = law(discrete.marginal(first, states, at(1, 16)))
    p = p @ (forward * pi[:, None] / pi).T
    here = (states[None] == data[:, None]).all(2).double()
    return float((here @ p).log2().mean()), K


def test_the_bound_lies_below_the_likelihood_and_closes_in_as_steps_get_small():
    gaps = []
    for T in (12, 40, 120):
        likelihood, K = exact_bits(T)
        assert K < likelihood < -2 + 1e-9  # the data's own: log2(1/4)
        gaps.append(likelihood - K)
    assert gaps[0] > gaps[1] > gaps[2] > 0


def test_one_learned_step_is_the_null_model():
    schedule, x_0 = discrete.even(1, rate=0.2), heartbeats()
    denoise = discrete.exact_denoiser(x_0, schedule)
    for start in (torch.zeros(5, 20), torch.ones(5, 20)):  # nothing is left of x_0 in x_1
        cost = discrete.step_bits(denoise, schedule, x_0, start, at(1, 5))
        null = 20 * float(discrete.entropy_bits(torch.tensor(0.2)))
        torch.testing.assert_close(cost, torch.full((5,), null).double(), atol=1e-5, rtol=0)
        assert abs(null - 14.438) < 1e-3  # the second column of their Table 1


def test_divergences_are_zero_infinite_and_right():
    q = torch.tensor([0.3, 0.0, 0.5])
    p = torch.tensor([0.3, 0.5, 0.0])
    bits = discrete.kl_bits(q, p)
    assert bits[0] == 0 and abs(bits[1] - 1) < 1e-9 and math.isinf(bits[2])


def test_the_walk_back_makes_heartbeats_and_repeats_itself():
    schedule = discrete.even(60, rate=0.2)
    denoise = discrete.exact_denoiser(heartbeats(), schedule)
    start = (torch.rand(100, 20) < 0.2).float()
    films = [
        list(discrete.walk_back(denoise, schedule, start, torch.Generator().manual_seed(1)))
        for _ in range(2)
    ]
    assert len(films[0]) == 61 and torch.equal(films[0][-1], films[1][-1])
    assert (films[0][-1][:, None] == heartbeats()).all(2).any(1).float().mean() > 0.97


def test_the_recipe_learns():
    torch.manual_seed(0)
    model = heartbeat_2015(T=20)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        loss = heartbeat_2015_loss(model, heartbeats().repeat(20, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: discrete.from_betas(torch.tensor([0.1, 1.5])), "beta_2 = 1.5"),
        (lambda: discrete.from_betas(torch.tensor([])), "none at all"),
        (lambda: discrete.from_betas(torch.tensor([0.1]), rate=1.0), "rate"),
        (lambda: discrete.even(0), "got 0"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@given(st.integers(2, 40), st.integers(1, 20), st.integers(0, 2**20))
@settings(deadline=None)
def test_no_chance_is_above_1_so_that_a_walk_ends_in_bits(count, T, seed):
    generator = torch.Generator().manual_seed(seed)
    sequences, x_T = (torch.rand(n, 6, generator=generator).round() for n in (count, 50))
    sequences[:, 3] = 1  # a bit that all share: its chance is a sum of all weights
    schedule = discrete.even(T)
    denoise = discrete.exact_denoiser(sequences, schedule)
    for t in range(1, T + 1):
        chance = denoise(x_T, torch.full((50,), t))
        assert ((chance >= 0) & (chance <= 1)).all()
    *_, x_0 = discrete.walk_back(denoise, schedule, x_T, generator)
    assert x_0[:, 3].all()


def test_no_step_leads_beyond_the_data():
    bits = torch.ones(2, 3)
    with pytest.raises(ValueError, match="times of this schedule are 0..5, got -1"):
        discrete.posterior(discrete.even(5), bits, bits, torch.tensor([3, 0]))
