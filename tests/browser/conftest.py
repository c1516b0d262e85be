"""The site that the browser looks at: one page with every element, served and from disk."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chromium import Page, installed
from everything import build_everything


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built site with the page that holds everything."""
    if installed() is None:
        pytest.skip("no Chromium or Chrome is installed; the page is not looked at in a browser")
    return build_everything(tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The site served on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser(site: Path) -> Iterator[Page]:
    """One browser for all tests; each opens its page anew."""
    with Page() as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Page:
    """The browser as a desktop in daylight."""
    browser.look(1300)
    return browser
