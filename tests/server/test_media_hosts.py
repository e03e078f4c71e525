"""Pictures at addresses: fetched from hosts that were allowed, and from nowhere else (S-25)."""

import base64
import http.server
import socket
import threading
import time

import anthropic
import openai
import pytest

from conftest import SCRIPT, serve
from test_openai import PNG


class Pictures(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/picture.png")
            self.end_headers()
        elif self.path == "/missing":
            self.send_error(404)
        elif self.path == "/large":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(25):
                    self.wfile.write(bytes(1 << 20))
            except OSError:
                pass
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(300):
                    self.wfile.write(bytes(2000))
                    time.sleep(0.1)
            except OSError:
                pass
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(base64.b64decode(PNG))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pictures():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    import json
    path = tmp_path_factory.mktemp("script") / "script.json"
    path.write_text(json.dumps({**json.loads(SCRIPT.read_text()), "takes_any_media": True}))
    return path


@pytest.fixture(scope="module")
def server(script, pictures):
    with serve("--engine", f"script:{script}", "--allow-media-host", f"http://127.0.0.1:{pictures}",
               "--allow-media-host", "example.org") as running:
        yield running


@pytest.fixture
def ask(server):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60)

    def ask(url):
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is this?"}]
        return client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": parts}])
    return ask


def test_pictures_are_fetched_from_allowed_hosts(ask, server, pictures):
    url = f"http://127.0.0.1:{pictures}/picture.png"
    assert ask(url).usage.prompt_tokens_details.image_tokens > 0
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60)
    answer = client.responses.create(model="scripted", input=[
        {"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "auto"}]}])
    assert answer.output_text
    claude = anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0)
    message = claude.messages.create(model="scripted", max_tokens=100, messages=[
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}]}])
    assert message.content


@pytest.mark.parametrize("url, why", [
    ("http://127.0.0.1:{other}/x.png", "may not fetch from"),
    ("https://127.0.0.1:{port}/x.png", "may not fetch from"),
    ("http://127.0.0.2:{port}/x.png", "may not fetch from"),
    ("http://example.org/x.png", "may not fetch from"),  # allowed over HTTPS only
    ("http://127.0.0.1:{port}@example.com/x.png", "may not fetch from"),
    ("http://[::1]:{port}/x.png", "may not fetch from"),
    ("file:///etc/passwd", "must be a data: URI"),
    ("http://127.0.0.1:{port}/elsewhere", "redirects are not followed"),
    ("http://127.0.0.1:{port}/missing", "answered 404"),
    ("http://127.0.0.1:{port}/large", "more than 20 MiB"),
    ("http://127.0.0.1:{port}/slow", "can't be fetched"),
])
def test_and_from_nowhere_else(ask, pictures, url, why):
    Pictures.asked.clear()
    start = time.monotonic()
    with pytest.raises(openai.BadRequestError, match=why) as caught:
        ask(url.format(port=pictures, other=1 + pictures % 60000))
    assert time.monotonic() - start < 15
    assert caught.value.param == "messages[0].content[0].image_url.url"
    assert all(path in ("/elsewhere", "/missing", "/large", "/slow") for path in Pictures.asked)


@pytest.fixture(scope="module")
def pictures_v6():
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6
    try:
        server = Server(("::1", 0), Pictures)
    except OSError:
        pytest.skip("NOTICE: needs IPv6")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask_once(server, url):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60)
    return client.chat.completions.create(model="scripted", messages=[
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])


def test_a_literal_address_may_be_private(script, pictures_v6):
    """Whoever started the server has written it down."""
    with serve("--engine", f"script:{script}", "--allow-media-host", f"http://[::1]:{pictures_v6}") as server:
        assert ask_once(server, f"http://[::1]:{pictures_v6}/p.png").usage.prompt_tokens_details.image_tokens > 0
        for other in (f"http://127.0.0.1:{pictures_v6}/p.png", f"http://[::1]:{pictures_v6 ^ 1}/p.png"):
            with pytest.raises(openai.BadRequestError, match="may not fetch from"):
                ask_once(server, other)


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST"])
def test_a_name_may_not_stand_for_a_private_address(script, pictures, name):
    """It was allowed, but what it stands for is up to others; also of a name beside the very address."""
    Pictures.asked.clear()
    with serve("--engine", f"script:{script}", "--allow-media-host", f"http://{name}:{pictures}",
               "--allow-media-host", f"http://127.0.0.1:{pictures}") as server:
        with pytest.raises(openai.BadRequestError, match="not public"):
            ask_once(server, f"http://{name}:{pictures}/p.png")
        assert Pictures.asked == []
        assert ask_once(server, f"http://127.0.0.1:{pictures}/p.png").choices


def test_two_at_once(server, pictures):
    """Others are told to come back, so that slow hosts never hold up the server."""
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60)
    statuses = []

    def fetch():
        parts = [{"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{pictures}/slow"}}]
        try:
            client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": parts}])
        except openai.APIStatusError as error:
            statuses.append(error.status_code)

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert client.models.list().data  # while they are under way
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [400, 400, 429]


def test_hosts_are_hosts():
    import subprocess
    from conftest import CARAT
    for host in ("https://example.org/path", "ftp://example.org", "a@example.org", "a b"):
        done = subprocess.run([CARAT, "serve", "--engine", f"script:{SCRIPT}", "--allow-media-host", host],
                              capture_output=True, timeout=60)
        assert done.returncode == 2 and b"--allow-media-host" in done.stderr
