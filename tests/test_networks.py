"""Networks in the reader's browser: the same walks in JavaScript, the same numbers from ONNX."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import unicodedata
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch
from ipywidgets import Widget
from torch import nn

from course_lib.core.noise import normals, shared_randn_like
from course_lib.diffusion.denoiser import Denoiser
from course_lib.diffusion.schedules import cosine, edm, linear, spaced_times
from course_lib.imagine import Settings, imagine, known_pieces, notes, painter
from course_lib.models import tokenizer
from course_lib.models.latent import LENGTH
from course_lib.models.text_to_image import draw
from course_lib.recipes import ddpm, digits_unet
from course_lib.trainings import prompt_tokenizer, trained
from course_lib.weights import SCALE
from course_lib.widgets.base import HERE, SHARED, module
from course_lib.widgets.live_sampler import SAMPLERS, LiveSampler
from course_lib.widgets.prompt_box import PromptBox
from tools import frontend, networks

ROOT = HERE.parent.parent
SIDE = 6  # of the pictures that need no trained network


def javascript(folder: Path, program: str) -> Any:
    """What a program with network.js and kit.js at hand prints; skips where there is no Node.js."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed; the course does not need it, this comparison does")
    for name in SHARED:
        shutil.copy(HERE / f"{name}.js", folder / f"{name}.mjs")
    head = 'import * as n from "./network.mjs"; import { normals } from "./kit.mjs";\n'
    head += 'import { tokenizer, words } from "./tokenizer.mjs";\n'
    head += 'import { readFileSync } from "node:fs";\n'
    (folder / "run.mjs").write_text(head + program)
    done = subprocess.run(
        [node, "run.mjs"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---- the walks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("T", [40, 1000])
def test_the_page_walks_at_the_library_s_times(tmp_path, T):
    program = f"console.log(JSON.stringify(Array.from({{length: {T}}}, (_, i) => "
    program += f"n.spacedTimes({T}, i + 1))))"
    schedule = linear(T, 1e-3, 0.02)
    expected = [spaced_times(schedule, steps).tolist() for steps in range(1, T + 1)]
    assert javascript(tmp_path, program) == expected


def test_the_page_and_the_kernel_draw_the_same_noise(tmp_path):
    program = "const n7 = normals(7); console.log(JSON.stringify(Array.from({length: 900}, n7)))"
    page = np.array(javascript(tmp_path, program))
    assert np.allclose(page, normals(7, 900), rtol=0, atol=1e-12)


class Bend(nn.Module):
    """A network without weights, that JavaScript can be, too."""

    def forward(self, x_t, t):
        return 0.6 * torch.sin(2 * x_t) + 0.3 * t[:, None, None, None] / 1000


@pytest.mark.parametrize("predicts", ["eps", "v", "x_0"])
@pytest.mark.parametrize("make", [linear, cosine])
def test_the_page_s_walk_is_the_library_s(tmp_path, make, predicts):
    widget = LiveSampler(Denoiser(Bend(), make(), predicts), "bend", (SIDE, SIDE), steps=3)
    asked = [
        (name, steps, eta, 11)
        for name in SAMPLERS
        for steps, eta in ((1, 0.5), (2, 0.0), (7, 0.35), (50, 1.0))
    ]
    (tmp_path / "betas.bin").write_bytes(widget.betas)
    program = f"""
const path = n.schedule(new Float32Array(new Uint8Array(readFileSync("betas.bin")).buffer));
const ask = (x, t) => {{
  const out = x.map((v) => 0.6 * Math.sin(2 * v) + (0.3 * t) / 1000);
  return n.cleanFrom("{predicts}", out, x, path, t, 1);
}};
const found = [];
for (const [sampler, steps, eta, seed] of {json.dumps(asked)}) {{
  const normal = normals(seed), x = Float32Array.from({{ length: {SIDE**2} }}, normal), walk = [];
  for await (const at of n.walk({{ ask, path, sampler, steps, eta, x, normal }}))
    walk.push([at.t, Array.from(at.x), Array.from(at.x_0)]);
  found.push(walk);
}}
console.log(JSON.stringify(found));
"""
    for wish, page in zip(asked, javascript(tmp_path, program), strict=True):
        kernel = list(widget.walk(*wish))
        assert [t for t, _, _ in page] == [t for t, _, _ in kernel]
        for (_, x, x_0), (_, state, guess) in zip(page, kernel, strict=True):
            assert np.allclose(x, state.flatten(), atol=2e-4), wish
            assert np.allclose(x_0, guess.flatten(), atol=2e-4), wish
        assert len(page) == wish[1] + 1


# ---- the tokenizer ------------------------------------------------------------------------------

ODD = [
    "",
    " ",
    "   red  apple\t\n\n on a\u00a0blue background ",
    "it's we'll they've I'd 'tis 's'",
    "CAFÉ cafe\u0301 naïve ŒUVRE straße ﬁ İi",
    "кошка 猫 고양이 แมว بِسْم हिन्दी",
    "3 apples, ½ ² ٣ Ⅷ 10,000.50!",
    "🙂 👩‍👩‍👧‍👦 🇩🇪 ❤️ \U0001f44d\U0001f3fd 𝒳𝟙",
    "a\x00b\x1c\x1d\x1e\x1f\x85c\u2028d\u200be\ufefff\u3000g",
    "half \ud83d pair and \udc00 alone",
    "noto style: eight o’clock -- (really?) _under_ __x",
    "w" * 300,
]


def odd_text(rng: Random) -> str:
    """Assigned signs of all kinds, and many spaces and apostrophes between them."""
    signs = []
    for _ in range(rng.randrange(30)):
        sign = chr(
            rng.choice([rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0x20000)])
        )
        fits = unicodedata.category(sign) not in ("Cn", "Cs", "Co")
        signs.append(rng.choice([sign if fits else "é", " ", "'", "s", "7", "."]))
    return "".join(signs)


def test_the_page_reads_a_prompt_as_the_library_does(tmp_path):
    rows = (ROOT / "docs" / "prompts.md").read_text(encoding="utf-8").splitlines()
    prompts = [row.split("|")[3].strip() for row in rows if re.match(r"\| \d+ \|", row)]
    assert len(prompts) == 64
    rng = Random(0)
    texts = [*prompts, *ODD, *(odd_text(rng) for _ in range(400))]
    ours = prompt_tokenizer()
    (tmp_path / "told.json").write_text(json.dumps([ours.merges, texts]))
    program = """
const [merges, texts] = JSON.parse(readFileSync("told.json", "utf8"));
const { encode, row } = tokenizer(merges);
const read = (text) => [words(text), encode(text), Array.from(row(text, 24))];
console.log(JSON.stringify(texts.map(read)));
"""
    for text, (cut, ids, row) in zip(texts, javascript(tmp_path, program), strict=True):
        assert cut == tokenizer.words(text), repr(text)
        assert ids == ours.encode(text), repr(text)
        assert row == ours.batch([text], 24)[0].tolist(), repr(text)


REMARKED = {
    "noto style: red apple on a blue background": "",
    "An apple, banana. (cat)!": "the dog; ghost?",
    "a zyzzyva 🍕, twice: zyzzyva «xylophagous»": "кошка",
    "  \x1c ": "\u3000",
    "red apple " * 20: "— … !? " * 30,
    "猫" * 40: "\ufeff猫 ½x\x1d",
}


def test_the_page_says_of_a_prompt_what_the_library_says(tmp_path):
    (tmp_path / "prompt_box.mjs").write_text(module("prompt_box"))
    told = {"merges": prompt_tokenizer().merges, "known": sorted(known_pieces()), "length": LENGTH}
    asked = [*REMARKED.items(), *((text, "") for text in ODD if text)]
    (tmp_path / "told.json").write_text(json.dumps([told, asked]))
    program = """
const { notes } = await import("./prompt_box.mjs");
const [told, asked] = JSON.parse(readFileSync("told.json", "utf8"));
console.log(JSON.stringify(asked.map(([prompt, negative]) => notes(told, { prompt, negative }))));
"""
    found = javascript(tmp_path, program)
    for (prompt, negative), page in zip(asked, found, strict=True):
        assert page == notes(Settings(prompt, negative)), prompt
    assert any("never met" in line for page in found for line in page)


# ---- the widget ---------------------------------------------------------------------------------


def bend(**changes: Any) -> LiveSampler:
    told = {"shape": (SIDE, SIDE), "steps": 3} | changes
    return LiveSampler(Denoiser(Bend(), linear()), "bend", **told)


def test_a_live_sampler_carries_a_recorded_walk_for_each_sampler():
    widget = bend(seed=4, eta=0.5)
    assert widget.times == [1000, 667, 333, 0]
    for name, recording in zip(SAMPLERS, widget.recordings, strict=True):
        films = np.frombuffer(recording, np.uint8).reshape(7, SIDE, SIDE)
        walk = list(widget.walk(name, 3, 0.5, 4))
        grey = [(x.clamp(-1, 1) + 1) * 127.5 for _, x, _ in walk]
        grey += [(x.clamp(-1, 1) + 1) * 127.5 for _, _, x in walk[:-1]]
        assert all(
            np.abs(film - g[0, 0].numpy()).max() <= 0.5 for film, g in zip(films, grey, strict=True)
        )
    assert len(widget.recordings[0]) == (2 * 3 + 1) * SIDE**2
    assert np.allclose(np.frombuffer(widget.betas, np.float32), linear().beta[1:])


def test_a_live_sampler_sends_each_state_of_what_is_asked(monkeypatch):
    widget, sent = bend(), []
    monkeypatch.setattr(widget, "send", lambda told, buffers: sent.append((told, buffers)))
    wish = {"sampler": "DDIM", "steps": 5, "eta": 0.3, "seed": 9}
    widget._asked(widget, {"type": "something else"}, [])
    assert not sent
    widget._asked(widget, {"type": "draw", "asked": 2, **wish}, [])
    assert [told["t"] for told, _ in sent] == [1000, 800, 600, 400, 200, 0]
    assert all(told.items() >= {"asked": 2, **wish}.items() for told, _ in sent)
    last = list(widget.walk(*wish.values()))[-1][1]
    assert sent[-1][1][0] == last.numpy().tobytes() == sent[-1][1][1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler": "PNDM"}, "unknown sampler 'PNDM'. Use one of: DDPM, DDIM, 2M"),
        ({"steps": 0}, "steps 1..100"),
        ({"steps": 101}, "steps 1..100"),
        ({"eta": 1.1}, "eta 0..1"),
        ({"seed": -1}, "seed 0..999"),
    ],
)
def test_a_live_sampler_that_cannot_be_drawn_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        bend(**changes)


