"""Figures: built without a warning, of the right size, with the right things drawn once."""

import io

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from course_lib import plot
from course_lib.plot import COLOURS

pytestmark = pytest.mark.filterwarnings("error")
GREY = torch.linspace(-1, 1, 5 * 28 * 28).reshape(5, 1, 28, 28)


def pixels_of(picture: plot.Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png())).convert("RGB"))


def colours_of(artists) -> list[str]:
    return [to_hex(artist.get_facecolor()[0]).upper() for artist in artists]


def test_colours_can_be_told_apart_on_white_and_by_luminance():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    contrast = {name: 1.05 / (luminance(to_rgb(c)) + 0.05) for name, c in COLOURS.items()}
    assert min(contrast.values()) > 3, contrast  # WCAG 2.1's bound for graphics
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_use_style_sets_the_look_of_other_figures():
    with matplotlib.rc_context():
        plot.use_style()
        assert not matplotlib.rcParams["axes.spines.top"]
        assert matplotlib.rcParams["font.size"] == plot.STYLE["font.size"]


def test_a_figure_leaves_the_readers_own_style_alone():
    before = dict(matplotlib.rcParams)
    plot.lines({"a": [1, 2]})
    assert dict(matplotlib.rcParams) == before


def test_a_notebook_shows_a_picture_once_with_its_alt_text():
    from IPython.core.formatters import DisplayFormatter

    picture = plot.lines({"a": [1, 2, 3]}, title="Up", alt="a line that rises")
    data, metadata = DisplayFormatter().format(picture)
    assert data["image/png"] == picture.png()
    assert data["text/plain"] == "Picture: a line that rises"
    assert metadata["image/png"] == {"alt": "a line that rises", "width": 614}


def test_pyplot_does_not_know_the_figures_so_none_is_shown_twice():
    import matplotlib.pyplot as plt

    plot.show_points(torch.randn(10, 2))
    assert plt.get_fignums() == []


def test_the_same_figure_gives_the_same_bytes():
    assert plot.lines({"a": [1, 3]}).png() == plot.lines({"a": [1, 3]}).png()


