"""The one recipe: real pictures score the floor, worse ones worse, copies are caught."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.core.tensors import to_unit
from course_lib.data.digits import TOP, load_digits
from course_lib.data.emoji import SPLITS, load_emoji
from course_lib.data.fashion_mnist import load_fashion_mnist
from course_lib.data.samples import load_samples
from course_lib.evaluation import (
    REAL,
    as_pixels,
    enter,
    evaluate,
    find_copies,
    frechet_at_size,
    frechet_emoji,
    prompt_recall,
    scoreboard,
    standings,
)
from course_lib.evaluation import (
    unseen as unseen_count,
)
from course_lib.features import classify, features
from course_lib.metrics import frechet_distance, kernel_distance, precision_recall
from course_lib.models.clip import emoji_clip
from course_lib.weights import load_weights

N = 400


@pytest.fixture(scope="module")
def unseen():
    """Test pictures that the recipe does not compare with, of random classes."""
    pictures = load_fashion_mnist("test")[0][5_000:]
    return pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(1))[:N]]


@pytest.fixture(scope="module")
def judged(unseen):
    return evaluate(unseen)


def shuffled_train(n):
    pictures = load_fashion_mnist("train")[0]
    return pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(0))[:n]]


def test_real_pictures_score_the_floor(judged):
    assert judged.n == judged.pictures == N and judged.against == "fashion"
    assert 0.5 < judged.frechet.value / judged.frechet.floor < 2
    assert abs(judged.kernel.value) < 0.03 and abs(judged.kernel.floor) < 0.03
    assert abs(judged.precision.value - judged.precision.floor) < 0.06
    assert abs(judged.recall.value - judged.recall.floor) < 0.06
    assert judged.copies.value < 0.04 and not judged.cheats


def test_each_number_is_the_metric_of_the_features(judged, unseen):
    made, test, real = (
        features(x) for x in (unseen, load_fashion_mnist("test")[0][:N], shuffled_train(N))
    )
    for rows, which in ((made, "value"), (real, "floor")):
        found = [getattr(score, which) for score in judged.scores[:4]]
        own = [frechet_distance(rows, test), float(kernel_distance(rows, test))]
        assert found == pytest.approx([*own, *precision_recall(rows, test)])
    guesses = classify(unseen).argmax(1).bincount(minlength=10) / N
    assert judged.class_shares == pytest.approx(guesses.tolist())


def test_more_test_pictures_can_be_compared_with(unseen):
    more = evaluate(unseen, pictures=600)
    assert more.pictures == 600 and more.n == N
    made, test = features(unseen), features(load_fashion_mnist("test")[0][:600])
    assert more.frechet.value == pytest.approx(frechet_distance(made, test))
    assert more.precision.value == pytest.approx(precision_recall(made, test[:N])[0])


def test_numbers_against_another_test_set_do_not_join_a_table():
    assert (
        unseen_count("fashion") == unseen_count("fashion", 6_000) == 6_000
        and unseen_count("digits") == 445
    )
    with pytest.raises(ValueError, match="10,000 test pictures, here are 6,000"):
        unseen_count("fashion", 10_000)
    with pytest.raises(ValueError, match="data set"):
        unseen_count("emoji")


def test_each_damage_shows_where_it_should(judged, unseen):
    noisy = to_unit(unseen) + 0.3 * torch.randn(
        unseen.shape, generator=torch.Generator().manual_seed(2)
    )
    worse = evaluate(noisy)
    assert worse.frechet.value > 5 * judged.frechet.value
    assert worse.kernel.value > 10 * abs(judged.kernel.floor)
    assert worse.precision.value < judged.precision.value - 0.1
    pictures, labels = load_fashion_mnist("test")
    few = evaluate(pictures[5_000:][labels[5_000:] < 4][:N])
    assert few.recall.value < judged.recall.value - 0.3
    assert few.precision.value > 0.7 and few.class_shares[9] < 0.01


def test_training_pictures_score_like_real_ones_and_are_caught():
    cheat = evaluate(shuffled_train(2 * N)[N:])
    assert cheat.frechet.value < 2.5 * cheat.frechet.floor  # N is small
    assert cheat.copies.value == 1 and cheat.cheats
    assert "Copies of training pictures" in str(cheat)


def test_a_tenth_of_copies_is_caught(unseen):
    mixed = torch.cat([unseen[: N - N // 10], shuffled_train(N // 10)])
    found = find_copies(mixed)
    assert found[N - N // 10 :].all() and found.double().mean() < 0.15
    assert evaluate(mixed).cheats


def test_noise_does_not_hide_a_copy_and_blur_alone_is_none(unseen):
    random = torch.Generator().manual_seed(3)
    train = to_unit(shuffled_train(200))
    noise = torch.randn(train.shape, generator=random)
    assert find_copies(train + 0.1 * noise).double().mean() > 0.9
    # As far from the original as unseen pictures are from theirs: the ratio still finds a third.
    assert find_copies(train + 0.3 * noise).double().mean() > 0.3
    blurred = F.avg_pool2d(F.pad(to_unit(unseen), [2] * 4, value=-1.0), 5, 1)
    assert find_copies(blurred).double().mean() < 0.05


def test_digits_are_judged_in_their_seventeen_levels():
    real, _ = load_digits("test")
    judged = evaluate(real, "digits")
    assert judged.n == judged.pictures == 445
    assert judged.frechet.value == pytest.approx(0, abs=1e-6)  # the test set against itself
    assert not judged.cheats
    uneven = to_unit(real, TOP) + 0.9 / TOP  # below half a level: gone when rounded
    assert torch.equal(as_pixels(uneven, "digits"), real)
    cheat = evaluate(load_digits("train")[0], "digits")
    assert cheat.n == 1352 and cheat.cheats
    assert cheat.frechet.value == pytest.approx(cheat.frechet.floor)


def test_a_scoreboard_starts_with_the_floor(judged):
    board = str(scoreboard({"unseen": judged}, caption="Garments"))
    caption, head, _, real, made = board.splitlines()
    assert caption == "Garments" and head.split()[-5:] == [
        "FD",
        "KD",
        "precision",
        "recall",
        "copies",
    ]
    assert real.startswith(f"real, {N}") and f"{judged.frechet.floor:.3g}" in real
    assert made.startswith("unseen") and f"{judged.frechet.value:.3g}" in made


def test_a_scoreboard_refuses_unequal_numbers(judged, unseen):
    with pytest.raises(ValueError, match="300 samples, 300 fashion; 400 samples, 400 fashion"):
        scoreboard({"a": judged, "b": evaluate(unseen[:300])})
    with pytest.raises(ValueError, match="equal numbers"):
        scoreboard({})


def test_standings_come_back_as_they_were_entered(judged, tmp_path):
    path = tmp_path / "board.json"
    assert standings(path=path) == {}
    enter("b", judged, "drawn so", path)
    enter("a", judged, "drawn otherwise", path)
    assert list(standings(path=path)) == ["a", "b"] and standings("digits", path) == {}
    again = standings(path=path)["b"]
    assert again.scores == judged.scores and again.pictures == N
    assert again.class_shares == pytest.approx(judged.class_shares)


@pytest.mark.parametrize("against", REAL)
def test_the_committed_standings_are_comparable_and_honest(against):
    found = standings(against)
    assert len(found) >= 4
    distances = [one.frechet.value for one in found.values()]
    assert distances == sorted(distances)  # the nearest first
    assert str(scoreboard(found)).count("\n") == len(found) + 2
    assert not any(one.cheats for one in found.values())
    assert all(one.frechet.value > one.frechet.floor for one in found.values())


def test_the_committed_standings_are_what_the_committed_samples_score():
    entered = standings("digits")["digits: DDPM, 50 steps"]
    again = evaluate(load_samples("digits_ddpm"), "digits")
    for one, other in zip(again.scores, entered.scores, strict=True):
        assert one.value == pytest.approx(other.value, rel=0.01, abs=0.003)
        assert one.floor == pytest.approx(other.floor, rel=0.01, abs=0.003)


def test_the_text_holds_every_number_and_its_floor(judged):
    lines = str(judged).splitlines()
    assert lines[0] == "400 samples against 400 test pictures of fashion"
    assert [line.split()[0] for line in lines[1:]] == ["FD", "KD", "precision", "recall", "copies"]
    assert all("real" in line for line in lines[1:])


@pytest.mark.parametrize(
    ("samples", "against", "message"),
    [
        (torch.zeros(200, 1, 8, 8), "fashion", r"\[n, 1, 28, 28\], got \[200, 1, 8, 8\]"),
        (torch.zeros(0, 1, 8, 8), "digits", r"got \[0, 1, 8, 8\]"),
        (torch.zeros(20, 1, 28, 28), "cifar", "fashion, digits"),
        (torch.zeros(20, 1, 28, 28), "fashion", "a covariance needs more rows"),
        (torch.zeros(1353, 1, 8, 8), "digits", "1,353 samples, but digits has 1,352 train"),
    ],
)
def test_what_cannot_be_judged_is_refused(samples, against, message):
    with pytest.raises(ValueError, match=message):
        evaluate(samples, against)


def test_diverged_samples_are_counted():
    samples = torch.zeros(50, 1, 8, 8)
    samples[3, 0, 2, 2], samples[7, 0, 1, 1] = float("inf"), float("nan")
    with pytest.raises(ValueError, match="2 of 50 samples hold numbers that are not finite"):
        evaluate(samples, "digits")


def test_garments_of_a_cascade_are_judged_at_their_own_size():
    pixels = load_fashion_mnist("train")[0][5000:5300]
    framed = F.pad(to_unit(pixels), (2, 2, 2, 2), value=-1.0)
    for side in (8, 16):
        small = F.avg_pool2d(framed, 32 // side)
        real = frechet_at_size(small, 300)
        assert real.n == 300 and real.value < 1.5 * real.floor
        grey = frechet_at_size(0.5 * small - 0.5, 300)
        assert grey.value > 2 * real.value and grey.floor == real.floor
    with pytest.raises(ValueError, match="8, 16 or 32"):
        frechet_at_size(torch.zeros(3, 1, 28, 28))


# ---- emoji --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    """400 training emoji that are not those of the floor."""
    train = load_emoji("train")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).tolist()
    return train.pick(order[-400:])


def test_emoji_are_measured_beside_their_floor(drawn):
    on_white = drawn.on(size=32)
    real = frechet_emoji(on_white)
    assert real.n == 400 and 0.7 < real.value / real.floor < 1.4, real
    blurred = F.avg_pool2d(F.pad(on_white, [1] * 4, mode="replicate"), 3, 1)
    noisy = on_white + 0.3 * torch.randn(on_white.shape, generator=torch.Generator().manual_seed(0))
    tower = load_weights("emoji_clip", emoji_clip()).image
    held_out = torch.cat([load_emoji(part).on(size=32) for part in SPLITS[1:]])
    rows = [tower.seen(x, levels=3) for x in (on_white, held_out)]
    assert real.value == pytest.approx(frechet_distance(*rows), rel=1e-4)
    ordered = [frechet_emoji(x).value for x in (on_white, blurred, noisy)]
    assert ordered[2] > 1.5 * ordered[1] > 2.25 * ordered[0]
    assert frechet_emoji(drawn.on(size=64)).value == pytest.approx(real.value, rel=1e-3)


def test_prompts_are_found_by_their_code(drawn):
    few, codes = drawn.on(size=32)[:40], [one.code for one in drawn.concepts[:40]]
    own = prompt_recall(few, codes)
    assert own.n == 40 and own.value > 0.5 and 0.15 < own.floor < 0.4
    assert prompt_recall(few, codes, k=5).value >= own.value
    assert prompt_recall(few, codes, k=1555).value == 1
    assert prompt_recall(few, codes[1:] + codes[:1]).value < 0.1
    again = prompt_recall(drawn.on(size=64)[:40], codes)
    assert abs(again.value - own.value) < 0.05


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(200, 3, 48, 48), "32 or 64"),
        (torch.zeros(200, 1, 32, 32), "32 or 64"),
        (torch.full((200, 3, 32, 32), torch.nan), "not finite"),
        (torch.zeros(50, 3, 32, 32), "covariance"),
        (torch.zeros(8_000, 3, 32, 32), "no more than those"),
    ],
)
def test_what_are_no_emoji_or_too_few_is_refused(samples, message):
    with pytest.raises(ValueError, match=message):
        frechet_emoji(samples)


def test_prompts_are_codes_one_for_each_sample():
    with pytest.raises(ValueError, match="code of an emoji"):
        prompt_recall(torch.zeros(1, 3, 32, 32), ["red apple"])
    with pytest.raises(ValueError, match="2 samples but 1 codes"):
        prompt_recall(torch.zeros(2, 3, 32, 32), ["1F34E"])
