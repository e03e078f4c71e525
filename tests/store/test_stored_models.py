"""From a name to an answer: the pull that `run` offers, the projector that comes with a model, and what kill -9 leaves of
a file that is being written."""

import json
import os
import pathlib
import pty
import random
import re
import select
import subprocess
import sys
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "store"), str(TESTS / "cli")]
from conftest import CARAT, GOLDEN, chat_model, output_of, run_carat, saying, tokenizer  # noqa: E402, F401
from hub_server import Server  # noqa: E402
from test_pull import KILLS, REPOSITORY, environment, kill_after  # noqa: E402


@pytest.fixture(scope="module")
def model_bytes(chat_model, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    output_of("convert", chat_model, path)
    return path.read_bytes()


@pytest.fixture
def server(model_bytes):
    server = Server(files={REPOSITORY: {"gemma-4-E2B_q4_0-it.gguf": model_bytes}})
    yield server
    server.close()


def at_a_terminal(typed, env, *arguments):
    """What carat prints where stdin, stdout and stderr are a terminal, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(CARAT, [str(CARAT), *map(str, arguments)], env)
    shown, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                block = os.read(terminal, 65536)
            except OSError:
                break
            if not block:
                break
            shown += block
            if typed and b"[Y/n]" in shown:
                os.write(terminal, typed)
                typed = None
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_run_offers_to_pull(server, tmp_path):
    env = environment(server, tmp_path, TERM="xterm")
    ask = ["run", "gemma4:e2b", "Hello", *saying(236777), "--max-tokens", 3]
    shown, code = at_a_terminal(b"n\n", env, *ask)
    assert code == 3 and "carat pull gemma4:e2b" in shown, shown
    assert server.requests["data"] == 0, "no is no"
    shown, code = at_a_terminal(b"\n", env, *ask)
    assert code == 0, shown
    assert "Pull it from hf.co/" + REPOSITORY in shown and "Pulling gemma4:e2b" in shown
    assert re.search(r"memory: .* of weights, .* for 4096 tokens, .* of activations; fits: .* are free", shown), shown
    first = shown.rstrip().splitlines()[-1]
    shown, code = at_a_terminal(None, env, *ask)
    assert code == 0 and "[Y/n]" not in shown and shown.rstrip().splitlines()[-1] == first, "the second line of two"


def test_the_projector_comes_with_its_model(tmp_path):
    """Of a name in the store, eyes and ears are there without --mmproj."""
    model, mmproj = tmp_path / "model.gguf", tmp_path / "mmproj.gguf"
    output_of("convert", GOLDEN / "vision-e" / "model", model, "--mmproj", mmproj)
    picture = ["--image", GOLDEN / "media" / "images" / "wide.png", "--budget", 70]
    output_of("debug", "encode", model, "--mmproj", mmproj, *picture, "--out", tmp_path / "expected.npy")
    server = Server(files={REPOSITORY: {"gemma-4-E2B_q4_0-it.gguf": model.read_bytes(),
                                        "mmproj-F16.gguf": mmproj.read_bytes()}})
    env = environment(server, tmp_path)
    output_of("pull", "gemma4:e2b", env=env)
    server.close()
    output_of("debug", "encode", "gemma4:e2b", *picture, "--out", tmp_path / "soft.npy", env=env)
    assert (tmp_path / "soft.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    plan = json.loads(output_of("plan", "gemma4:e2b", "--json", env=env))
    assert plan["towers_mapped_bytes"] > 0
    checks = json.loads(run_carat("verify", "gemma4:e2b", "--json", env=env).stdout)["checks"]
    assert sum(check["component"] == "hash" and check["ok"] for check in checks) == 2
    assert next(check for check in checks if check["component"] == "towers")["what"] == "vision yes, audio yes"


@pytest.mark.parametrize("verb", ["convert", "quantize"])
def test_kill_while_a_file_is_written(verb, chat_model, model_bytes, tmp_path):  # noqa: F811
    """A file has its name when it is whole: after kill -9 it is the old one or the new one, and a restart makes it."""
    source, options = chat_model, []
    if verb == "quantize":
        source, options = tmp_path / "in.gguf", ["--type", "q4_0"]
        source.write_bytes(model_bytes)
    out, env = tmp_path / "out.gguf", os.environ | {"HOME": str(tmp_path)}
    begin = time.monotonic()
    output_of(verb, source, out, *options)
    seconds, whole = time.monotonic() - begin, out.read_bytes()
    chance = random.Random(5)
    for i in range(KILLS):
        if i % 2 == 0:
            out.unlink(missing_ok=True)
        else:
            out.write_bytes(b"old")
        kill_after(chance.uniform(0, 1.2) * seconds, verb, source, out, *options, env=env)
        assert not out.exists() or out.read_bytes() in (whole, b"old")
    output_of(verb, source, out, *options)
    assert out.read_bytes() == whole
    assert {entry.name for entry in tmp_path.iterdir()} <= {"in.gguf", "out.gguf"}, "no leftovers"