def test_each_picture_pixel_is_one_square_of_screen_pixels():
    images = torch.arange(10 * 784).reshape(10, 1, 28, 28).remainder(256).to(torch.uint8)
    drawn = pixels_of(plot.show_images(images, columns=5))
    zoom = 6  # the largest that keeps five pictures of 28 pixels and the gaps within the width
    assert drawn.shape == (2 * 28 * zoom + 6, 5 * 28 * zoom + 4 * 6, 3)
    for i in range(10):
        y, x = (i // 5) * (28 * zoom + 6), (i % 5) * (28 * zoom + 6)
        square = drawn[y : y + 28 * zoom, x : x + 28 * zoom, 0]
        blown_up = images[i, 0].numpy().repeat(zoom, 0).repeat(zoom, 1)
        assert abs(square.astype(int) - blown_up).max() <= 3  # 64 greys


def test_a_plot_keeps_the_course_s_colours():
    waves = {name: [float(i + k % 3) for k in range(50)] for i, name in enumerate(COLOURS)}
    drawn = pixels_of(plot.lines(waves, colours=list(COLOURS))).reshape(-1, 3).astype(int)
    assert len(np.unique(drawn, axis=0)) <= 64
    for colour in COLOURS.values():
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert abs(drawn - wanted).sum(1).min() <= 3


def test_colour_pictures_keep_their_colours():
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    drawn = pixels_of(plot.show_images(images))
    zoom = 13  # 216 // 16
    expected = ((images[0] + 1) * 127.5).round().permute(1, 2, 0).numpy().astype(np.uint8)
    first = drawn[: 16 * zoom : zoom, : 16 * zoom : zoom]
    assert np.abs(first.astype(int) - expected).max() <= 2


def test_show_images_draws_titles_and_captions():
    captions = ["one", "two", "three", "four", "five"]
    picture = plot.show_images(GREY, columns=2, captions=captions, title="Greys")
    assert [axes.get_title() for axes in picture.axes] == captions
    assert [text.get_text() for text in picture.texts] == ["Greys"]
    assert picture.alt == "Greys: 5 pictures of 28x28 pixels"
    without = plot.show_images(GREY, columns=2)
    assert picture.get_figheight() > without.get_figheight()


def test_floats_outside_the_range_are_clipped_not_wrapped():
    images = torch.full((1, 1, 4, 4), 1.7)
    images[..., :2] = -3.0
    drawn = pixels_of(plot.show_images(images))
    assert set(np.unique(drawn)) == {0, 255}


@pytest.mark.parametrize("shape", [(28, 28), (3, 28, 28), (2, 4, 8, 8), (0, 1, 8, 8)])
def test_what_is_not_a_batch_of_pictures_is_named(shape):
    with pytest.raises(ValueError, match=r"images must be \[n, 1 or 3, height, width\], got \["):
        plot.show_images(torch.zeros(shape))


def test_captions_must_match_in_number():
    with pytest.raises(ValueError, match="5 pictures need 5 captions, got 1"):
        plot.show_images(GREY, captions=["only one"])


def test_show_rows_labels_rows_and_columns():
    rows = {"t = 1000": GREY, "t = 0": GREY}
    picture = plot.show_rows(rows, columns=list("abcde"), title="Falling t")
    assert len(picture.axes) == 10
    assert [t.get_text() for axes in picture.axes for t in axes.texts] == ["t = 1000", "t = 0"]
    assert [axes.get_title() for axes in picture.axes[:5]] == list("abcde")
    picture.draw_without_rendering()
    for axes in picture.axes:  # no label runs out of the figure
        for text in axes.texts:
            assert text.get_window_extent().x0 >= 0
    with pytest.raises(ValueError, match="rows must have one shape"):
        plot.show_rows({"a": GREY, "b": GREY[:2]})
    with pytest.raises(ValueError, match="5 columns need 5 headings, got 2"):
        plot.show_rows(rows, columns=["a", "b"])
    large = plot.show_rows({"unpacked again": torch.zeros(3, 3, 64, 64)})
    large.draw_without_rendering()
    assert large.axes[0].texts[0].get_window_extent().x0 >= 0


def test_long_headings_of_columns_do_not_touch():
    picture = plot.show_rows({"row": GREY}, columns=["Wednesday's child"] * 4 + [""])
    picture.draw_without_rendering()
    heads = [axes.title.get_window_extent() for axes in picture.axes[:4]]
    assert all(one.x1 < two.x0 for one, two in zip(heads, heads[1:], strict=False))
    assert plot.fitting(["", ""], 100) == 10.5


def test_show_points_has_a_panel_for_each_cloud_in_its_colour():
    clouds = {name: torch.randn(50, 2) for name in ("data", "noise", "model", "t = 3")}
    picture = plot.show_points(clouds, columns=3, behind=torch.randn(20, 2), title="Four")
    panels = [axes for axes in picture.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in panels] == list(clouds)
    for axes, colour in zip(panels, ("data", "noise", "model", "data"), strict=True):
        faint, cloud = axes.collections
        assert len(faint.get_offsets()) == 20 and len(cloud.get_offsets()) == 50
        assert colours_of([cloud]) == [COLOURS[colour]]
        assert axes.get_xlim() == axes.get_ylim() == panels[0].get_xlim()
        assert axes.get_aspect() == 1
    alone = plot.show_points(torch.randn(50, 2), colours=["exact"], limit=3.0)
    assert alone.axes[0].get_xlim() == (-3, 3)
    assert colours_of(alone.axes[0].collections) == [COLOURS["exact"]]


def test_points_say_what_their_two_numbers_are():
    clouds = dict.fromkeys("abcd", torch.randn(9, 2))
    picture = plot.show_points(clouds, columns=2, xlabel="red", ylabel="blue")
    assert [axes.get_xlabel() for axes in picture.axes] == ["red"] * 4
    assert [axes.get_ylabel() for axes in picture.axes] == ["blue", "", "blue", ""]
    picture.draw_without_rendering()
    sides = {round(axes.get_window_extent().width) for axes in picture.axes}
    assert max(sides) - min(sides) <= 1


def test_show_paths_draws_each_way_once_with_its_two_ends():
    steps = [torch.full((4, 2), 3.0 - k) + torch.arange(4)[:, None] for k in range(6)]
    picture = plot.show_paths({"Heun": steps, "DDIM": steps[::5]}, behind=torch.randn(9, 2))
    for axes, length in zip(picture.axes, (6, 2), strict=True):
        assert [len(line.get_xdata()) for line in axes.get_lines()] == [length] * 4
        faint, begin, end = axes.collections
        assert np.allclose(begin.get_offsets(), steps[0]) and np.allclose(
            end.get_offsets(), steps[5]
        )
        assert colours_of([begin, end]) == [COLOURS["noise"], COLOURS["model"]]
        assert axes.get_lines()[0].get_zorder() < 3
    assert len(plot.show_paths(steps).axes) == 1


def test_unknown_colours_list_the_known_ones():
    with pytest.raises(ValueError, match=r"data, noise, model, exact, accent, got \['red'\]"):
        plot.show_points(torch.randn(5, 2), colours=["red"])


def test_show_field_points_its_arrows_along_the_field():
    picture = plot.show_field(lambda x: -x, log_density=lambda x: -x.square().sum(1) / 2, arrows=9)
    [axes] = picture.axes
    [arrows] = axes.collections
    start, step = np.asarray(arrows.XY), np.stack([arrows.U, arrows.V], axis=1)
    assert len(start) == 81
    inward = (start * step).sum(1)
    assert (inward[np.linalg.norm(start, axis=1) > 0.1] < 0).all()
    longest = np.linalg.norm(step, axis=1).max()
    assert longest == pytest.approx(2 * 2.5 / 9)  # the longest just reaches its neighbour
    assert len(axes.images) == 1 and axes.images[0].get_array().shape == (160, 160)


def test_the_density_is_not_transposed():
    picture = plot.show_field(
        lambda x: x, log_density=lambda x: -20 * ((x - torch.tensor([2.0, -1.0])) ** 2).sum(1)
    )
    density = np.asarray(picture.axes[0].images[0].get_array())
    row, column = np.unravel_index(density.argmax(), density.shape)
    line = np.linspace(-2.5, 2.5, 160)
    assert line[column] == pytest.approx(2.0, abs=0.02)  # x runs along a row
    assert line[row] == pytest.approx(-1.0, abs=0.02)


def test_a_field_of_zeros_is_drawn_without_a_warning():
    assert plot.show_field(torch.zeros_like).png()


def test_fields_stand_side_by_side_each_over_its_own_density():
    densities = {"a": lambda x: -x.square().sum(1), "b": lambda x: -9 * x.square().sum(1)}
    fields = {"a": lambda x: -x, "b": lambda x: -100 * x}
    picture = plot.show_field(fields, log_density=densities, arrows=5)
    assert [axes.get_title(loc="left") for axes in picture.axes] == ["a", "b"]
    first, second = (np.asarray(axes.images[0].get_array()) for axes in picture.axes)
    assert first.sum() > 2 * second.sum()
    one, other = (axes.collections[0] for axes in picture.axes)
    assert np.allclose(one.U, other.U)  # lengths are scaled in each panel by itself
    assert picture.alt == "a vector field on the plane: a; b"


def test_a_flow_lies_over_each_time_s_own_density_with_data_at_the_left():
    falling = torch.linspace(1, 0, 11)
    runs = {"a": torch.zeros(11, 4), "b": torch.ones(11, 2)}
    bump = {"t": falling, "density": lambda x, t: torch.exp(-x.square() / (0.1 + t))}
    picture = plot.show_flow(runs, **bump, limit=2.0)
    assert [len(axes.get_lines()) for axes in picture.axes] == [4, 2]
    drawn = np.asarray(picture.axes[0].images[0].get_array())
    assert np.allclose(drawn.max(0), 1)  # each time is scaled to its own height
    assert (drawn[0, 0] < drawn[0, -1]).all()  # wide at t = 1, so at the right
    assert picture.axes[0].get_xlim() == (0, 1)


def test_maps_share_a_scale_that_says_what_it_shows():
    maps = {"near": lambda x: 0 * x[:, 0], "far": lambda x: x[:, 0]}
    picture = plot.show_map(maps, scale=(0.0, 1.0), label="error", points=torch.randn(5, 2))
    *panels, bar = picture.axes
    assert bar.get_ylabel() == "error" and len(panels) == 2
    assert all(axes.images[0].get_clim() == (0, 1) for axes in panels)
    drawn = np.asarray(panels[1].images[0].get_array())
    assert (np.diff(drawn, axis=1) > 0).all() and not np.diff(drawn, axis=0).any()
    with pytest.raises(ValueError, match=r"low < high, got \(1, 1\)"):
        plot.show_map(maps, scale=(1, 1), label="error")


def test_few_points_on_a_logarithmic_axis_are_named_as_they_are():
    picture = plot.lines({"error": [4.0, 2.0, 1.0]}, x=[64, 128, 256], log="xy", marker="o")
    axis = picture.axes[0].xaxis
    assert [label.get_text() for label in axis.get_ticklabels()] == ["64", "128", "256"]
    assert len(axis.get_minorticklocs()) == 0


def test_lines_are_labelled_at_their_ends_without_overlap():
    curves = {"data": [1, 2, 3.0], "model": ([0, 1, 2], [3, 2, 3.0]), "other": [2, 2, 3.01]}
    picture = plot.lines(curves, xlabel="step", ylabel="loss")
    [axes] = picture.axes
    assert [line.get_label() for line in axes.get_lines()] == list(curves)
    assert axes.get_lines()[1].get_color() == COLOURS["model"]
    assert axes.get_lines()[2].get_color() not in (COLOURS["model"], COLOURS["data"])
    assert sorted(text.get_text() for text in axes.texts) == sorted(curves)
    picture.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in zip(boxes, boxes[1:], strict=False))
    assert all(box.x1 <= picture.get_figwidth() * plot.DPI for box in boxes)


