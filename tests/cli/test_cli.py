"""The command line: exit codes, messages, pipes, JSON, signals."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess

import pytest
from conftest import CARAT, GOLDEN, TESTS, json_lines, output_of, run_carat, saying

DENSE = GOLDEN / "text-dense" / "model"
HELLO = 9259  # the token "Hello"
VERBS = ["run", "serve", "show", "perplexity", "transcribe", "bench", "convert", "quantize", "pull", "list", "rm",
         "cp", "prune", "ps", "stop", "tokenize", "embed", "imatrix", "plan", "verify", "doctor", "debug",
         "completion", "man", "help", "version"]


def damaged(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("code, arguments", [
    (0, ["--help"]),
    (0, ["--version"]),
    (0, ["version"]),
    (2, []),
    (2, ["rnu"]),
    (2, ["run"]),
    (2, ["run", "model", "prompt", "--no-such-option"]),
    (2, ["run", "model", "prompt", "--temperature", "hot"]),
    (2, ["run", "model", "prompt", "--kv-type", "q1"]),
    (2, ["run", "model", "prompt", "--ctx", "0"]),
    (2, ["show"]),
    (2, ["debug"]),
    (2, ["debug", "logits", "model"]),
    (2, ["completion", "tcsh"]),
    (2, ["help", "no-such-verb"]),
    (3, ["run", "/no/such/model.gguf", "prompt"]),
    (3, ["show", "/no/such/model.gguf"]),
    (3, ["bench", "/no/such/model.gguf"]),
    (3, ["perplexity", "/no/such/model.gguf", CARAT.parent / ".." / "build.ninja"]),
    (3, ["debug", "tokenize", "/no/such/tokenizer.json", "--jsonl", "-"]),
    (3, ["debug", "render", "/no/such/model", "--jsonl", "-"]),
    (4, ["perplexity", DENSE, "/no/such/text.txt"]),
    (4, ["debug", "logits", DENSE, "--tokens", "/no/such/ids.json", "--out", "/dev/null"]),
    (4, ["convert", DENSE, "/no/such/folder/model.gguf"]),
    (2, ["serve", DENSE, "--port", "99999"]),
    (4, ["bench", DENSE, "-p", "0", "-n", "0"]),
    (4, ["show", DENSE, "--ctx", "16000000"]),
    (4, ["bench", DENSE, "-p", "8", "-n", "0", "--isa", "no-such-isa"]),
])
def test_exit_codes(code, arguments):
    done = run_carat(*arguments)
    assert done.returncode == code, done.stderr
    if code == 0:
        assert done.stdout and not done.stderr
    else:
        assert done.stdout == ""
        assert done.stderr.startswith("carat: ")
        for jargon in ("errno", "std::", "exception", "what()", "terminate", "CLI::"):
            assert jargon not in done.stderr


def test_tokenize(tokenizer):
    assert output_of("tokenize", tokenizer, "Hello <eos>").split() == ["9259", "236743", "1"]
    assert output_of("tokenize", tokenizer, "Hello", "--bos").split() == ["2", "9259"]
    assert "1" not in output_of("tokenize", tokenizer, "<eos>", "--plain").split()
    assert run_carat("tokenize", tokenizer, "--pieces", stdin="Hello").stdout.split() == ["9259", "Hello"]
    assert json.loads(output_of("tokenize", tokenizer, "Hello", "--json")) == {"ids": [9259], "pieces": ["Hello"]}


def test_embed(chat_model, tmp_path):
    bread = json.loads(output_of("embed", chat_model, "Bread"))
    assert sum(x * x for x in bread) == pytest.approx(1, abs=1e-3)
    assert json.loads(run_carat("embed", chat_model, stdin="Bread").stdout) == bread
    (tmp_path / "texts").write_text('{"text": "Bread"}\n{"text": "Stone"}\n')
    lines = [json.loads(line) for line in output_of("embed", chat_model, "--jsonl", tmp_path / "texts").splitlines()]
    assert lines[0]["embedding"] == bread and lines[1]["embedding"] != bread
    assert run_carat("embed", chat_model, stdin=b"\xff").returncode == 4


def test_no_server(tmp_path):
    for verb in (["ps"], ["stop", "model"]):
        done = run_carat(*verb, "--url", "http://127.0.0.1:1")
        assert done.returncode == 8 and "carat serve" in done.stderr


def test_chat_is_run(chat_model):
    assert output_of("chat", "--help") == output_of("run", "--help")
    assert run_carat("chat", chat_model, "Hi", "--max-tokens", 1).returncode == 0


@pytest.mark.parametrize("typed, meant", [
    (["rum", "m"], "run"),
    (["perplexty"], "perplexity"),
    (["debug", "tokenise"], "tokenize"),
    (["run", "m", "p", "--temprature", "1"], "--temperature"),
    (["help", "bnech"], "bench"),
])
def test_suggestions(typed, meant):
    done = run_carat(*typed)
    assert done.returncode == 2
    assert f'Did you mean "{meant}"?' in done.stderr


def test_a_broken_model_is_code_7(tmp_path):
    source = (GOLDEN / "quants" / "Q4_0.gguf").read_bytes()
    for name, content in [
            ("empty.gguf", b""),
            ("noise.gguf", bytes(range(256)) * 16),
            ("short.gguf", source[:100]),
            ("count.gguf", source[:8] + b"\xff" * 8 + source[16:]),
    ]:
        done = run_carat("show", damaged(tmp_path, name, content))
        assert done.returncode == 7, (name, done.stderr)
        assert name in done.stderr


def test_a_broken_folder_is_code_7(tmp_path):
    for victim in ("model.safetensors", "config.json"):
        folder = tmp_path / victim
        shutil.copytree(DENSE, folder)
        data = (folder / victim).read_bytes()
        (folder / victim).write_bytes(data[:len(data) // 2])
        done = run_carat("run", folder, "prompt")
        assert done.returncode == 7, done.stderr
        assert victim in done.stderr


def test_a_folder_without_model_is_not_found(tmp_path):
    assert run_carat("run", tmp_path, "prompt").returncode == 3


def test_bad_prompts(chat_model):
    assert run_carat("run", chat_model, stdin="").returncode == 4
    windows = run_carat("run", chat_model, "Umlaut:", stdin=b"\xe4\xf6\xfc")
    assert windows.returncode == 4 and b"UTF-8" in windows.stderr
    long = run_carat("run", chat_model, "word " * 50, "--ctx", 20)
    assert long.returncode == 4 and "--ctx" in long.stderr
    assert run_carat("run", chat_model, "x", "--top-p", 2).returncode == 4
    assert run_carat("run", chat_model, "x", "--logit-bias", "999999999=1").returncode == 4


def test_out_of_memory_is_code_5(chat_model):
    # The shared libraries alone, FFmpeg's above all, take nearly 200 MiB of address space.
    done = run_carat("run", chat_model, "x", "--ctx", 131072, "--kv-type", "f32", "--max-tokens", 1,
                     preexec_fn=lambda: limit_address_space(250 << 20))
    assert done.returncode == 5, done.stderr
    assert "--ctx" in done.stderr


def limit_address_space(size_bytes):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))


def test_stdout_holds_the_answer_only(chat_model):
    done = run_carat("run", chat_model, "hi", "--max-tokens", 3, "--stats", *saying(HELLO))
    assert done.returncode == 0
    assert done.stdout == "HelloHelloHello\n"
    assert "tokens/s" in done.stderr and "memory" in done.stderr


def test_piped_text_is_put_behind_the_prompt(chat_model):
    def prompt_tokens(*arguments, **options):
        return json.loads(output_of("run", chat_model, *arguments, "--json", "--max-tokens", 1, **options))["prompt_tokens"]

    (whole,) = json_lines("render", chat_model, lines=[
        {"messages": [{"role": "user", "content": "Summarise\n\na text"}],
         "options": {"add_generation_prompt": True, "enable_thinking": False}}])
    assert prompt_tokens("Summarise", stdin="a text") == len(whole["ids"])
    assert prompt_tokens("Summarise\n\na text") == len(whole["ids"])
    assert prompt_tokens(stdin="Summarise\n\na text") == len(whole["ids"])


def test_run_json(chat_model):
    answer = json.loads(output_of("run", chat_model, "hi", "--json", "--max-tokens", 2, *saying(HELLO)))
    assert answer["content"] == "HelloHello"
    assert answer["reasoning"] is None and answer["tool_calls"] == []
    assert answer["finish_reason"] == "length" and answer["completion_tokens"] == 2
    stopped = json.loads(output_of("run", chat_model, "hi", "--json", "--max-tokens", 2, *saying(106)))  # <turn|>
    assert stopped["content"] == "" and stopped["finish_reason"] == "stop" and stopped["completion_tokens"] == 1


def test_run_json_lines(chat_model):
    lines = output_of("run", chat_model, "hi", "--jsonl", "--max-tokens", 2, *saying(HELLO)).splitlines()
    *pieces, done = [json.loads(line) for line in lines]
    assert pieces == [{"type": "content", "text": "Hello"}] * 2
    assert done["type"] == "done" and done["content"] == "HelloHello" and done["completion_tokens"] == 2


def test_ignore_eos(chat_model):
    answer = json.loads(output_of("run", chat_model, "hi", "--json", "--ignore-eos", "--max-tokens", 5, *saying(106)))
    assert answer["finish_reason"] == "length" and answer["completion_tokens"] == 5


def test_a_seed_repeats_a_text(chat_model):
    def text(*arguments):
        return output_of("run", chat_model, "hi", "--max-tokens", 20, *arguments)

    assert text("--seed", 1) == text("--seed", 1) == text("--seed", 1, "--no-stream")
    assert text("--seed", 1) != text("--seed", 2)


def test_thoughts_stay_out_of_pipes(chat_model, tmp_path):
    folder = tmp_path / "thinker"
    shutil.copytree(chat_model, folder, symlinks=True)
    template = (folder / "chat_template.jinja").read_text() + "{{ '<|channel>thought\\n' }}"  # all that follows is thought
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.jinja").write_text(template)
    arguments = ["run", folder, "hi", "--think", "on", "--max-tokens", 2, *saying(HELLO)]
    assert output_of(*arguments) == ""
    assert output_of(*arguments, "--show-thinking") == "HelloHello\n"
    assert json.loads(output_of(*arguments, "--json"))["reasoning"] == "HelloHello"


def test_raw_prompts_may_name_tokens(chat_model):
    def prompt_tokens(*arguments):
        return json.loads(output_of("run", chat_model, *arguments, "--json", "--max-tokens", 1))["prompt_tokens"]

    assert prompt_tokens("<|turn>", "--raw") == 2  # with <bos>
    assert prompt_tokens("<bos><|turn>", "--raw") == 2


def test_show(chat_model):
    text = output_of("show", chat_model)
    for word in ("gemma4", "12: 10 sliding", "sssssGsssssG", "bf16", "262144", "31B-it", "keys and values"):
        assert word in text
    summary = json.loads(output_of("show", chat_model, "--json", "--ctx", 1000))
    assert summary["architecture"] == "gemma4" and len(summary["layers"]) == 12
    assert summary["tokenizer"]["ends"] == [1, 50, 106]
    assert summary["chat_template"]["revision"] == "31B-it"
    assert summary["memory"]["ctx"] == 1000 and summary["memory"]["kv_bytes"] > 0
    assert "tensors" not in summary
    tensors = json.loads(output_of("show", DENSE, "--json", "--tensors"))["tensors"]
    assert {"name": "model.language_model.embed_tokens.weight", "type": "bf16", "shape": [512, 64],
            "bytes": 65536} in tensors
    assert "model.language_model.embed_tokens.weight" in output_of("show", DENSE, "--tensors")


def test_show_cpu():
    cpu = json.loads(output_of("show", "--cpu", "--json"))
    assert cpu["isa"] in [table["name"] for table in cpu["tables"] if table["runs_here"]]
    assert cpu["tables"][-1]["name"] == "reference"
    assert "reference" in output_of("show", "--cpu")


def test_bench():
    arguments = ["bench", DENSE, "-p", "8,4", "-n", 3, "-d", "0,5", "-r", 3, "-t", "1,2"]
    tests = json.loads(output_of(*arguments, "--json"))
    assert [(t["n_threads"], t["n_prompt"], t["n_gen"], t["n_depth"]) for t in tests] == [
        (threads, *test) for threads in (1, 2)
        for test in [(8, 0, 0), (4, 0, 0), (0, 3, 0), (8, 0, 5), (4, 0, 5), (0, 3, 5)]]
    for test in tests:
        assert len(test["samples_ts"]) == 3
        assert min(test["samples_ts"]) <= test["median_ts"] <= max(test["samples_ts"])
        assert test["avg_ts"] == pytest.approx(sum(test["samples_ts"]) / 3)
        assert ("weight_gb_per_s" in test) == (test["n_gen"] > 0)
    rows = list(csv.DictReader(io.StringIO(output_of(*arguments, "--csv"))))
    assert [row["test"] for row in rows][:4] == ["pp8", "pp4", "tg3", "pp8 @ d5"]
    assert output_of(*arguments).count("| tg3") == 4

    for test in json.loads(output_of("bench", DENSE, "-p", 0, "-n", 3, "-d", 5, "-s", "1,4", "-r", 2, "--json")):
        assert test["test"] == ("tg3 @ d5" if test["n_sequences"] == 1 else "tg3 @ d5 x 4")
        assert min(test["samples_ts"]) > 0 and test["resident_bytes"] >= test["resident_file_bytes"] > 0
        assert test["ple_bytes_read"] == 0  # this model has no per-layer embeddings

    [test] = json.loads(output_of("bench", DENSE, "-p", 8, "-n", 0, "-r", 2, "--profile", "--json"))
    parts = {(part["operation"], part["layers"]): part["seconds"] for part in test["profile"]}
    assert {("mlp", "sliding"), ("mlp", "global"), ("attention", "global"), ("logits", "-")} <= parts.keys()
    assert 0 < sum(parts.values()) <= test["profiled_seconds"]
    assert "attention" in output_of("bench", DENSE, "-p", 8, "-n", 0, "-r", 1, "--profile")


def test_help_is_there_for_all():
    overview = output_of("--help")
    for verb in VERBS:
        assert verb in overview
        assert output_of(verb, "--help") == output_of("help", verb)
        assert "Example:\n  " in output_of(verb, "--help")
        page = output_of("man", verb)
        assert page.startswith(f".TH CARAT\\-{verb.upper()} 1")
    assert output_of("help", "debug", "tokenize") == output_of("debug", "tokenize", "--help")


def test_show_tells_of_towers(tmp_path):
    """In a folder and in a GGUF file, which says so nowhere but by having them."""
    folder = GOLDEN / "vision-e" / "model"
    output_of("convert", folder, tmp_path / "model.gguf")
    for model in (folder, tmp_path / "model.gguf"):
        shown = json.loads(output_of("show", model, "--json"))
        assert shown["has_vision"] and shown["has_audio"]
        assert re.search("^towers +pictures, sound$", output_of("show", model), re.MULTILINE)
    shown = json.loads(output_of("show", DENSE, "--json"))
    assert not shown["has_vision"] and not shown["has_audio"] and "towers" not in output_of("show", DENSE)


def test_all_manual_pages_at_once(tmp_path):
    assert output_of("man", "--all", tmp_path / "man") == ""
    pages = {path.name: path.read_text() for path in (tmp_path / "man").iterdir()}
    assert pages == {"carat.1": output_of("man")} | {f"carat-{verb}.1": output_of("man", verb) for verb in VERBS}
    (tmp_path / "file").touch()
    done = run_carat("man", "--all", tmp_path / "file" / "man")
    assert done.returncode == 7 and str(tmp_path / "file") in done.stderr


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
@pytest.mark.parametrize("verb", [[]] + [[verb] for verb in VERBS])
def test_manual_pages_are_sound(verb):
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=output_of("man", *verb), text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.parametrize("words, expected", [
    (["carat", ""], VERBS),
    (["carat", "pe"], ["perplexity"]),
    (["carat", "run", "--te"], ["--temperature"]),
    (["carat", "run", "m", "--kv-type", ""], ["f32", "f16", "bf16", "q8_0"]),
    (["carat", "debug", ""], ["tokenize", "detokenize", "render", "parse", "logits", "generate", "encode", "hear",
                              "see"]),
    (["carat", "debug", "render", "--temp"], ["--template"]),
    (["carat", "completion", ""], ["bash", "zsh", "fish"]),
])
def test_bash_completion(words, expected):
    script = output_of("completion", "bash") + """