def test_a_live_sampler_needs_whole_steps():
    with pytest.raises(ValueError, match="DiscreteSchedule"):
        LiveSampler(Denoiser(Bend(), edm), "bend")


# ---- ONNX files ---------------------------------------------------------------------------------


@pytest.fixture
def digits() -> nn.Module:
    """A small network whose last layer is not zero."""
    torch.manual_seed(0)
    net = ddpm(digits_unet()).net
    nn.init.normal_(net.head.out.weight, std=0.1)
    return net.eval().requires_grad_(False)


@pytest.mark.slow
def test_a_packed_network_is_small_and_loses_nothing(digits):
    pytest.importorskip("onnxscript", reason="the live extra is not installed")
    from onnx.reference import ReferenceEvaluator

    from course_lib.weights import _rounded
    from tools.onnx_export import export, packed

    stored = _rounded(digits.state_dict(), 8)
    whole = {key: value for key, value in stored.items() if not key.endswith(SCALE)}
    from course_lib.core.eight_bits import dequantise

    digits.load_state_dict(
        {
            key: dequantise(value, stored[key + SCALE]) if key + SCALE in stored else value.float()
            for key, value in whole.items()
        }
    )
    given = {"x": torch.randn(1, 1, 8, 8), "t": torch.tensor([321.0])}
    model = export(digits, given, ["out"])
    large = len(model.SerializeToString())
    small = packed(model, stored).SerializeToString()
    assert len(small) < large / 2 and str(Path.cwd()).encode() not in small
    arrays = {key: value.numpy() for key, value in given.items()}
    (out,) = ReferenceEvaluator(model).run(None, arrays)
    assert np.allclose(out, digits(*given.values()), atol=1e-5)


