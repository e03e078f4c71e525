"""What the tests of `carat serve` share: servers that answer from a script, and one with a tiny real model."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
CARAT = pathlib.Path(os.environ.get("CARAT", HERE.parents[1] / "build" / "release" / "bin" / "carat")).resolve()
SCRIPT = HERE / "script.json"


class Server:
    """A running `carat serve`."""

    def __init__(self, process, url, banner):
        self.process = process
        self.url = url
        self.banner = banner

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def serve(*arguments, log=subprocess.DEVNULL, **process_options):
    """Starts a server at a free port of this machine; ends it afterwards, and demands that it ends well."""
    process = subprocess.Popen([CARAT, "serve", "--port", "0", *map(str, arguments)], stdout=subprocess.PIPE, stderr=log,
                               encoding="utf-8", **process_options)
    try:
        banner = []
        for line in process.stdout:
            banner.append(line)
            if "API keys" in line:
                break
        text = "".join(banner)
        url = re.search(r"https?://127\.0\.0\.1:\d+", text)
        assert url, f"the server did not start: {text}"
        yield Server(process, url[0], text)
    finally:
        if process.poll() is None:
            process.terminate()
        code = process.wait(timeout=60)
        process.stdout.close()
    assert code == 0, f"the server ended with {code}"


@pytest.fixture(scope="session")
def scripted(tmp_path_factory):
    """A server that answers from script.json, for any model name and any bytes, and lets models be deleted."""
    script = tmp_path_factory.mktemp("script") / "script.json"
    script.write_text(json.dumps({**json.loads(SCRIPT.read_text()), "takes_any_media": True}))
    with serve("--engine", f"script:{script}", "--lenient", "--manage") as server:
        yield server


@pytest.fixture(scope="session")
def strict():
    """The same, as it is without --lenient."""
    with serve("--engine", f"script:{SCRIPT}", "--alias", "other:name/x") as server:
        yield server


@pytest.fixture
def start():
    return serve
