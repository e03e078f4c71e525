"""What the tests of the binary share: where it is, golden data, tiny models."""

import json
import lzma
import os
import pathlib
import struct
import subprocess

import numpy
import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "golden"
CARAT = pathlib.Path(os.environ.get("CARAT", TESTS.parent / "build" / "release" / "bin" / "carat")).resolve()

# How the forward pass of `debug` commands is computed: exactly, as they do by default, and as everything else does by
# default, towers by pairs of bf16 where the processor has tiles, the cache in 16 bits.
WAYS = [pytest.param([], id="exact"), pytest.param(["--activations", "i8", "--kv-type", "f16"], id="default")]


def run_carat(*arguments, stdin="", timeout=300, **options):
    """Runs carat with text or bytes on stdin; returns the completed process, output as the input's type."""
    is_text = isinstance(stdin, str)
    return subprocess.run([CARAT, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                          encoding="utf-8" if is_text else None, **options)


def output_of(*arguments, **options):
    """The same where it has to succeed: its stdout."""
    done = run_carat(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def json_lines(*arguments, lines, **options):
    """What a `carat debug` command answers to these lines."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    answers = output_of("debug", *arguments, "--jsonl", "-", stdin=text, **options).splitlines()
    assert len(answers) == len(lines)
    return [json.loads(answer) for answer in answers]


def read_json_lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_safetensors(path):
    """A small safetensors file as {name: array}."""
    types = {"F32": numpy.float32, "I32": numpy.int32, "U8": numpy.uint8}
    data = path.read_bytes()
    (header_bytes,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + header_bytes])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(data[8 + header_bytes + begin:8 + header_bytes + end], types[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """Gemma 4's tokenizer.json."""
    path = tmp_path_factory.mktemp("gemma4") / "tokenizer.json"
    path.write_bytes(lzma.decompress((TESTS / "data" / "gemma4-tokenizer.json.xz").read_bytes()))
    return path


def repeat_rows(source, folder, vocab, tables, is_zero=False):
    """Copies a model's weights, the rows of these tables repeated as often as the larger vocabulary asks for."""
    data = (source / "model.safetensors").read_bytes()
    (header_bytes,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + header_bytes])
    header.pop("__metadata__", None)
    pieces, length = [], 0
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        piece = data[8 + header_bytes + begin:8 + header_bytes + end]
        if name in tables:
            piece = (bytes(len(piece)) if is_zero else piece) * (vocab // entry["shape"][0])
            entry["shape"][0] = vocab
        entry["data_offsets"] = [length, length + len(piece)]
        pieces.append(piece)
        length += len(piece)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(pieces))


@pytest.fixture(scope="session")
def chat_model(tokenizer, tmp_path_factory):
    """A folder with Gemma 4's tokenizer and template, and tiny random weights: with a strong --logit-bias it says what
    a test wants."""
    folder = tmp_path_factory.mktemp("chat-model")
    source = GOLDEN / "text-dense" / "model"
    vocab = 262144

    config = json.loads((source / "config.json").read_text())
    config["text_config"]["vocab_size"] = config["text_config"]["vocab_size_per_layer_input"] = vocab
    (folder / "config.json").write_text(json.dumps(config))

    repeat_rows(source, folder, vocab, ["model.language_model.embed_tokens.weight"])
    (folder / "tokenizer.json").symlink_to(tokenizer)
    (folder / "chat_template.jinja").symlink_to(TESTS / "data" / "gemma4-chat-template.jinja")
    return folder


def saying(token):
    """Arguments that make the chat model say this token and no other."""
    return ["--temperature", 0, "--logit-bias", f"{token}=100"]


@pytest.fixture(scope="session")
def media_model(tokenizer, tmp_path_factory):
    """Gemma 4's tokenizer and template over the tiny E model, with its eyes and ears; it says what a strong
    --logit-bias makes it say."""
    folder = tmp_path_factory.mktemp("media-model")
    source = GOLDEN / "vision-e" / "model"
    vocab = 262144
    config = json.loads((source / "config.json").read_text())
    config["text_config"]["vocab_size"] = config["text_config"]["vocab_size_per_layer_input"] = vocab
    ids = {"image_token_id": 258880, "audio_token_id": 258881, "video_token_id": 258884, "boi_token_id": 255999,
           "eoi_token_id": 258882, "boa_token_id": 256000, "eoa_token_id": 258883, "eoa_token_index": 258883}
    (folder / "config.json").write_text(json.dumps(config | ids))

    repeat_rows(source, folder, vocab, [f"model.language_model.{name}.weight"
                                        for name in ("embed_tokens", "embed_tokens_per_layer")])
    (folder / "tokenizer.json").symlink_to(tokenizer)
    (folder / "chat_template.jinja").symlink_to(TESTS / "data" / "gemma4-chat-template.jinja")
    return folder


def make_assistant(folder, knows_nothing=False):
    """A tiny assistant of media_model, with random weights. One that knows nothing guesses token 0, always."""
    folder.mkdir()
    source = GOLDEN / "assistant" / "model-plain"
    vocab = 262144
    config = json.loads((source / "config.json").read_text())
    config["text_config"]["vocab_size"] = vocab
    config["text_config"]["sliding_window"] = 24
    (folder / "config.json").write_text(json.dumps(config))

    repeat_rows(source, folder, vocab, ["model.embed_tokens.weight"], is_zero=knows_nothing)
    return folder


@pytest.fixture(scope="session")
def assistant(tmp_path_factory):
    """Guesses for media_model, seldom right."""
    return make_assistant(tmp_path_factory.mktemp("assistant") / "model")


@pytest.fixture(scope="session")
def pad_assistant(tmp_path_factory):
    """Guesses <pad>, whatever was said: right where a --logit-bias makes media_model say nothing else."""
    return make_assistant(tmp_path_factory.mktemp("pad-assistant") / "model", knows_nothing=True)


@pytest.fixture(scope="session")
def gemma3():
    """Real weights, of a base model; skips the test where they are not at hand."""
    path = os.environ.get("CARAT_GEMMA3_GGUF")
    if not path:
        pytest.skip("needs CARAT_GEMMA3_GGUF: scripts/fetch_gemma3 prints its path")
    return path