def test_crosses_stand_where_another_source_has_the_curve_in_its_colour():
    curves = {"a": [1, 2.0], "b": [2, 3.0]}
    [axes] = plot.lines(curves, crosses={"b": ([0, 1], torch.tensor([2.5, 3]))}).axes
    [crosses] = axes.collections
    assert crosses.get_offsets().tolist() == [[0, 2.5], [1, 3]]
    assert to_hex(crosses.get_edgecolor()[0]) == to_hex(axes.get_lines()[1].get_color())
    with pytest.raises(ValueError, match="none for {'c'}"):
        plot.lines(curves, crosses={"c": ([0], [1])})


def test_names_of_curves_that_end_together_stand_as_the_curves_lie():
    curves = {"steep": [0, 0.1, 1.0], "early": [0, 0.9, 1.0], "even": [0, 0.5, 1.001]}
    [axes] = plot.lines(curves).axes
    heights = {text.get_text(): text.xy[1] for text in axes.texts}
    assert sorted(heights, key=heights.get) == ["steep", "even", "early"]


def test_lines_take_log_axes_tensors_and_gaps():
    y = torch.tensor([1.0, 0.1, float("nan")])
    picture = plot.lines({"a": y}, x=torch.tensor([1, 10, 100]), log="xy", marker="o")
    [axes] = picture.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_lines()[0].get_xdata().tolist() == [1, 10, 100]
    with pytest.raises(ValueError, match="got 'z'"):
        plot.lines({"a": y}, log="z")
    with pytest.raises(ValueError, match="'b' has no point that is finite"):
        plot.lines({"a": y, "b": y * float("nan")})


