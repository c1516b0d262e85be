"""A chapter's models: shipped in the fast profile, trained on this machine in the others."""

import json
from dataclasses import replace
from random import Random

import pytest
import torch

from course_lib import trainings
from course_lib.data.emoji import label_embeddings, load_emoji
from course_lib.data.prompted import view
from course_lib.data.scenes import caption, draw_scenes, parse, split, swapped
from course_lib.models.cascade import shrink
from course_lib.train import TrainConfig
from course_lib.weights import load_weights


def test_the_fast_profile_loads_what_is_shipped(capsys):
    model = trainings.trained("heartbeat_2015", "fast")
    shipped = load_weights("heartbeat_2015", trainings.TRAININGS["heartbeat_2015"].model())
    for ours, theirs in zip(model.parameters(), shipped.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert "heartbeat_2015: shipped weights" in capsys.readouterr().out


def test_other_profiles_train_and_keep_the_run(tmp_path, monkeypatch, capsys):
    short = replace(trainings.TRAININGS["digits_ddpm"], config=TrainConfig(total_steps=2), batch=4)
    monkeypatch.setitem(trainings.TRAININGS, "digits_ddpm", short)
    model = trainings.trained("digits_ddpm", "cpu", tmp_path)
    assert (tmp_path / "digits_ddpm" / trainings.CHECKPOINT).exists()
    again = trainings.trained("digits_ddpm", "cpu", tmp_path)  # nothing is left to train
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert "trained here" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["digits_ddmp", "digits_features"])  # the second ships itself
def test_a_name_that_is_no_model_is_refused(name):
    with pytest.raises(ValueError, match=f"unknown model '{name}'.*digits_ddpm"):
        trainings.trained(name)


def test_the_ablation_is_a_table_of_seeds_and_times(tmp_path):
    times, losses = trainings.unet_ablation()
    assert len(times) == 9 and bool((times.diff() > 0).all())
    for name, table in losses.items():
        assert isinstance(trainings.TRAININGS[name], trainings.Training)
        assert table.shape[1] == 9 and bool((table > 0).all())
    written = tmp_path / "table.json"
    written.write_text('{"times": [1, 2], "losses": {"a": {"0": [3, 4], "1": [5, 6]}, "b": {}}}')
    times, losses = trainings.unet_ablation(written)
    assert times.tolist() == [1, 2] and list(losses) == ["a"]
    assert losses["a"].tolist() == [[3, 4], [5, 6]]


def test_a_loss_that_remembers_starts_afresh_with_each_run(tmp_path):
    row = trainings.TRAININGS["digits_ddpm_vlb_long"]
    short = replace(row, config=TrainConfig(total_steps=2), batch=4)
    first = short(tmp_path / "a", device="cpu")
    second = short(tmp_path / "b", device="cpu")
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert int(row.loss.times.seen.sum()) == 0


def test_a_loss_with_labels_gets_the_label_of_its_picture(monkeypatch, tmp_path):
    seen = []

    def loss(model, x_0, label):
        seen.append((x_0, label))
        return model.loss(x_0, torch.ones(len(x_0), dtype=torch.long), x_0, label=label).mean()

    row = trainings.TRAININGS["digits_labels"]
    replace(row, loss=loss, config=TrainConfig(total_steps=2), batch=5)(tmp_path, device="cpu")
    pictures, labels = trainings.digits(), trainings.digit_labels()
    for x_0, label in seen:
        rows = [int((pictures == x).flatten(1).all(1).nonzero()[0]) for x in x_0]
        assert labels[rows].tolist() == label.tolist()


def test_garments_by_class_begin_as_the_shipped_model():
    model = trainings.TRAININGS["garments_labels"].model()
    plain = load_weights("unet_whole", trainings.TRAININGS["unet_whole"].model())
    x, t = torch.randn(3, 1, 14, 14), torch.tensor([5, 300, 900])
    null = torch.full((3,), 10)
    torch.testing.assert_close(model(x, t, label=null), plain(x, t))
    assert not torch.allclose(model(x, t, label=null - 10), plain(x, t), atol=1e-3)


