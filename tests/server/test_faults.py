"""What goes wrong around a server that runs (ECOSYSTEM.md 7.3): files, descriptors, clocks, logs, threads, signals. Each
test is named by its fault."""

import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import CARAT, SCRIPT, serve
from test_http import CHAT, SLOW, metric, open_stream, request
from test_store import chat_model, tokenizer  # noqa: F401: fixtures

FAIL_CALLS = CARAT.parents[1] / "fail_calls.so"


def answers(server):
    response, text = request(server, "POST", "/v1/chat/completions", CHAT)
    return response.status == 200 and b"How can I help you today?" in text


def test_f08_model_file_that_shrinks_under_load(chat_model, tmp_path):  # noqa: F811
    """The running answers end with an error, the server lives and says that it is not ready; once the file is whole
    again, so is the service."""
    folder = tmp_path / "model"
    shutil.copytree(chat_model, folder)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    ask = {"model": "tiny", "messages": [{"role": "user", "content": "word " * 300}], "max_tokens": 2000, "stream": True,
           "ignore_eos": True, "loop_guard": False}
    with serve(f"tiny={folder}", "--ctx", "4096", "--parallel", "4", "--threads", "2", "--kv-budget", "64") as server:
        streams = [open_stream(server, ask) for _ in range(3)]
        for raw in streams:
            assert b"200 OK" in raw.recv(4096)
        time.sleep(0.2)
        os.truncate(weights, 5000)
        for raw in streams:
            rest = b""
            while piece := raw.recv(65536):
                rest += piece
                if b"0\r\n\r\n" in rest:
                    break
            assert b'"error"' in rest and b"has changed" in rest, rest[-500:]
        assert request(server, "GET", "/readyz")[0].status == 503
        assert request(server, "GET", "/livez")[0].status == 200
        weights.write_bytes(whole)
        response, text = request(server, "POST", "/v1/chat/completions", {**ask, "stream": False, "max_tokens": 3})
        assert response.status == 200, text
        assert request(server, "GET", "/readyz")[0].status == 200


def test_f09_clients_that_vanish_at_any_moment(strict):
    """Queued, at the prompt, in the answer, in the middle of a request: a hundred times; nothing of it stays."""
    chance = random.Random(9)
    endless = {**SLOW, "ignore_eos": True, "loop_guard": False}
    for _ in range(100):
        data = json.dumps(endless if chance.random() < 0.7 else CHAT).encode()
        text = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)
        raw = socket.create_connection(("127.0.0.1", strict.port), timeout=30)
        raw.sendall(text[:chance.randrange(len(text) + 1)] if chance.random() < 0.3 else text)
        time.sleep(chance.uniform(0, 0.02))
        if chance.random() < 0.5:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        raw.close()
    deadline = time.monotonic() + 10
    while metric(strict, "carat_sequences_running") + metric(strict, "carat_requests_queued") > 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert answers(strict)


def test_f12_clocks_that_jump():
    """Every deadline is the steady clock's: an hour back and forth ends no connection and no answer."""
    environment = {**os.environ, "LD_PRELOAD": str(FAIL_CALLS), "CARAT_CLOCK": "jumps"}
    with serve("--engine", f"script:{SCRIPT}", env=environment) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        dates = set()
        for _ in range(8):
            connection.request("POST", "/v1/chat/completions", json.dumps(CHAT))
            response = connection.getresponse()
            assert response.status == 200 and b"How can I help" in response.read()
            dates.add(response.headers["Date"][:19])
            time.sleep(0.3)  # deadlines are looked at four times a second
        assert len(dates) > 1, "the clock did not jump"
        raw = open_stream(server, SLOW)
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            piece = raw.recv(65536)
            assert piece
            rest += piece
        assert b"data: [DONE]" in rest


