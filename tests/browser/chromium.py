"""A page in a headless Chromium, driven over its DevTools socket. Used where one is installed."""

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def installed() -> str | None:
    """The path of a Chromium or Chrome, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One browser with one page; a context manager. Collects requests and errors as they come."""

    def __init__(self) -> None:
        websocket = pytest.importorskip("websocket", reason="websocket-client drives the browser")
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        options += ["--remote-allow-origins=*", f"--user-data-dir={self.folder.name}"]
        options += ["--no-first-run", "--disable-background-networking", "about:blank"]
        self.process = subprocess.Popen(
            [installed(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port = self._port()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            target = next(entry for entry in json.load(answer) if entry["type"] == "page")
        self.socket = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=60)
        self.count = 0
        self.requests: list[str] = []
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def look(self, width: int, dark: bool = False) -> None:
        """Become a screen of this width; below 500 pixels a phone, with touch."""
        self.phone = width < 500
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1000,
            deviceScaleFactor=1,
            mobile=self.phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=self.phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def _port(self) -> int:
        """The port that Chromium chose; it writes it down once it listens."""
        note = Path(self.folder.name) / "DevToolsActivePort"
        for _ in range(300):
            if note.exists() and (lines := note.read_text().split()):
                return int(lines[0])
            time.sleep(0.1)
        raise RuntimeError("Chromium did not start within 30 s")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One DevTools command; events that arrive meanwhile are noted."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            self._note(message)
            if message.get("id") == self.count:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Network.loadingFailed" and not parameters.get("canceled"):
            self.errors.append(f"failed: {parameters['errorText']}")
        elif method == "Network.responseReceived" and parameters["response"]["status"] >= 400:
            self.errors.append(
                f"{parameters['response']['status']}: {parameters['response']['url']}"
            )
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])

    def open(self, url: str, ready: str = "document.readyState === 'complete'") -> None:
        """Go to a page, with a clean slate, and wait until the JavaScript `ready` is true."""
        self.call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.errors.clear()
        self.call("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && {ready}")

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Wait until a JavaScript condition is true; AssertionError naming it when it is not."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.run(f"Boolean({condition})"):
                return
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s: {condition}; errors: {self.errors}")

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, code: int, times: int = 1) -> None:
        """Press a key on whatever has the focus."""
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                self.call(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=key,
                    code=key,
                    windowsVirtualKeyCode=code,
                )

    def drag(self, selector: str, dx: float, dy: float, off: float = 0) -> None:
        """Press on an element, move, let go, go on: by mouse, or by finger on a phone.

        It is pressed in its middle, or so many pixels to the right of it.
        """
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect();"
            f"return [r.x + r.width / 2 + {off}, r.y + r.height / 2] }})()"
        )
        steps = [("Pressed", "Start", 0.0), ("Moved", "Move", 0.5), ("Moved", "Move", 1.0)]
        steps += [("Released", "End", 1.0), ("Moved", "", 2.0)]
        for mouse, touch, part in steps:
            at = {"x": x + part * dx, "y": y + part * dy}
            if self.phone:
                points = [] if touch == "End" else [at]
                if touch:
                    self.call("Input.dispatchTouchEvent", type=f"touch{touch}", touchPoints=points)
            else:
                held = 0 if mouse == "Released" or part > 1 else 1
                options = {"button": "left" if held or part == 1 else "none", "buttons": held}
                options["clickCount"] = 0 if part > 1 else 1
                self.call("Input.dispatchMouseEvent", type=f"mouse{mouse}", **at, **options)

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=30)
        self.folder.cleanup()