def test_what_was_measured_of_a_cascade_is_read_by_row_and_seed(tmp_path):
    path = tmp_path / "cascade.json"
    row = {"1": {"FD": 2.0}, "0": {"FD": 1.0, "psnr": 20.0}}
    path.write_text(json.dumps({"n": 7, "rows": {"a": row}}))
    n, rows = trainings.cascade_levels(path)
    assert n == 7
    assert rows["a"]["FD"].tolist() == [1, 2] and rows["a"]["psnr"].tolist() == [20]


def test_full_size_garments_by_class_change_what_reads_the_label_alone(tmp_path):
    row = trainings.TRAININGS["fashion_labels"]
    short = replace(row, config=TrainConfig(lr=1e-3, total_steps=2), batch=2)
    model = short(tmp_path, device="cpu")
    plain = load_weights("fashion_ddpm", trainings.TRAININGS["fashion_ddpm"].model())
    readers = {
        name for name, _ in model.net.named_parameters() if "time" in name or name[:5] == "label"
    }
    for name, ours in model.net.named_parameters():
        if name not in readers:
            assert torch.equal(ours, plain.net.get_parameter(name)), name
    changed = [n for n in readers - {"label.weight"} if not torch.equal(*both(n, model, plain))]
    assert len(changed) > len(readers) / 2
    # What is shipped, put into a fresh model, is the whole again.
    again = row.model()
    row.ships(again).load_state_dict(row.ships(model).state_dict())
    x, t, label = torch.randn(2, 1, 28, 28), torch.tensor([5, 900]), torch.tensor([3, 10])
    torch.testing.assert_close(again(x, t, label=label), model(x, t, label=label))


def both(name, one, other):
    return one.net.get_parameter(name), other.net.get_parameter(name)


def test_captions_of_two_things_and_their_swaps(monkeypatch):
    few = lambda count, **world: draw_scenes(40, **world)  # noqa: E731
    monkeypatch.setattr(trainings, "draw_scenes", few)
    monkeypatch.setattr(trainings, "_pairs", trainings._pairs.__wrapped__)
    read = trainings.caption_tokenizer().decode
    images, captions = few(40, tasks=("pair",))
    both = trainings.pair_captions(swaps=True)
    assert torch.equal(trainings.pair_captions(), both[:, 0])
    at = [captions.index(read(right.tolist())) for right in both[:, 0]]
    assert torch.equal(trainings.pair_scenes(), images[at]) and 0 < len(at) < 40
    swaps = [caption(swapped(parse(text))) for text in captions]
    assert [read(wrong.tolist()) for wrong in both[:, 1]] == [swaps[n] for n in at]
    # No caption of training is held out, not even as a wrong one.
    assert at == [n for n, text in enumerate(swaps) if split(parse(text)) == "train"]
    assert (both != 0).sum(2).max() < trainings.CAPTION_LENGTH  # none is cut off


def test_emoji_and_their_vectors_stand_in_one_order():
    vectors = trainings.emoji_vectors("test_pair")
    emoji = load_emoji("test_pair")
    assert len(vectors) == len(emoji)
    assert torch.equal(vectors[7], label_embeddings()[emoji.concepts[7].code])


@pytest.mark.parametrize("name", ["scenes_tokens", "scenes_bag"])
def test_who_learns_order_goes_on_from_who_has_none(monkeypatch, name):
    first = trainings.TRAININGS["scenes_first"].model()
    monkeypatch.setitem(trainings.TRAININGS, "scenes_first", lambda folder: first)
    row = trainings.TRAININGS[name]
    model = row.model()
    row.start(model)
    old, new = first.net.unet, model.net.unet
    assert torch.equal(new.stem.weight[:, :3], old.stem.weight) and not new.stem.weight[:, 3:].any()
    assert torch.equal(new.middle[0].conv1.weight, old.middle[0].conv1.weight)
    if name == "scenes_tokens":  # which of the two is left of the other it does not see yet
        x, t = torch.randn(1, 3, 16, 16), torch.tensor([500])
        tokens = trainings.caption_tokenizer().batch(["a red circle"], 24)
        torch.testing.assert_close(model(x, t, tokens=tokens), first(x, t, tokens=tokens))
    else:
        assert torch.equal(new.middle[1].query.weight, old.middle[1].look.query.weight)


