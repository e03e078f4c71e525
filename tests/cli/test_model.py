"""The forward pass against the reference: `carat debug logits`, `generate`, `perplexity`."""

import json
import math

import numpy
import pytest
from conftest import GOLDEN, output_of, read_safetensors

TINY = ["text-dense", "text-e2b", "text-e4b", "text-moe"]


def logits_of(model, ids, tmp_path, *arguments):
    tokens, out = tmp_path / "ids.json", tmp_path / "logits.npy"
    tokens.write_text(json.dumps(ids))
    assert output_of("debug", "logits", model, "--tokens", tokens, "--out", out, *arguments) == ""
    logits = numpy.load(out)
    assert logits.dtype == numpy.float32
    return logits


def generated(model, ids, count, tmp_path, *arguments):
    tokens = tmp_path / "ids.json"
    tokens.write_text(json.dumps(ids))
    return json.loads(output_of("debug", "generate", model, "--tokens", tokens, "--max-tokens", count, *arguments))


@pytest.mark.parametrize("case", TINY)
@pytest.mark.parametrize("isa", [None, "reference"])
def test_tiny_logits(case, isa, tmp_path):
    folder = GOLDEN / case
    ids = read_safetensors(folder / "inputs.safetensors")["input_ids"].tolist()
    expected = read_safetensors(folder / "expected.safetensors")["logits"]
    tolerance = json.loads((folder / "case.json").read_text())["tolerance_float32"]["logits"]["max_abs"]
    logits = logits_of(folder / "model", ids, tmp_path, *(["--isa", isa] if isa else []))
    assert logits.shape == expected.shape
    assert numpy.abs(logits - expected).max() <= tolerance


@pytest.mark.parametrize("case", TINY)
def test_tiny_greedy(case, tmp_path):
    folder = GOLDEN / case
    ids = read_safetensors(folder / "inputs.safetensors")["input_ids"].tolist()
    expected = read_safetensors(folder / "expected.safetensors")["greedy_ids"].tolist()
    assert generated(folder / "model", ids, len(expected), tmp_path) == expected


def test_nothing_to_generate(tmp_path):
    assert generated(GOLDEN / "text-dense" / "model", [2, 5], 0, tmp_path) == []


@pytest.fixture(scope="session")
def gemma3_golden():
    return read_safetensors(GOLDEN / "gemma3-270m" / "expected.safetensors")


@pytest.mark.parametrize("number", range(6))
def test_real_logits(gemma3, gemma3_golden, number, tmp_path):
    top_ids = gemma3_golden[f"{number}.top_ids"]
    logits = logits_of(gemma3, gemma3_golden[f"{number}.input_ids"].tolist(), tmp_path)
    found = numpy.take_along_axis(logits, top_ids.astype(numpy.int64), axis=1)
    assert numpy.abs(found - gemma3_golden[f"{number}.top_logits"]).max() <= 0.005  # case.json


@pytest.mark.parametrize("number", range(6))
def test_real_greedy(gemma3, gemma3_golden, number, tmp_path):
    gaps = json.loads((GOLDEN / "gemma3-270m" / "prompts.json").read_text())[number]["greedy_gap_between_best_two"]
    sure = next((step for step, gap in enumerate(gaps) if gap < 0.02), len(gaps))  # case.json
    expected = gemma3_golden[f"{number}.greedy_ids"].tolist()[:sure]
    assert generated(gemma3, gemma3_golden[f"{number}.input_ids"].tolist(), sure, tmp_path) == expected


@pytest.mark.parametrize("arguments, relative", [
    ((), 0.005),  # 8-bit activations
    (("--activations", "f32", "--kv-type", "f32"), 0.0001),
])
def test_real_perplexity(gemma3, arguments, relative):
    passage = GOLDEN / "gemma3-270m" / "passage.txt"
    result = json.loads(output_of("perplexity", gemma3, passage, "--ctx", 1024, "--json", *arguments))
    assert result["tokens"] == 989
    assert result["ppl"] == pytest.approx(math.exp(2.96994), rel=relative)
    assert result["mean_nll"] == pytest.approx(math.log(result["ppl"]))
    assert result["seconds"] > 0


def test_perplexity_in_windows(gemma3):
    passage = GOLDEN / "gemma3-270m" / "passage.txt"
    result = json.loads(output_of("perplexity", gemma3, passage, "--ctx", 100, "--json"))
    assert result["tokens"] == 989 and result["windows"] == 10
    assert 20 < result["ppl"] < 60  # less context than in one window, so worse than its 19.5
