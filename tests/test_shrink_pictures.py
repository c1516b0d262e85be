"""Pictures get smaller and stay the same."""

import base64
import io
import json
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import shrink_pictures  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 4, (40, 40), dtype=np.uint8) * 60


def png(pixels=PIXELS):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def pack(monkeypatch, result):
    """As if oxipng were there and gave `result`."""

    class Oxipng:
        class StripChunks:
            safe = staticmethod(lambda: None)

        optimize_from_memory = staticmethod(lambda data, **how: result)

    monkeypatch.setitem(sys.modules, "oxipng", Oxipng)


def test_oxipng_keeps_the_pixels():
    pytest.importorskip("oxipng")
    packed = shrink_pictures.smaller(png())
    assert len(packed) < 0.8 * len(png()) and np.array_equal(pixels(packed), PIXELS)
    assert Image.open(io.BytesIO(packed)).mode == "L"  # not a palette of four greys


def test_another_picture_is_refused_and_a_larger_one_not_taken(monkeypatch):
    pack(monkeypatch, png(255 - PIXELS))
    with pytest.raises(ValueError, match="changed the picture"):
        shrink_pictures.smaller(png())
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).convert("RGB").save(buffer, "PNG")
    pack(monkeypatch, buffer.getvalue())
    with pytest.raises(ValueError, match="changed the picture"):
        shrink_pictures.smaller(png())
    pack(monkeypatch, png() + b" " * 10)
    assert shrink_pictures.smaller(png()) == png()


def test_outputs_and_checksums_follow(monkeypatch, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", optimize=True)
    pack(monkeypatch, buffer.getvalue())
    cell = nbformat.v4.new_code_cell("x")
    data = {"image/png": base64.b64encode(png()).decode(), "text/plain": "x"}
    cell.outputs = [nbformat.v4.new_output("display_data", data)]
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    shrink_pictures.shrink_notebook(path)
    [output] = nbformat.read(path, as_version=4).cells[0].outputs
    assert base64.b64decode(output.data["image/png"]) == buffer.getvalue()
    assert output.data["text/plain"] == "x"

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sheet.png").write_bytes(png())
    record = {"sheet.png": {"pixels_sha256": "p", "bytes": 1, "sha256": "s"}, "other": {"bytes": 2}}
    sums = tmp_path / "data" / "checksums.json"
    sums.write_text(json.dumps(record))
    monkeypatch.setattr(shrink_pictures, "ROOT", tmp_path)
    monkeypatch.setattr(shrink_pictures, "CHECKSUMS", sums)
    shrink_pictures.shrink_file(tmp_path / "data" / "sheet.png")
    now = json.loads(sums.read_text())
    assert now["sheet.png"]["bytes"] == len(buffer.getvalue())
    assert now["sheet.png"]["sha256"] != "s" and now["sheet.png"]["pixels_sha256"] == "p"
    assert now["other"] == record["other"]