def test_push_apart_keeps_order_distance_and_what_was_free():
    heights = plot._push_apart([0.1, 0.5, 0.5, 0.52, 0.9], 0.1)
    assert heights[0] == 0.1 and heights[-1] == 0.9
    assert np.all(np.diff(heights) >= 0.1 - 1e-12)
    assert np.mean(heights[1:4]) == pytest.approx(np.mean([0.5, 0.5, 0.52]))


def test_push_apart_stays_within_the_axes_while_there_is_room():
    heights = plot._push_apart([0.99, 1.0, 1.0], 0.1)
    assert heights == pytest.approx([0.8, 0.9, 1.0])
    assert plot._push_apart([0.0, 0.01], 0.1) == pytest.approx([0.0, 0.1])


def test_a_long_title_is_wrapped_and_never_cut():
    title = "A title that is much longer than the single small picture below it, and than the page"
    for picture in (plot.show_images(GREY[:1], title=title), plot.lines({"a": [1]}, title=title)):
        picture.draw_without_rendering()
        [text] = picture.texts
        assert text.get_text().split() == title.split() and "\n" in text.get_text()
        assert text.get_window_extent().x1 <= picture.get_figwidth() * plot.DPI
        assert text.get_window_extent().y0 >= 0


def test_small_pictures_are_blown_up_even_in_wide_grids():
    sixteen = plot.show_images(GREY[:1].expand(32, -1, -1, -1), columns=16)
    assert sixteen.get_figwidth() * plot.DPI == pytest.approx(16 * 2 * 28 + 15 * 3)


def test_compare_bars_writes_the_numbers_and_the_floor():
    picture = plot.compare_bars({"DDPM": 7.66, "noise": 276.0}, floor=2.89, xlabel="distance")
    [axes] = picture.axes
    assert [bar.get_width() for bar in axes.patches] == [7.66, 276.0]
    assert to_hex(axes.patches[1].get_facecolor()).upper() == COLOURS["noise"]
    assert {"7.66", "276", "real against real: 2.89"} <= {t.get_text() for t in axes.texts}
    assert "DDPM 7.66; noise 276" in picture.alt


