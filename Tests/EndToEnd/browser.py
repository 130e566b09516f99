# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium on a node of the lab, by the DevTools protocol over two pipes.

Whatever a page must not do is noted: errors, and requests that leave its origin.
"""
import base64
import fcntl
import itertools
import json
import os
import queue
import threading
import urllib.parse

from lab import wait_until

# What a browser has no use for here; as root it has no sandbox of its own.
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
             "--hide-scrollbars", "--remote-debugging-pipe", "about:blank"]


class Browser:
    """A browser with one page. Use it as a context manager."""

    def __init__(self, lab, node):
        self.numbers = itertools.count(1)
        self.answers = {}
        self.arrived = queue.Queue()
        self.loads = 0
        self.errors = []
        self.urls = []
        # DevTools wants descriptors 3 and 4: what becomes them must not be one of them already.
        pipes = [*os.pipe(), *os.pipe()]
        theirs_in, self.out, self.inward, theirs_out = (fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 10) for pipe in pipes)
        for pipe in pipes:
            os.close(pipe)
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-'
        self.process = lab.spawn(node, "bash", "-c", script, "bash", "chromium",
                                 f"--user-data-dir={lab.dir}/browser-{id(self)}", *ARGUMENTS,
                                 pass_fds=(theirs_in, theirs_out))
        os.close(theirs_in)
        os.close(theirs_out)
        self.session = None

    def __enter__(self):
        threading.Thread(target=self._read, daemon=True).start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        os.close(self.out)

    # The protocol: objects that end with a zero byte

    def _read(self):
        rest = b""
        while data := os.read(self.inward, 1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            for message in messages:
                self._take(json.loads(message))
        os.close(self.inward)

    def _take(self, message):
        if "id" in message:
            self.arrived.put(message)
            return
        event, facts = message["method"], message["params"]
        if event == "Page.loadEventFired":
            self.loads += 1
        elif event == "Network.requestWillBeSent":
            self.urls.append(facts["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(facts["exceptionDetails"])
        elif event == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning", "assert"):
            self.errors.append(facts["args"])
        elif event == "Log.entryAdded" and facts["entry"]["level"] in ("error", "warning"):
            self.errors.append(facts["entry"])

    def call(self, method, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        answer = self.arrived.get(timeout=60)
        assert answer["id"] == number and "result" in answer, answer
        return answer["result"]

    # What tests do

    def open(self, url):
        """Opens a page and returns when it is there, with its scripts run."""
        self.errors.clear()
        self.urls.clear()
        before = self.loads
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        wait_until(lambda: self.loads > before, f"{url} is loaded", 30)

    def script(self, expression):
        """The value of an expression in the page, awaited when it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector):
        return self.script(f"document.querySelector({json.dumps(selector)}).innerText")

    def allow_scripts(self, allowed):
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def look(self, width, height, scheme):
        """Gives the page a size, and the reader's preference for light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        """The whole page as a PNG."""
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def other_origins(self, origin):
        """Requests that went elsewhere than to `origin`."""
        return [url for url in self.urls if not url.startswith(origin + "/")
                and urllib.parse.urlsplit(url).scheme != "about"]