def run_in_node(folder: Path, ask: str) -> Any:
    """What a program gives that has the site's own runtime, `ort`, and the folder of networks."""
    site = json.dumps(str(folder))
    head = f"""
const site = {site};
const ort = await import(site + "/{networks.SCRIPT}");
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = await n.unzipped(readFileSync(site + "/{networks.SMALL_WASM}"));
"""
    return head + ask


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of networks as the site has it; skips where it cannot be made."""
    folder = tmp_path_factory.mktemp("networks")
    try:
        networks.put(folder)
    except networks.LeftOutError as missing:
        pytest.skip(str(missing))
    return folder


WALKS = [("DDIM", 10, 0.0, 3), ("DDIM", 8, 0.6, 5), ("2M", 10, 0.0, 3), ("DDPM", 25, 0.0, 8)]


@pytest.mark.slow
def test_the_browser_s_garment_is_pytorch_s(site, tmp_path):
    widget = LiveSampler(trained("fashion_ddpm"), "fashion_ddpm", steps=2)
    (tmp_path / "betas.bin").write_bytes(widget.betas)
    program = f"""
const run = await n.network(ort, readFileSync(site + "/fashion_ddpm.onnx"));
const path = n.schedule(new Float32Array(new Uint8Array(readFileSync("betas.bin")).buffer));
const ask = async (x, t) => {{
  const {{ out }} = await run({{ x: [x, [1, 1, 28, 28]], t: [Float32Array.of(t), [1]] }});
  return n.cleanFrom("eps", out, x, path, t, 1);
}};
const found = [];
for (const [sampler, steps, eta, seed] of {json.dumps(WALKS)}) {{
  const normal = normals(seed), x = Float32Array.from({{ length: 784 }}, normal);
  let last;
  for await (const at of n.walk({{ ask, path, sampler, steps, eta, x, normal }})) last = at.x;
  found.push(Array.from(last));
}}
console.log(JSON.stringify(found));
"""
    found = javascript(tmp_path, run_in_node(site, program))
    for wish, page in zip(WALKS, found, strict=True):
        *_, (_, kernel, _) = widget.walk(*wish)
        assert np.abs(np.array(page) - kernel.flatten().numpy()).max() < 1e-3, wish


PROMPTS = {
    "noto style: a red apple on a blue background": ("", 3.0, 12, 4),
    "пицца 🍕 isn't it": ("dog", 1.5, 4, 2),
}


@pytest.mark.slow
def test_the_browser_s_emoji_is_pytorch_s(site, tmp_path):
    (tmp_path / "prompt_box.mjs").write_text(module("prompt_box"))
    program = f"""
