"""A server over the models of this machine's store: found by name, pulled, loaded when asked for, deleted."""

import importlib.util
import json
import os
import sys
import time

import ollama
import openai
import pytest

from conftest import HERE, serve

sys.path.insert(0, str(HERE.parent / "store"))
from hub_server import Server as Hub  # noqa: E402

spec = importlib.util.spec_from_file_location("cli_conftest", HERE.parent / "cli" / "conftest.py")
cli = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cli)
tokenizer = cli.tokenizer
chat_model = cli.chat_model

NAMES = ["hf.co/carat/first", "hf.co/carat/second"]


@pytest.fixture(scope="module")
def hub(chat_model):
    files = {file.name: file.read_bytes() for file in chat_model.iterdir()}
    hub = Hub(files={name.removeprefix("hf.co/"): files for name in NAMES})
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def server(hub, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_ENDPOINT": hub.url, "CARAT_DATA": str(home)}
    with serve("--manage", "--ctx", "512", "--parallel", "2", "--threads", "1", env=environment) as running:
        yield running


def test_models_come_and_go(server, tmp_path):
    client = ollama.Client(host=server.url)
    assert "the store's, 0 now" in server.banner and client.list().models == []

    lines = list(client.pull(NAMES[0], stream=True))
    assert lines[0].status == "pulling manifest" and lines[-1].status == "success"
    assert any(line.completed and line.completed == line.total for line in lines)
    assert client.pull(NAMES[1]).status == "success"
    with pytest.raises(ollama.ResponseError) as missing:
        client.pull("no-such-model-at-all")
    assert missing.value.status_code == 404
    assert [m.model for m in client.list().models] == NAMES and client.ps().models == []

    # Each is loaded when it is asked for; with room for one, the other goes.
    shown = client.show(NAMES[0])
    assert shown.template and shown.details.parameter_size and shown.details.quantization_level == "BF16"
    assert client.ps().models == []  # describing a model loads none
    ask = {"messages": [{"role": "user", "content": "Hi"}], "options": {"num_predict": 2}}
    for name in NAMES:
        assert client.chat(name, **ask).done
        assert [m.model for m in client.ps().models] == [name]
        assert client.show(NAMES[0]).modelinfo["general.architecture"] == "gemma4"
        assert [m.model for m in client.ps().models] == [name]
    listed = json.loads(cli.output_of("ps", "--url", server.url, "--json"))
    assert [(m["name"], m["context_length"]) for m in listed] == [(NAMES[1], 512)]
    assert NAMES[1] in cli.output_of("ps", "--url", server.url)
    assert cli.run_carat("stop", NAMES[1], "--url", server.url).returncode == 0
    assert cli.run_carat("stop", "no-such-model", "--url", server.url).returncode == 3
    client.chat(NAMES[0], **ask)
    client.chat(NAMES[0], keep_alive=0, **ask)
    deadline = time.monotonic() + 20
    while client.ps().models and time.monotonic() < deadline:
        time.sleep(0.1)
    assert client.ps().models == []

    client.copy(NAMES[1], "mine")
    assert client.chat("mine", **ask).done

    # Names are never paths.
    there = tmp_path / "model.gguf"
    there.write_bytes(b"GGUF")
    for name in (str(there), f"file:{there}", "../../etc/passwd", "/etc/passwd"):
        with pytest.raises(ollama.ResponseError) as refused:
            client.chat(name, **ask)
        assert refused.value.status_code == 404
        with pytest.raises(ollama.ResponseError) as refused:
            client.delete(name)
        assert refused.value.status_code == 404

    deleted = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none").models.delete(NAMES[0])
    assert deleted.deleted and deleted.id == NAMES[0]
    client.delete("mine")
    assert [m.model for m in client.list().models] == [NAMES[1]]
    client.delete(NAMES[1])
    assert client.list().models == []
    with pytest.raises(ollama.ResponseError) as gone:
        client.chat(NAMES[1], **ask)
    assert gone.value.status_code == 404


def test_manage_needs_keys_where_others_are_let_in():
    done = cli.run_carat("serve", "--manage", "--insecure-bind", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2 and "--api-key-file" in done.stderr