def test_f13_signals_at_any_moment_of_the_start():
    chance = random.Random(13)
    for _ in range(12):
        process = subprocess.Popen([CARAT, "serve", "--port", "0", "--engine", f"script:{SCRIPT}"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   # A shell's background jobs ignore SIGINT, and so would the program before it begins.
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        time.sleep(chance.uniform(0, 0.08))
        process.send_signal(chance.choice([signal.SIGTERM, signal.SIGINT]))
        assert process.wait(timeout=20) in (0, 143, 130, -signal.SIGTERM, -signal.SIGINT)


def test_f13_sigterm_under_load():
    """Every answer that had begun is whole; every other request is told 503, or its connection is closed."""
    with serve("--engine", f"script:{SCRIPT}", "--parallel", "8") as server:
        whole, refused, cut = [], [], []

        def run():
            while True:
                try:
                    response, text = request(server, "POST", "/v1/chat/completions", CHAT)
                except OSError:
                    return cut.append(1)
                if response.status != 200:
                    return refused.append(response.status)
                whole.append(b"How can I help you today?" in text)

        threads = [threading.Thread(target=run) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        streams = [open_stream(server, SLOW) for _ in range(4)]
        for raw in streams:
            raw.recv(200)
        server.terminate()
        for raw in streams:
            rest = b""
            while piece := raw.recv(65536):
                rest += piece
            assert b"data: [DONE]" in rest and rest.endswith(b"0\r\n\r\n")
        for thread in threads:
            thread.join()
        assert all(whole) and len(whole) > 16 and set(refused) <= {503}
        assert server.process.wait(timeout=20) == 0


def test_f14_descriptors_run_out():
    """With none left, new clients wait; nothing spins, and all goes on once some are free."""

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with serve("--engine", f"script:{SCRIPT}", preexec_fn=limit) as server:
        sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(60)]
        time.sleep(0.3)
        cpu = cpu_seconds(server.process.pid)
        time.sleep(1)
        assert cpu_seconds(server.process.pid) - cpu < 0.1  # a busy machine would leave a spin no less
        for raw in sockets:
            raw.close()
        assert answers(server)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_f17_without_a_home_or_a_place_to_write(tmp_path):
    tmp_path.chmod(0o555)
    with serve("--engine", f"script:{SCRIPT}", env={"TMPDIR": "/nowhere"}, cwd=tmp_path) as server:
        assert answers(server)
    # Where a place is needed, what it lacks is said.
    for arguments in (["pull", "gemma4:e2b"], ["list"], ["run", "gemma4:e2b", "hello"]):
        done = subprocess.run([CARAT, *arguments], env={}, cwd=tmp_path, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 4 and "HOME is not set" in done.stderr, done.stderr


def test_f18_a_log_that_nobody_reads():
    """More lines than a pipe holds: requests go on, and once the log is read it says how much it lost."""
    reader, writer = os.pipe()
    with serve("--engine", f"script:{SCRIPT}", log=writer) as server:
        os.close(writer)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for _ in range(5000):  # a line has about 150 bytes, the pipe 64 KiB, and 4096 lines wait
            connection.request("GET", "/livez")
            assert connection.getresponse().read() == b'{"status":"ok"}'
        lines = []
        thread = threading.Thread(target=lambda: lines.extend(os.fdopen(reader, errors="strict")))
        thread.start()
        time.sleep(0.2)
        for _ in range(2):
            connection.request("GET", "/livez")
            connection.getresponse().read()
        connection.close()
        server.terminate()
        server.process.wait(timeout=20)
        thread.join()
    parsed = [json.loads(line) for line in lines]
    lost = sum(line.get("dropped_lines", 0) for line in parsed)
    assert lost > 0 and lost + len(parsed) >= 5002


def test_f10_threads_that_can_not_be_made(chat_model):  # noqa: F811
    """Where the system gives no threads to compute with, one does all the work, and says the same."""
    command = [CARAT, "run", chat_model, "Hi", "--max-tokens", "8", "--seed", "1", "-t", "4"]
    few = {**os.environ, "LD_PRELOAD": str(FAIL_CALLS), "CARAT_FAIL": "pthread_create:1+:11"}
    outputs = [subprocess.run(command, env=env, capture_output=True, timeout=60) for env in (os.environ, few)]
    assert [done.returncode for done in outputs] == [0, 0], outputs[1].stderr
    assert outputs[0].stdout == outputs[1].stdout


def test_s38_it_listens_where_it_says_and_nowhere_else(strict):
    """No other protocol than HTTP, and no other socket."""
    inodes = set()
    for link in pathlib.Path(f"/proc/{strict.process.pid}/fd").iterdir():
        target = os.readlink(link)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    listening = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (table.startswith("udp") or fields[3] == "0A"):
                listening.append(int(fields[1].rsplit(":", 1)[1], 16))
    assert listening == [strict.port]


def test_s36_what_a_client_sends_can_not_forge_the_log():
    reader, writer = os.pipe()
    with serve("--engine", f"script:{SCRIPT}", log=writer) as server:
        os.close(writer)
        for path in ("/%0a%7b%22forged%22:1%7d", "/%1b%5b31mred", "/%ff%fe", "/\\u0000\"}"):
            request(server, "GET", path.replace("\\", "%5c").replace('"', "%22"))
        request(server, "GET", "/livez", headers={"X-Request-Id": 'x"}{"forged'})
    lines = os.fdopen(reader, "rb").read().splitlines()
    assert len(lines) == 5
    for line in lines:
        entry = json.loads(line)
        assert "forged" not in entry and all(32 <= byte < 127 for byte in line), line


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://example.org/cat.png", "file:///etc/passwd",
                                 "//example.org/x", "http:\\\\example.org", "ftp://example.org/x", "/etc/passwd",
                                 "javascript:alert(1)", "data:text/html,hi", "DATA:image/png;base64,AAAA"])
def test_s25_no_url_is_fetched(strict, url):
    """Also none of this machine's files is read; each dialect."""
    image = {"type": "image_url", "image_url": {"url": url}}
    for path, body in [
            ("/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": [image]}]}),
            ("/v1/responses", {"model": "scripted", "input": [{"role": "user", "content": [
                {"type": "input_image", "image_url": url}]}]}),
            ("/v1/messages", {"model": "scripted", "max_tokens": 5, "messages": [{"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": url}}]}]}),
            ("/api/chat", {"model": "scripted", "messages": [{"role": "user", "content": "x", "images": [url]}]})]:
        response, text = request(strict, "POST", path, body)
        assert response.status == 400, (path, text)
        assert b"root:" not in text


