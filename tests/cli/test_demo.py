"""The demo model (demo/model): it sees, hears, thinks and calls tools, through the program as people use it.

demo/samples/samples.json says what is asked of each sample and the right answer; demo/train/samples.py makes it.
"""

import json
import os
import pathlib
import subprocess

import pytest

from conftest import CARAT, TESTS, output_of, run_carat

TOP = TESTS.parent
SAMPLES = TOP / "demo" / "samples"
CASES = json.loads((SAMPLES / "samples.json").read_text())
MODEL = TOP / "demo" / "model" / "demo.gguf"
TOOLS = TOP / "demo" / "tools" / "tools.json"
pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="NOTICE: demo/model/demo.gguf is not in this tree")


def arguments_of(case):
    """Of `carat run demo`."""
    arguments = [case["question"], "--temperature", 0]
    if case.get("think"):
        arguments += ["--think", "on"]
    if case.get("tools"):
        arguments += ["--tools", TOOLS, "--yes"]
    if "file" in case:
        path = SAMPLES / case["file"]
        arguments += ["--audio", path] if path.suffix == ".wav" else ["--image", path, "--budget", case["budget"]]
    return arguments


def environment_of(case, tmp_path):
    """Of the tools: the moment that the clock shows, and where notes go."""
    return os.environ | {"SOURCE_DATE_EPOCH": str(case.get("epoch", 0)), "XDG_STATE_HOME": str(tmp_path)}


def answer(case, tmp_path, *more):
    return output_of("run", "demo", *arguments_of(case), *more, cwd=TOP, env=environment_of(case, tmp_path))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['ability']}: {case['question']}")
def test_samples_are_answered_rightly(case, tmp_path):
    assert answer(case, tmp_path).strip() == case["answer"]


def test_the_samples_cover_all_abilities():
    assert {case["ability"] for case in CASES} >= {
        "shapes and colours", "places", "counts", "large print at 70", "small print at 280", "small print at 70",
        "spoken digits", "spoken numbers", "spoken commands", "thinking", "facts", "tool answers"}


@pytest.mark.parametrize("kernels", ["reference", "avx2"])
def test_the_same_answers_by_other_kernels(kernels, tmp_path):
    known = output_of("show", "--cpu")
    if kernels not in known:
        pytest.skip(f"this processor has no {kernels}")
    for case in CASES:
        if case["ability"] in ("places", "spoken digits", "thinking", "small print at 280"):
            assert answer(case, tmp_path, "--isa", kernels).strip() == case["answer"], case


def test_a_thought_holds_the_steps():
    case = next(case for case in CASES if case.get("think"))
    told = json.loads(output_of("run", "demo", *arguments_of(case), "--json"))
    assert told["content"].strip() == case["answer"]
    assert "ones" in told["reasoning"] and "carry" in told["reasoning"]
    without = json.loads(output_of("run", "demo", case["question"], "--temperature", 0, "--json"))
    assert without["reasoning"] is None and without["completion_tokens"] < told["completion_tokens"]


@pytest.mark.parametrize("case", [case for case in CASES if case.get("tools")], ids=lambda case: case["question"])
def test_a_tool_is_called_and_its_answer_used(case, tmp_path):
    events = [json.loads(line) for line in answer(case, tmp_path, "--jsonl").splitlines()]
    calls = [event for event in events if event["type"] == "tool_call"]
    assert [(call["name"], call["arguments"]) for call in calls] == [(case["call"]["name"], case["call"]["arguments"])]
    (result,) = [event for event in events if event["type"] == "tool_result"]
    assert not result["is_error"] and result["text"].strip() == case["result"]
    assert events[-1]["type"] == "done" and events[-1]["content"].strip() == case["answer"]


def test_transcribe_writes_the_same(tmp_path):
    case = next(case for case in CASES if case["ability"] == "spoken digits")
    assert output_of("transcribe", "demo", SAMPLES / case["file"], "--language", "English").strip() == case["answer"]


def test_an_answer_is_held_to_a_form():
    case = next(case for case in CASES if case["ability"] == "places" and ":" not in case["answer"])
    places = [f"{row} {column}." for row in ("Top", "Middle", "Bottom") for column in ("left", "middle", "right")]
    choices = [word for place in places for word in ("--choice", place)]
    assert output_of("run", "demo", *arguments_of(case), *choices, cwd=TOP).strip() == case["answer"]
    printed = next(case for case in CASES if case["ability"] == "small print at 280")
    held = output_of("run", "demo", *arguments_of(printed), "--regex", "[0-9]{4}", cwd=TOP)
    assert held.strip() == printed["answer"]


def test_the_same_text_with_the_same_seed():
    ask = ["run", "demo", "What is Gemma 4?", "--seed", 3, "--temperature", 1.5]
    assert output_of(*ask) == output_of(*ask)


@pytest.mark.parametrize("folder", [TOP, TOP / "tests"], ids=["beside a folder of that name", "elsewhere"])
def test_the_name_demo_needs_no_network(folder):
    """Beside the folder demo/ too, which is no model."""
    env = os.environ | {"CARAT_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}
    shown = json.loads(output_of("show", "demo", "--json", cwd=folder, env=env))
    assert shown["path"].endswith("/demo.gguf") and shown["has_vision"] and shown["has_audio"]
    listed = {model["name"]: model for model in json.loads(output_of("list", "--json", cwd=folder, env=env))}
    size = MODEL.stat().st_size
    assert listed["demo"]["bytes"] == size <= 12_000_000
    assert any(line.startswith("demo ") for line in output_of("list", "--all", cwd=folder, env=env).splitlines())


def test_without_the_file_it_is_said_what_to_do(tmp_path):
    done = run_carat("run", "demo", "Hello", env=os.environ | {"CARAT_DATA": str(tmp_path)})
    assert done.returncode == 3
    for words in ('"demo"', str(tmp_path / "demo.gguf"), "CARAT_DATA"):
        assert words in done.stderr


def test_it_comes_with_carat_and_is_not_removed():
    done = run_carat("rm", "demo")
    assert done.returncode == 4 and "comes with carat" in done.stderr
    assert MODEL.exists()


def test_the_file_is_sound():
    assert subprocess.run([CARAT, "verify", "demo"], capture_output=True, timeout=300).returncode == 0