@pytest.mark.parametrize("f", [1, 4])
def test_scenes_are_swept_in_latents_of_one_size_of_numbers(f, monkeypatch):
    few = trainings.world_32()[0][:40], trainings.world_32()[1][:40]
    monkeypatch.setattr(trainings, "world_32", lambda: few)
    trainings.scene_space.cache_clear()
    latents = trainings.scene_latents(f)
    trainings.scene_space.cache_clear()
    assert latents.shape == (40, 3 if f == 1 else 4, 32 // f, 32 // f)
    if f == 1:
        assert latents.equal(few[0])
    else:
        assert latents.std() == pytest.approx(1, abs=1e-3)
    model = trainings.TRAININGS[f"scenes_f{f}"].model()
    assert model.net.unet.in_channels == latents.shape[1] + 2


def test_the_editor_begins_as_the_shipped_reader():
    editor, reader = trainings.scenes_inpainter(), trainings.trained("scenes_tokens")
    x, t = torch.randn(1, 3, 16, 16), torch.tensor([500])
    tokens = trainings.caption_tokenizer().batch(["a red circle"], 24)
    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    with torch.no_grad():
        told = editor(x, t, tokens=tokens, known=x, hole=hole)
        assert torch.equal(told, reader(x, t, tokens=tokens))


def test_the_judge_has_seen_other_scenes(monkeypatch):
    few = lambda count, **world: draw_scenes(20, **world)  # noqa: E731
    monkeypatch.setattr(trainings, "draw_scenes", few)
    monkeypatch.setattr(trainings, "small_scenes", trainings.small_scenes.__wrapped__)
    guide, judge = (trainings.TRAININGS[f"scene_clip_{name}"] for name in ("noised", "judge"))
    assert not torch.equal(guide.data(), judge.data())
    for row, seed in ((guide, 0), (judge, 1)):
        images, captions = few(0, size=16, seed=seed, tasks=("relation",), **trainings.SMALL_WORLD)
        assert torch.equal(trainings.to_unit(images), row.data())
        assert torch.equal(trainings.caption_tokenizer().batch(captions, 24), row.labels())


def test_the_painter_is_shown_the_views_and_told_what_they_are(monkeypatch):
    few = load_emoji("train", groups=trainings.GROUPS).pick(range(0, 40, 2))
    trainings.latent_space()  # its scale is measured on all of them
    monkeypatch.setattr(trainings, "load_emoji", lambda *_, **__: few)
    trainings._prompted.cache_clear()
    latents, tokens = trainings.prompted_latents(), trainings.prompt_tokens()
    trainings._prompted.cache_clear()
    assert latents.shape == (20 * trainings.VIEWS, 4, 16, 16) and latents.dtype == torch.float16
    pictures, told = view(few, Random(0))
    shown = trainings.latent_space().decode(latents[:20].float())
    assert (shown - trainings.to_unit(pictures)).square().mean() < 0.01
    for text, ids in zip(told, tokens, strict=False):
        known = trainings.prompt_tokenizer().decode(ids.tolist())
        assert known == text or text.startswith(known[: len(known) // 2])  # the longest are cut


def test_the_painter_hides_features_while_it_learns():
    painter = trainings.TRAININGS["emoji_latent"].model()
    drops = [one.p for one in painter.modules() if isinstance(one, torch.nn.Dropout)]
    assert drops and set(drops) == {0.1}


# ---- chapters 26 and 27 -------------------------------------------------------------------------


def forty(count, part="train", **world):
    return draw_scenes(40, part, **world)


@pytest.fixture
def few_scenes(monkeypatch):
    """Forty scenes of the small world, and a CLIP of them that has learnt nothing."""
    torch.manual_seed(0)
    monkeypatch.setattr(trainings, "draw_scenes", forty)
    images, tokens = trainings.world_32.__wrapped__()
    monkeypatch.setattr(trainings, "world_32", lambda seed=0, size=32: (images, tokens))
    models = {name: trainings.TRAININGS[name].model().eval() for name in ("world_clip",)}
    monkeypatch.setattr(trainings, "at_hand", models.__getitem__)
    caches = [trainings.clip_of, trainings.world_vectors, trainings.world_texts]
    caches += [trainings.caption_states]
    for one in caches:
        one.cache_clear()
    yield images, tokens, models["world_clip"]
    for one in caches:
        one.cache_clear()


def test_the_same_scenes_at_another_size(monkeypatch):
    monkeypatch.setattr(trainings, "draw_scenes", forty)
    world = trainings.world_32.__wrapped__
    (small, tokens), (large, again), (other, captions) = world(), world(size=64), world(seed=1)
    assert large.shape == (40, 3, 64, 64) and torch.equal(tokens, again)
    assert (shrink(large) - small).abs().mean() < 0.01  # edges are drawn anew, places are the same
    assert not torch.equal(captions, tokens) and other.shape == small.shape


def test_a_prior_is_told_what_clip_says_of_the_same_scene(few_scenes):
    images, tokens, clip = few_scenes
    vectors, (text, states, there) = trainings.world_vectors(), trainings.world_texts()
    with torch.no_grad():
        torch.testing.assert_close(vectors[3:5], clip.embed_images(images[3:5]))
        torch.testing.assert_close(text[3:5], clip.embed_texts(tokens[3:5]))
        end = (tokens[3] == 2).int().argmax()
        own = torch.nn.functional.normalize(clip.text.head(states[3, end]), dim=0)
    torch.testing.assert_close(own, text[3])
    assert torch.equal(there, tokens != 0) and there.shape == states.shape[:2]


def test_states_belong_to_their_scenes(few_scenes):
    read = trainings.caption_tokenizer().decode
    for kind, width in (("frozen", 64), ("clip", 32), ("one-hot", 72)):
        states, there, texts = trainings.caption_states(kind)
        assert states.shape[2] == width and len(texts) == len(states) >= 72
        mine, seen = trainings.world_states(kind)
        row = texts.index(read(few_scenes[1][7].tolist()))
        assert torch.equal(mine[7], states[row]) and torch.equal(seen[7], there[row])
        ending = {"frozen": "", "clip": "_clip", "one-hot": "_one_hot"}[kind]
        model = trainings.TRAININGS[f"imagen_16{ending}"].model()
        x = torch.zeros(2, 3, 16, 16)
        assert model(x, torch.tensor([1, 9]), states=mine[:2], there=seen[:2]).shape == x.shape
    with pytest.raises(ValueError, match="unknown features 'T5'"):
        trainings.caption_states("T5")


NEW = ["unclip_prior", "unclip_numbers", "unclip_decoder", "unclip_up", "imagen_16", "imagen_32"]


@pytest.mark.parametrize("name", NEW)
def test_a_row_with_several_labels_learns(name, few_scenes, tmp_path):
    row = trainings.TRAININGS[name]
    config = replace(row.config, total_steps=2, warmup_steps=1, final_steps=0)
    short = replace(row, config=config, batch=4)
    model = short(tmp_path, device="cpu")
    assert (tmp_path / trainings.CHECKPOINT).exists()
    torch.manual_seed(0)
    fresh = row.model()
    moved = [
        not torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True)
    ]
    assert any(moved)
    if name == "unclip_numbers":  # its buckets are set, and kept with the run
        assert model.buckets.axes.shape == (24, 64) and model.edges.any()
        again = short(tmp_path, device="cpu")
        assert torch.equal(again.buckets.low, model.buckets.low)


def test_systems_have_the_same_time():
    cost = {"prior": 0.081, "decoder": 0.156, "up": 0.081}  # seconds a step, measured alike
    unclip = sum(cost[part] * steps for part, steps in trainings.UNCLIP.items())
    imagen = 0.141 * trainings.IMAGEN["16"] + 0.143 * trainings.IMAGEN["32"]
    latent = 0.153 * trainings.LATENT_SCENES
    assert unclip == pytest.approx(latent, rel=0.02) and imagen == pytest.approx(latent, rel=0.02)


def test_the_painter_learns_to_read_vectors_and_forgets_nothing(monkeypatch):
    torch.manual_seed(0)
    painter = trainings.TRAININGS["emoji_latent"].model().eval()
    monkeypatch.setattr(trainings, "at_hand", lambda name: {"emoji_latent": painter}[name])
    row = trainings.TRAININGS["emoji_unclip"]
    model = row.model()
    learns = {name for name, one in model.named_parameters() if one.requires_grad}
    added = row.ships(model)
    assert sum(p.numel() for p in added.parameters()) == sum(
        p.numel() for p in model.parameters() if p.requires_grad
    )
    assert not any("tower" in name or "conv" in name for name in learns)
    assert any(".read." in name for name in learns) and "net.add.weight" in learns
    share = sum(p.numel() for p in added.parameters()) / sum(p.numel() for p in model.parameters())
    assert share < 0.3
