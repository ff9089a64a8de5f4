"""A headless Chromium that is driven over two pipes (the DevTools protocol): no sockets, no further package."""

from __future__ import annotations

import base64
import json
import os
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--no-proxy-server"),
    *("--disable-extensions", "--mute-audio", "--remote-debugging-pipe", "--window-size=1360,900"),
]
KEY_NUMBERS = {"Escape": 27, "Tab": 9, "Enter": 13}
"""Of keys that the browser itself does something with."""


def find_browser() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page in a browser. Names of hosts resolve to nothing, so that only this machine can be reached."""

    def __init__(self, program: str, profile: Path, *, timeout_s: float = 60) -> None:
        self.timeout_s = timeout_s
        self.events: list[dict[str, Any]] = []
        self._number, self._session, self._rest = 0, "", b""
        to_read, self._to_browser = os.pipe()
        self._from_browser, to_write = os.pipe()
        flags = [
            *FLAGS,
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "about:blank",
        ]
        # the browser reads from descriptor 3 and writes to 4, whatever numbers the pipes have here
        shell = f'exec 8<&{to_read} 9>&{to_write}; exec 3<&8 4>&9; exec "$0" "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, program, *flags],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)

    def __enter__(self) -> Self:
        (target,) = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self._attach(target["targetId"])
        return self

    def _attach(self, target: str) -> str:
        self._session = ""
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self._session

    def new_tab(self) -> tuple[str, str]:
        """Opens a second page, which calls go to from now on; what `use` takes for the former and for the new one."""
        before, self._session = self._session, ""
        return before, self._attach(self.call("Target.createTarget", url="about:blank")["targetId"])

    def use(self, tab: str) -> None:
        self._session = tab

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in (self._to_browser, self._from_browser):
            os.close(end)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Until the expression is true; AssertionError after ``timeout_s``."""
        end = time.monotonic() + self.timeout_s
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, f"still not true: {expression}"
            time.sleep(0.05)

    def press(self, key: str, code: str = "") -> None:
        number = {"windowsVirtualKeyCode": KEY_NUMBERS[key]} if key in KEY_NUMBERS else {}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, **number)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and exceptions, so far."""
        texts = []
        for event in self.events:
            facts = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                texts.append(str(facts["exceptionDetails"]))
            elif event["method"] == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning", "assert"):
                texts.append(str(facts["args"]))
            elif event["method"] == "Log.entryAdded" and facts["entry"]["level"] in ("error", "warning"):
                texts.append(str(facts["entry"]))
        return texts

    def addresses(self) -> set[str]:
        """The schemes of everything that the page asked for."""
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return {url.split(":", 1)[0] for url in asked}

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + self.timeout_s
        while True:
            answer = self._next(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            if "method" in answer:
                self.events.append(answer)

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from_browser], [], [], max(0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._from_browser, 1 << 20)
            assert piece, "the browser has ended"
            self._rest += piece
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))


def drop(page: Browser, path: Path) -> None:
    """Drags a file from outside over the drop zone of the page and lets it go there."""
    box = "document.querySelector('.drop-zone').getBoundingClientRect()"
    at = page.value(f"(() => {{ const b = {box}; return {{ x: b.x + b.width / 2, y: b.y + b.height / 2 }}; }})()")
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "dragOver"):
        page.call("Input.dispatchDragEvent", type=kind, data=data, **at)
    page.wait_for("document.querySelector('.drop-zone.over')")
    page.call("Input.dispatchDragEvent", type="drop", data=data, **at)


def unexpected(page: Browser) -> list[str]:
    """What the console says, but for requests that nobody could answer while the server was dead.

    Where the kill meets a request decides which of the transport's errors Chromium reports: before the connection
    stands, while the body is being sent (a socket that is no longer connected), or within the answer.
    """
    return [text for text in page.complaints() if not re.search("ERR_(CONNECTION|SOCKET|INCOMPLETE|EMPTY)", text)]
