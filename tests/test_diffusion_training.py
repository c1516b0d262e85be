"""Time laws are uniform, and the weights of the bound are the papers'."""

import pytest
import torch
from scipy import stats

from course_lib.diffusion.likelihood import gaussian_kl
from course_lib.diffusion.predictions import PREDICTS, x_0_weight
from course_lib.diffusion.schedules import cosine, from_betas, linear
from course_lib.diffusion.training import (
    ImportanceTimes,
    log_uniform_levels,
    min_snr_weight,
    stratified_times,
    uniform_times,
    vlb_weight,
)

SCHEDULES = {"linear": linear(), "cosine": cosine(), "short": linear(20, 5e-3, 0.5)}
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
t_10 = from_betas(torch.full((10,), 0.1))


@pytest.mark.parametrize("draw", [uniform_times, stratified_times])
@pytest.mark.parametrize("n", [1, 7, 64])
def test_every_time_is_equally_likely(draw, n):
    # chi-square over the pooled draws of many batches; stratified batches only spread more evenly
    torch.manual_seed(1)
    times = torch.cat([draw(t_10, n) for _ in range(20_000 // n)])
    counts = times.bincount(minlength=12)
    assert counts[0] == 0 and counts[11] == 0  # 1..T and nothing else
    assert stats.chisquare(counts[1:11].numpy()).pvalue > 1e-3


def test_the_position_in_the_batch_says_nothing_about_the_time():
    torch.manual_seed(0)
    first = torch.stack([stratified_times(t_10, 10) for _ in range(4_000)])
    for position in (0, 4, 9):
        counts = first[:, position].bincount(minlength=11)[1:]
        assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_stratified_times_fill_every_part_of_the_range_once():
    torch.manual_seed(0)
    times = stratified_times(linear(), 50).sort().values
    assert torch.equal((times - 1) // 20, torch.arange(50))


def test_a_stratified_batch_has_the_same_mean_with_less_noise():
    torch.manual_seed(0)
    loss = torch.linspace(1, 0, 1001).square()  # some loss that depends on t
    means = {
        draw: torch.stack([loss[draw(linear(), 64)].mean() for _ in range(500)])
        for draw in (uniform_times, stratified_times)
    }
    exact = loss[1:1001].mean()
    plain, spread = means[uniform_times], means[stratified_times]
    assert abs(plain.mean() - exact) < 4 * plain.std() / 500**0.5
    assert abs(spread.mean() - exact) < 4 * spread.std() / 500**0.5
    assert spread.std() < plain.std() / 5


def test_levels_are_spread_evenly_over_the_decades():
    torch.manual_seed(0)
    levels = torch.cat([log_uniform_levels(100, 0.01, 100.0) for _ in range(50)])
    assert levels.min() >= 0.01 and levels.max() <= 100.0
    assert stats.kstest(levels.log10().numpy(), "uniform", args=(-2, 4)).pvalue > 1e-3
    one = log_uniform_levels(100, 0.01, 100.0)
    parts = ((one.log10() + 2) * 25).long().sort().values  # one level from each hundredth
    assert (parts - torch.arange(100)).abs().max() <= 1
    assert not torch.equal(one, one.sort().values)


@each_schedule
def test_vlb_weight_of_eps_is_the_factor_of_ho_eq_12(schedule):
    t = torch.arange(2, schedule.T + 1)
    beta, alpha_bar = schedule.beta, schedule.alpha_bar
    for variance in ("small", "large"):
        spread = beta[t]
        if variance == "small":
            spread = beta[t] * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t])
        paper = beta[t] ** 2 / (2 * spread * (1 - beta[t]) * (1 - alpha_bar[t]))
        ours = vlb_weight(schedule, t, "eps", variance)
        torch.testing.assert_close(ours, paper, atol=0, rtol=1e-9)


@each_schedule
def test_vlb_weight_of_x_0_is_the_difference_of_snrs(schedule):
    # Kingma et al. 2021, section 4
    t = torch.arange(2, schedule.T + 1)
    halved = (schedule.snr(t - 1) - schedule.snr(t)) / 2
    torch.testing.assert_close(vlb_weight(schedule, t, "x_0"), halved, atol=0, rtol=1e-6)


@each_schedule
@pytest.mark.parametrize("predicts", PREDICTS)
def test_every_prediction_pays_the_same_for_the_same_error(schedule, predicts):
    t = torch.arange(2, schedule.T + 1)
    per_x_0 = vlb_weight(schedule, t, predicts) * x_0_weight(
        predicts, schedule.alpha(t), schedule.sigma(t)
    )
    torch.testing.assert_close(per_x_0, vlb_weight(schedule, t, "x_0"), atol=0, rtol=1e-9)


@pytest.mark.parametrize("variance", ["small", "large"])
def test_the_weighted_error_is_the_divergence_of_the_two_steps(variance):
    # KL between q(x_s | x_t, x_0) and the same Gaussian around a wrong x_0. With "large", both
    # are given the variance beta, so that only the distance of the means is left.
    schedule = linear(50, 2e-3, 0.4)
    x_0, guess, x_t = 0.3, 0.55, 1.1
    for t in (2, 10, 50):
        beta, bar, bar_s = schedule.beta[t], schedule.alpha_bar[t], schedule.alpha_bar[t - 1]

        def mean(x, beta=beta, bar=bar, bar_s=bar_s):  # Ho et al. 2020, eq. 7
            a = bar_s.sqrt() * beta / (1 - bar)
            return a * x + (1 - beta).sqrt() * (1 - bar_s) / (1 - bar) * x_t

        spread = beta if variance == "large" else beta * (1 - bar_s) / (1 - bar)
        kl = gaussian_kl(mean(x_0), spread, mean(guess), spread)
        weight = vlb_weight(schedule, torch.tensor([t]), "x_0", variance)
        torch.testing.assert_close(weight[0] * (guess - x_0) ** 2, kl, atol=0, rtol=1e-9)


def test_an_unknown_variance_is_refused():
    with pytest.raises(ValueError, match="'medium'. Use one of: small, large"):
        vlb_weight(linear(), torch.tensor([5]), "eps", "medium")


def fed(losses, keep=10):
    """A memory in which the time t lost losses[t - 1], `keep` times."""
    times = ImportanceTimes(len(losses), keep)
    for _ in range(keep):
        times.remember(torch.arange(1, len(losses) + 1), losses)
    return times


def test_times_are_uniform_until_each_has_a_history():
    times = ImportanceTimes(5, keep=2)
    for t in (1, 2, 3, 4, 5, 1, 2, 3, 4):
        assert torch.equal(times.probabilities(), torch.full((5,), 0.2, dtype=torch.float64))
        times.remember(torch.tensor([t]), torch.tensor([float(t)]))
    times.remember(torch.tensor([5]), torch.tensor([5.0]))
    assert times.probabilities()[4] > 0.3


def test_the_chance_of_a_time_is_the_root_mean_square_of_its_last_losses():
    times = ImportanceTimes(2, keep=3)
    for loss in (100.0, 1.0, 2.0, 3.0):  # the first one is forgotten
        times.remember(torch.tensor([1, 2]), torch.tensor([loss, 1.0]))
    size = torch.tensor([(14 / 3) ** 0.5, 1.0], dtype=torch.float64)
    wanted = 0.999 * size / size.sum() + 0.001 / 2
    torch.testing.assert_close(times.probabilities(), wanted)


def test_a_time_that_occurs_twice_fills_two_places():
    times = ImportanceTimes(3, keep=2)
    times.remember(torch.tensor([2, 1, 2]), torch.tensor([5.0, 7.0, 6.0]))
    assert times.losses.tolist() == [[7.0, 0.0], [5.0, 6.0], [0.0, 0.0]]
    assert times.seen.tolist() == [1, 2, 0]


def test_the_factors_make_the_mean_unbiased_and_take_its_noise_away():
    torch.manual_seed(0)
    losses = torch.logspace(0, -4, 200, dtype=torch.float64)
    times, means = fed(losses), []
    for _ in range(300):
        t, weight = times.draw(16)
        means.append((weight * losses[t - 1]).mean())
    means = torch.stack(means)
    plain = torch.stack([losses[torch.randint(200, (16,))].mean() for _ in range(300)])
    assert abs(means.mean() - losses.mean()) < 5 * means.std() / 300**0.5
    assert means.std() < plain.std() / 20  # what all losses have in common is no noise
    t = torch.cat([times.draw(50)[0] for _ in range(100)])
    assert t.min() == 1 and t.max() <= 200


def test_with_a_share_of_one_all_draws_stay_uniform():
    losses = torch.logspace(0, -4, 100, dtype=torch.float64)
    times = fed(losses)
    assert times.probabilities()[0] > 5 * times.probabilities()[50]
    times.uniform = 1.0
    _, weight = times.draw(64)
    torch.testing.assert_close(weight, torch.ones(64, dtype=torch.float64))


def test_levels_that_have_no_logarithm_are_refused():
    assert log_uniform_levels(3, 0.5, 0.5).tolist() == [0.5] * 3
    for low, high in ((0.0, 1.0), (2.0, 1.0), (-1.0, 1.0)):
        with pytest.raises(ValueError, match=f"low={low}, high={high}"):
            log_uniform_levels(3, low, high)


def test_where_there_is_no_noise_only_x_0_counts_its_error():
    t = torch.tensor([0])
    found = {kind: float(min_snr_weight(linear(), t, kind)) for kind in ("x_0", "eps", "v")}
    assert found == {"x_0": 5, "eps": 0, "v": 0}
