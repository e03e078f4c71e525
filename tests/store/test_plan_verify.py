"""carat plan against what runs really take, and carat verify against files that are not what they should be."""

import json
import os
import pathlib
import struct
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "cli"))
from conftest import CARAT, GOLDEN, chat_model, gemma3, output_of, run_carat, tokenizer  # noqa: E402, F401

SETTINGS = [(context, kv_type) for context in (64, 128, 256, 512, 1024) for kv_type in ("f16", "f32")]


def peak_bytes(*arguments):
    """Of a run of carat: the most memory it had at any time."""
    process = subprocess.Popen([CARAT, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    error = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, error
    return usage.ru_maxrss * 1024


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers take memory of their own")
@pytest.mark.parametrize("context,kv_type", SETTINGS)
def test_plan_is_what_a_run_takes(gemma3, context, kv_type):  # noqa: F811
    plan = json.loads(output_of("plan", gemma3, "--ctx", context, "--kv-type", kv_type, "--json"))
    parts = ["weights_mapped_bytes", "towers_mapped_bytes", "sliding_kv_bytes", "global_kv_bytes", "scratch_bytes",
             "program_bytes"]
    assert plan["total_bytes"] == sum(plan[part] for part in parts)
    text = "\n".join(["a"] * (context // 2 - 8))  # two tokens a line: the prompt all but fills the context
    measured = peak_bytes("run", gemma3, text, "--raw", "--ctx", context, "--kv-type", kv_type, "--max-tokens", 4,
                          "--temperature", 0, "-t", 2)
    assert plan["total_bytes"] == pytest.approx(measured, rel=0.03)


def test_plan_says_what_would_fit(chat_model):  # noqa: F811
    text = output_of("plan", chat_model, "--ctx", 4096)
    assert "fits" in text and "global layers" in text
    alone = json.loads(output_of("plan", chat_model, "--json"))
    four = json.loads(output_of("plan", chat_model, "--parallel", 4, "--json"))
    assert four["global_kv_bytes"] == 4 * alone["global_kv_bytes"]
    assert four["scratch_bytes"] == alone["scratch_bytes"] + 3 * 262144 * 4, "a row of logits for each"


def checks_of(model):
    done = run_carat("verify", model, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 7), done.stderr
    return {check["component"]: check["ok"] for check in answer["checks"]}


def test_verify_finds_nothing_wrong(chat_model):  # noqa: F811
    checks = checks_of(chat_model)
    assert all(checks.values())
    assert {"hash", "structure", "tensors", "tokenizer", "template", "towers", "computation"} <= checks.keys()


def damaged(tmp_path, edit):
    """A golden model as GGUF, with its bytes changed."""
    path = tmp_path / "model.gguf"
    output_of("convert", GOLDEN / "text-dense" / "model", path, "--type", "f32")
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(data)
    return path


def test_verify_names_what_is_off(tmp_path):
    def plant_nan(data):
        data[-32:-28] = struct.pack("<f", float("nan"))  # the last tensor: one value, and what aligns the end

    assert checks_of(damaged(tmp_path, plant_nan))["tensors"] is False

    def cut(data):
        del data[-1000:]

    assert checks_of(damaged(tmp_path, cut))["structure"] is False


def test_imatrix_weighs_errors(gemma3, tmp_path):  # noqa: F811
    """An importance matrix changes what quantising makes of a model, and the model still runs."""
    text = GOLDEN / "gemma3-270m" / "passage.txt"
    output_of("imatrix", gemma3, text, "-o", tmp_path / "imatrix.gguf", "--ctx", 128, "--chunks", 1)
    plain, weighted = tmp_path / "plain.gguf", tmp_path / "weighted.gguf"
    output_of("quantize", gemma3, plain, "--type", "q4_0")
    output_of("quantize", gemma3, weighted, "--type", "q4_0", "--imatrix", tmp_path / "imatrix.gguf")
    assert plain.stat().st_size == weighted.stat().st_size and plain.read_bytes() != weighted.read_bytes()
    output_of("run", weighted, "The history of bread", "--raw", "--max-tokens", 2)


def test_verify_compares_hashes(tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    output_of("convert", GOLDEN / "text-dense" / "model", blobs / ("0" * 64))
    link = tmp_path / "model.gguf"
    link.symlink_to(blobs / ("0" * 64))
    assert checks_of(link)["hash"] is False