compopt() { :; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _carat; printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = subprocess.run(["bash", "-c", script, "bash", *words], text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.split() == expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_completions_parse(shell, tmp_path):
    script = output_of("completion", shell)
    for verb in VERBS:
        assert verb in script
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script)
    assert subprocess.run([shell, "-n", path], timeout=60).returncode == 0


def endless(chat_model):
    """A run that goes on for minutes, after its first output."""
    process = subprocess.Popen(
        [CARAT, *map(str, ["run", chat_model, "hi", "--ignore-eos", "--ctx", 131072, *saying(HELLO)])],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.read(5) == b"Hello"
    return process


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(chat_model, number, code):
    process = endless(chat_model)
    process.send_signal(number)
    process.stdout.read()
    assert process.wait(timeout=10) == code
    assert process.stderr.read() == b""


def test_a_closed_pipe_is_quiet(chat_model):
    process = endless(chat_model)
    process.stdout.close()
    assert process.wait(timeout=10) == -signal.SIGPIPE
    assert process.stderr.read() == b""


def test_a_full_disk_is_told(chat_model):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([CARAT, "version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 4 and done.stderr.startswith("carat: ")


def test_debug_says_more_about_an_error(tmp_path):
    plain = run_carat("show", tmp_path / "none.gguf")
    more = run_carat("show", tmp_path / "none.gguf", "--debug")
    assert more.returncode == plain.returncode == 3
    assert more.stderr.startswith(plain.stderr) and "origin" not in plain.stderr
    assert re.search(r"\n  origin    src/\w+/\w+\.cpp:\d+, ", more.stderr), "the path within the tree, no other"
    assert "exit code 3" in more.stderr and "kernels: " in more.stderr and " MiB of memory left" in more.stderr