const {{ draws, colours }} = await import("./prompt_box.mjs"), run = {{}}, found = [];
for (const part of ["emoji_text", "emoji_unet", "emoji_decoder"])
  run[part] = await n.network(ort, readFileSync(`${{site}}/${{part}}.onnx`));
const told = JSON.parse(readFileSync(site + "/emoji.json", "utf8"));
for (const [prompt, [negative, guidance, steps, seed]] of Object.entries({json.dumps(PROMPTS)})) {{
  const noise = Float32Array.from({{ length: 1024 }}, normals(seed));
  const picture = await draws(run, told, {{ prompt, negative, guidance, steps }}, noise);
  found.push([Array.from(picture), Array.from(colours(picture))]);
}}
console.log(JSON.stringify(found));
"""
    found = javascript(tmp_path, run_in_node(site, program))
    for (prompt, wish), (page, bytes_) in zip(PROMPTS.items(), found, strict=True):
        negative, guidance, steps, seed = wish
        noise, size = shared_randn_like(seed), {"height": 64, "width": 64}
        wish = {"negative": negative, "scale": guidance, "steps": steps, "randn_like": noise}
        picture = draw(painter(), [prompt], **size, **wish).flatten().numpy()
        assert np.abs(np.clip(page, -1, 1) - picture).max() < 1e-3, prompt
        # What `course imagine` and the widget in a notebook draw: of a level, half may be rounded.
        (made,) = imagine(Settings(prompt, negative, guidance, steps, seed))
        pixels = made.permute(1, 2, 0).flatten().numpy().astype(int)
        assert np.abs(np.array(bytes_) - pixels).max() <= 1


# ---- a page in a browser ------------------------------------------------------------------------

# Nothing but our own files, and WebAssembly: no inline script, no eval, no other host.
POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
POLICY += "style-src 'self' 'unsafe-inline'; img-src 'self' data:"
PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8"><title>A page</title>
<link rel="stylesheet" href="widgets/widgets.css">
<script src="widgets/static-host.js" defer></script><script src="probe.js" defer></script></head>
<body><script type="application/vnd.jupyter.widget-view+json">{view}</script>
<script type="application/vnd.jupyter.widget-state+json">{state}</script></body></html>"""
UNTIL = """
const until = async (there) => {
  while (!there()) await new Promise((done) => setTimeout(done, 50));
};
"""
# Presses the button, waits for the end, and says what there is to see and what was forbidden.
PROBE = """
const forbidden = [], noted = (e) => forbidden.push(`${e.violatedDirective} ${e.blockedURI}`);
document.addEventListener("securitypolicyviolation", noted);
const root = () => document.querySelector(".cw-live");
const status = () => root()?.querySelector(".cw-caption").textContent ?? "";
(async () => {
  await until(() => status());
  const button = root().querySelector(".cw-live-draw"), offer = button.textContent;
  const before = status();
  button.click();
  await until(() => /evaluations|does not run/.test(status()));
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const x = Array.from(root().state ?? []);
  const body = JSON.stringify({ before, offer, after: status(), x, forbidden, loaded });
  await fetch("said", { method: "POST", body });
})();
"""