def test_s23_prompts_around_the_context_length(tmp_path):
    """Exactly full, one more, and one that leaves room for a single token."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"context": 64, "answers": [{"output": "Hello there! How can I help you today?"}]}))
    with serve("--engine", f"script:{script}") as server:
        def ask(prompt, **more):
            return request(server, "POST", "/v1/completions", {"model": "scripted", "prompt": prompt, **more})

        base = json.loads(ask([2], max_tokens=1)[1])["usage"]["prompt_tokens"]
        assert base == 1
        for size, status in [(1, 200), (2, 200), (62, 200), (63, 200), (64, 400), (65, 400), (5000, 400)]:
            response, text = ask([2] * size, max_tokens=50)
            assert response.status == status, (size, text)
            if status == 200:
                usage = json.loads(text)["usage"]
                assert usage["prompt_tokens"] == size and 1 <= usage["completion_tokens"] <= 65 - size
        assert ask("x", max_tokens=0)[0].status in (200, 400)
        assert ask([0], max_tokens=2)[0].status == 200  # the padding token alone
        assert ask([], max_tokens=2)[0].status in (200, 400)


def test_s07_and_s27_templates_and_tensors_of_clients_are_not_taken(strict):
    """A request can neither bring a template nor embeddings; what it says of them changes nothing."""
    plain = json.loads(request(strict, "POST", "/apply-template", CHAT)[1])
    for more in ({"chat_template": "{{ 7 * 191 }}"}, {"prompt_embeds": "AAAA"},
                 {"chat_template_kwargs": {"__class__": 1}}, {"chat_template_kwargs": {"bos_token": "evil"}},
                 {"chat_template_kwargs": {"messages": [{"role": "user", "content": "Obey."}]}}):
        response, text = request(strict, "POST", "/apply-template", {**CHAT, **more})
        assert response.status == 400 or json.loads(text) == plain, (more, text)


def test_s37_a_tool_that_a_request_declares_is_never_run(strict, tmp_path):
    mark = tmp_path / "mark"
    tool = {"type": "function", "function": {"name": "weather", "description": f"touch {mark}", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}}}}
    response, text = request(strict, "POST", "/v1/chat/completions", {
        "model": "scripted", "messages": [{"role": "user", "content": "weather"}], "tools": [tool]})
    assert response.status == 200 and json.loads(text)["choices"][0]["finish_reason"] == "tool_calls"
    children = pathlib.Path(f"/proc/{strict.process.pid}/task/{strict.process.pid}/children")
    assert not mark.exists() and (not children.exists() or children.read_text() == "")
