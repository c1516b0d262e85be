"""Put the website's scripts into place: the widgets of course_lib, as plain scripts."""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class FrontendError(Exception):
    """A file of the website is missing or is not the one that was locked."""


def copy_widgets(target: Path) -> None:
    """Write each widget as a plain script that `static-host.js` can load, and one style for all.

    Those that run networks are told which there are, if tools/networks.py has put them there.
    """
    from course_lib.widgets.base import HERE, SHARED, module
    from course_lib.widgets.paper_map import course_map, reading_times, written_chapters

    target.mkdir(parents=True, exist_ok=True)
    networks = target / "networks" / "networks.json"
    for path in sorted(HERE.glob("*.js")):
        if path.stem in SHARED:
            continue
        source = module(path.stem).replace("export default", "return").replace("export ", "")
        source = f"courseWidgets.{path.stem} = (() => {{\n{source}\n}})();\n"
        if networks.exists() and './network.js"' in path.read_text(encoding="utf-8"):
            source += f"courseWidgets.networks = {networks.read_text(encoding='utf-8')};\n"
        (target / path.name).write_text(source, encoding="utf-8")
    # The map was saved with the chapters of its day; on the site it shows those of the site.
    written, minutes = written_chapters(), reading_times()
    with (target / "paper_map.js").open("a", encoding="utf-8") as script:
        script.write(f"courseWidgets.chapters = {json.dumps(written)};\n")
        script.write(f"courseWidgets.minutes = {json.dumps(minutes)};\n")
    planned = [chapter for part in course_map()["parts"] for chapter in part["chapters"]]
    chapters = [{**chapter, "file": written.get(chapter["number"])} for chapter in planned]
    course = json.dumps({"chapters": chapters, "routes": course_map()["routes"]})
    source = f"(() => {{\nconst course = {course};\n{module('reading', ROOT / 'book')}\n}})();\n"
    (target / "reading.js").write_text(source, encoding="utf-8")
    own = [path for path in sorted(HERE.glob("*.css")) if path.stem != "kit"]
    styles = [path.read_text(encoding="utf-8") for path in (HERE / "kit.css", *own)]
    (target / "widgets.css").write_text("\n".join(styles), encoding="utf-8")
    shutil.copy(ROOT / "book" / "static-host.js", target)
