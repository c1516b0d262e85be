"""Sphinx configuration, read from jupyter_book.yml (Jupyter Book 1's format).

tools/build_book.py calls Sphinx with this folder as its configuration and the repository as its
source. What Jupyter Book 1 would set by itself is set here; everything else stands in the file.
"""

import os
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONFIG = yaml.safe_load((ROOT / "jupyter_book.yml").read_text(encoding="utf-8"))
# What one build makes for itself. tools/build_book.py gives each its own: two may run at once.
WORK = Path(os.environ.get("COURSE_BOOK_WORK", ROOT / "_build" / "work"))

project = html_title = CONFIG["title"]
author = CONFIG["author"]
language = "en"
exclude_patterns = CONFIG["exclude_patterns"]

# The table of contents is carried in jupyter_book.yml; sphinx-external-toc wants a file of its own.
WORK.mkdir(parents=True, exist_ok=True)
external_toc_path = str(WORK / "_toc.yml")
Path(external_toc_path).write_text(yaml.safe_dump(CONFIG["toc"], sort_keys=False), encoding="utf-8")
external_toc_exclude_missing = CONFIG["only_build_toc_files"]

extensions = [
    "sphinx_external_toc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx_togglebutton",
    "sphinxcontrib.bibtex",
    *CONFIG["sphinx"]["extra_extensions"],
    *CONFIG["sphinx"]["local_extensions"],
]
sys.path[:0] = [str(ROOT / folder) for folder in CONFIG["sphinx"]["local_extensions"].values()]
myst_enable_extensions = CONFIG["parse"]["myst_enable_extensions"]
nb_execution_mode = CONFIG["execute"]["execute_notebooks"]
numfig = math_numfig = True
nitpicky = True

html_theme = "sphinx_book_theme"
html_theme_options = {
    "logo": {"text": CONFIG["title"]},
    "home_page_in_toc": False,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": True,
    # One header and one search box: sphinx-book-theme's own.
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}
html_context = {"default_mode": "auto"}
html_copy_source = True  # the download button hands out the notebook
html_sourcelink_suffix = ""
templates_path = [str(HERE / "templates")]

globals().update(CONFIG["sphinx"]["config"])

# Sphinx reads paths from where conf.py stands; jupyter_book.yml gives them from the top.
bibtex_bibfiles = [str(ROOT / path) for path in CONFIG["bibtex_bibfiles"]]
html_static_path = [str(ROOT / path) for path in CONFIG["sphinx"]["config"]["html_static_path"]]
html_static_path.append(str(WORK / "frontend"))  # MathJax and the widgets, put there by tools/
html_logo = str(ROOT / CONFIG["sphinx"]["config"]["html_logo"])
html_favicon = str(ROOT / CONFIG["sphinx"]["config"]["html_favicon"])