@pytest.mark.parametrize("longest", [0.1, 1.0, 1.2, 30.0])
def test_the_floor_crosses_no_number_and_only_what_it_would_cross_moves(longest):
    values = {str(share): longest * share for share in np.linspace(0.02, 1, 15).round(2)}
    plain, picture = (plot.compare_bars(values, floor=at, form="{:.4f}") for at in (None, 1.0))
    picture.draw_without_rendering()
    [axes] = picture.axes
    line = axes.transData.transform((1.0, 0))[0]
    texts = [text for text in axes.texts if "real" not in text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    assert len(texts) == 15 and not any(box.x0 - 3 < line < box.x1 + 3 for box in boxes)
    assert max(box.x1 for box in boxes) <= picture.bbox.x1
    moved = [(text.xyann[0] - 4) * plot.DPI / 72 for text in texts]  # pixels
    crossed = [(box, by) for box, by in zip(boxes, moved, strict=True) if by]
    assert all(box.x0 - by < line + 6 < box.x0 + 6 for box, by in crossed)
    assert bool(crossed) == (longest > 0.1)
    assert all(text.xyann == (4, 0) for text in plain.axes[0].texts)


def test_densities_shade_each_curve_and_name_it():
    x = torch.linspace(-1, 1, 5)
    (axes,) = plot.densities({"data": x.abs(), "model": 1 - x.abs()}, x=x, xlabel="x").axes
    drawn = [(str(line.get_label()), line.get_color()) for line in axes.get_lines()]
    assert drawn == [(name, plot.COLOURS[name]) for name in ("data", "model")]
    assert len(axes.collections) == 2 and axes.get_legend() is not None
    assert axes.get_ylim()[0] == 0 and axes.get_xlim() == (-1, 1)


def test_histograms_have_area_one_even_when_some_fall_outside():
    samples = {"data": torch.linspace(0, 4, 1000)}
    picture = plot.histogram(samples, bins=10, limits=(0.0, 2.0), density=lambda x: x * 0 + 0.25)
    [axes] = picture.axes
    outline = axes.patches[0].get_xy()
    area = np.abs(np.sum(np.diff(outline[:, 0]) * outline[1:, 1]))
    assert area == pytest.approx(0.5, abs=0.01)  # half of the samples lie in the limits
    assert len(axes.get_lines()) == 1
    assert axes.get_lines()[0].get_color() == COLOURS["exact"]
    assert plot.histogram({"data": torch.full((9,), 3.0)}).axes[0].get_xlim() == (2.5, 3.5)


@pytest.mark.parametrize("title", ["", "A title"])
def test_no_text_leaves_the_figure_at_the_width_of_a_page(title):
    pictures = [
        plot.show_images(GREY, captions=["ankle boot"] * 5, title=title),
        plot.show_points({"noise": torch.randn(30, 2), "data": torch.randn(30, 2)}, title=title),
        plot.lines({"long name of a curve": [1, 2]}, xlabel="x", ylabel="y", title=title),
        plot.compare_bars({"a long name of a bar": 1.0}, xlabel="x", title=title),
        plot.histogram({"data": torch.randn(30)}, xlabel="x", title=title),
        plot.show_field(lambda x: x, title=title),
        plot.show_chains({"one": [("x", 1.0), ("z", 0.2)]}, title=title),
        plot.show_field({"a": lambda x: x, "b": lambda x: -x}, title=title),
        plot.show_map({"a": lambda x: x[:, 0]}, scale=(0, 1), label="error", title=title),
    ]
    for picture in pictures:
        assert picture.get_figwidth() <= plot.WIDTH
        picture.draw_without_rendering()
        box = picture.get_tightbbox()
        assert box.x0 > -0.02 and box.x1 < picture.get_figwidth() + 0.02, picture.alt
        assert box.y0 > -0.02 and box.y1 < picture.get_figheight() + 0.02, picture.alt


def test_chains_have_a_circle_for_each_variable_and_dash_what_is_fixed():
    chains = {"a": [("x", 1.0), ("z", 0.1)], "b": [("x", 1.0)] * 4}
    picture = plot.show_chains(chains, fixed=["b"])
    learned, fixed = picture.axes
    assert [len(axes.patches) for axes in (learned, fixed)] == [2, 4]
    assert learned.patches[1].radius < learned.patches[0].radius
    assert [line.get_linestyle() for line in learned.get_lines()] == ["-", "-"]
    assert [line.get_linestyle() for line in fixed.get_lines()] == ["--", "-"] * 3