GREY = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
# Presses Enter in the prompt twice: each time the painter is asked for.
ENTERS = """
const root = () => document.querySelector(".cw-prompt");
const said = () => root()?.querySelector(".cw-prompt-said").textContent ?? "";
(async () => {
  await until(() => root());
  const answers = [], key = { key: "Enter", bubbles: true };
  for (let k = 0; k < 2; k++) {
    root().querySelector(".cw-prompt-said").replaceChildren();
    root().querySelector("input").dispatchEvent(new KeyboardEvent("keydown", key));
    await until(() => said().includes("does not run"));
    answers.push(said());
  }
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  await fetch("said", { method: "POST", body: JSON.stringify({ answers, loaded }) });
})();
"""


def page(folder: Path, widget: LiveSampler | PromptBox, probe: str = PROBE) -> None:
    """The widget as the site shows it."""
    state = Widget.get_manager_state(widgets=[widget])
    frontend.copy_widgets(folder / "widgets")
    view = json.dumps({"model_id": widget.model_id})
    (folder / "index.html").write_text(PAGE.format(view=view, state=json.dumps(state)))
    (folder / "probe.js").write_text(UNTIL + probe)


def visit(
    folder: Path, policy: str = POLICY, without: str = "nothing", stalls: str = "nothing"
) -> dict[str, Any]:
    """What the probe says in Chromium.

    Files with `without` in their names are missing, those with `stalls` stop half-way.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed; the course does not need it, this check does")
    said: dict[str, Any] = {}
    there = Event()

    class Site(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy)
            super().end_headers()

        def do_GET(self) -> None:
            self.send_error(404) if without in self.path else super().do_GET()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            if stalls not in self.path:
                return super().copyfile(source, outputfile)
            whole = source.read()
            outputfile.write(whole[: len(whole) // 2])
            there.wait(240)

        def do_POST(self) -> None:
            said.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            there.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/index.html"
    told = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    told += ["--disable-background-networking", "--disable-component-update"]
    command = [chromium, *told, f"--user-data-dir={folder / 'profile'}", url]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert there.wait(240), "the page did not answer"
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
    assert all(name.startswith(url.removesuffix("index.html")) for name in said["loaded"])
    return said


@pytest.mark.slow
def test_a_reader_s_browser_draws_pytorch_s_garment(site, tmp_path):
    shutil.copytree(site, tmp_path / "widgets" / "networks")
    widget = LiveSampler(trained("fashion_ddpm"), "fashion_ddpm", sampler="2M", seed=3)
    page(tmp_path, widget)
    said = visit(tmp_path)
    assert said["offer"].startswith("Load the network, ") and said["offer"].endswith(" MB")
    assert said["before"].startswith("Recorded: 2M, 8 steps, seed 3.")
    assert "2M, 8 steps, seed 3: 8 evaluations" in said["after"] and not said["forbidden"]
    *_, (_, kernel, _) = widget.walk("2M", 8, 0.0, 3)
    assert np.abs(np.array(said["x"]) - kernel.flatten().numpy()).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "without"),
    [(POLICY, ".onnx"), (POLICY, ".bin"), (POLICY.replace(" 'wasm-unsafe-eval'", ""), "nothing")],
    ids=["no network", "no runtime", "no WebAssembly"],
)
def test_where_a_network_cannot_run_the_recording_stays(site, tmp_path, policy, without):
    shutil.copytree(site, tmp_path / "widgets" / "networks")
    page(tmp_path, bend())
    contents = tmp_path / "widgets" / "live_sampler.js"
    contents.write_text(contents.read_text().replace('"fashion_ddpm": {', '"bend": {'))
    said = visit(tmp_path, policy, without)
    assert said["after"].startswith("The network does not run here: ")
    assert "What you see was recorded: DDIM, 3 steps, seed 0" in said["after"]
    if without != "nothing":
        assert "did not arrive (404)" in said["after"] and not said["forbidden"]


@pytest.mark.slow
@pytest.mark.parametrize("stalls", [networks.SCRIPT, networks.SMALL_WASM, ".onnx"])
def test_a_download_that_stalls_is_given_up_and_may_be_tried_again(site, tmp_path, stalls):
    shutil.copytree(site, tmp_path / "widgets" / "networks")
    page(tmp_path, bend(), PROBE.replace("after: status()", "after: status() + button.textContent"))
    script = tmp_path / "widgets" / "live_sampler.js"
    text = script.read_text().replace('"fashion_ddpm": {', '"bend": {')
    assert "SILENCE = 30;" in text
    script.write_text(text.replace("SILENCE = 30;", "SILENCE = 2;"))
    after = visit(tmp_path, stalls=stalls)["after"]
    found = re.search(r"does not run here: (\S+) stalled, no byte came for 2 seconds; try", after)
    assert found and stalls in found[1]
    assert "What you see was recorded" in after and after.endswith("Try again")


def test_a_slow_download_is_waited_for(tmp_path):
    class Slow(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            for _ in range(6):
                self.wfile.write(b"x")
                sleep(0.5)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/slow.onnx"
    program = "const heard = []; const got = await n.download("
    program += f'"{url}", (k) => heard.push(k), 2);'
    program += "console.log(JSON.stringify([got.length, heard.length]));"
    try:
        assert javascript(tmp_path, program) == [6, 6]
    finally:
        server.shutdown()


@pytest.mark.slow
def test_enter_asks_the_painter_and_asks_for_its_script_anew(site, tmp_path):
    shutil.copytree(site, tmp_path / "widgets" / "networks")
    page(tmp_path, PromptBox(Settings("cat"), lambda *_: GREY, notes, 1), ENTERS)
    told = json.loads((site / "networks.json").read_text())
    said = visit(tmp_path, without=told["runtime"]["script"])
    assert all(answer.startswith("The painter does not run here: ") for answer in said["answers"])
    # A browser keeps a module that did not come, so the second time it has another address.
    scripts = [name for name in said["loaded"] if told["runtime"]["script"] in name]
    assert len(set(scripts)) == 2 and scripts[-1].endswith("?1")


# ---- what the build does ------------------------------------------------------------------------


def test_the_site_says_how_large_each_file_is(site):
    contents = json.loads((site / "networks.json").read_text())
    run, models = contents["runtime"], contents["models"]
    assert run["bytes"] == sum((site / run[key]).stat().st_size for key in ("script", "wasm"))
    assert all((site / m["file"]).stat().st_size == m["bytes"] for m in models.values())
    assert set(models) == set(networks.PARTS)
    assert gzip.decompress((site / run["wasm"]).read_bytes())[:4] == b"\0asm"


def test_scripts_are_told_of_the_networks_that_are_there(tmp_path):
    frontend.copy_widgets(tmp_path)
    assert not (tmp_path / "network.js").exists()
    assert "courseWidgets.networks =" not in (tmp_path / "live_sampler.js").read_text()
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "networks.json").write_text('{"models": {}}')
    frontend.copy_widgets(tmp_path)
    assert (tmp_path / "live_sampler.js").read_text().endswith('networks = {"models": {}};\n')
    assert "courseWidgets.networks =" not in (tmp_path / "quiz.js").read_text()


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_without_the_exporter_the_site_does_without(monkeypatch, tmp_path, capsys, missing):
    there = networks.importlib.util.find_spec
    monkeypatch.setattr(
        networks.importlib.util,
        "find_spec",
        lambda name: None if name == missing else there("json"),
    )
    assert networks.main([str(tmp_path / "out")]) == 0
    assert f"No networks in the browser: {missing} is not installed" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_without_npm_or_what_it_brings_the_site_does_without(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "CACHE", tmp_path)
    monkeypatch.setattr(networks.shutil, "which", lambda name: None)
    with pytest.raises(networks.LeftOutError, match="npm is not installed"):
        networks.package()
    monkeypatch.setattr(networks.shutil, "which", lambda name: sys.executable)
    with pytest.raises(networks.LeftOutError, match=r"npm cannot get onnxruntime-web 1\.30\.0"):
        networks.package()


def test_another_package_is_refused_with_both_fingerprints(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "CACHE", tmp_path)
    (tmp_path / f"{networks.PACKAGE}-{networks.VERSION}.tgz").write_bytes(b"something else")
    with pytest.raises(frontend.FrontendError, match=r"is sha512-.*, the lock says sha512-"):
        networks.package()
