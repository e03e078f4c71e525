"""Multi-token prediction: `--assistant` changes how many steps an answer takes, and not a bit of it."""

import json
import re

import pytest
from PIL import Image

from conftest import output_of, run_carat, saying

ASK = ["Tell me more.", "--max-tokens", 60, "--json"]


def said(*arguments):
    answer = json.loads(output_of("run", *arguments))
    return answer["content"], answer["reasoning"], answer["finish_reason"], answer["completion_tokens"], answer["stats"]


@pytest.mark.parametrize("how", [
    pytest.param(["--temperature", 0, "--ignore-eos"], id="greedy"),
    pytest.param(["--seed", 5, "--ignore-eos"], id="drawn"),
    pytest.param(["--seed", 6, "--repeat-penalty", 1.3, "--frequency-penalty", 0.5, "--ignore-eos"], id="penalties"),
    pytest.param(["--seed", 7, "--regex", "[a-z]{1,8}( [a-z]{1,8}){20}"], id="grammar"),
    pytest.param(["--seed", 8, "--ctx", 64, "--ignore-eos"], id="context"),
    pytest.param(["--seed", 9, "--raw", "--ignore-eos"], id="raw"),
])
def test_answers_are_those_without(how, media_model, assistant):
    *plain, plain_stats = said(media_model, *ASK, *how)
    *guessed, stats = said(media_model, *ASK, *how, "--assistant", assistant)
    assert guessed == plain and plain[3] > 1
    assert plain_stats["guessed_tokens"] == 0 and stats["guessed_tokens"] > 0
    assert stats["accepted_guesses"] <= stats["guessed_tokens"]


def test_behind_a_picture(media_model, assistant, tmp_path):
    Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / "1.png")
    ask = [media_model, *ASK, "--seed", 3, "--ignore-eos", "--image", tmp_path / "1.png"]
    assert said(*ask, "--assistant", assistant)[:4] == said(*ask)[:4]


def test_stats_tell_what_came_true(media_model, pad_assistant, tmp_path):
    ask = ["run", media_model, "Hi", *saying(0), "--max-tokens", 40, "--ignore-eos", "--stats"]
    done = run_carat(*ask, "--assistant", pad_assistant)
    assert done.returncode == 0
    told = r"of (\d+) guesses (\d+) came true"
    guesses, true = map(int, re.search(told, done.stderr).groups())
    assert 0 < true < 40 and guesses - 8 < true <= guesses  # the answer may end before the last ones are looked at
    assert "guesses" not in run_carat(*ask).stderr
    # The same from GGUF.
    gguf = tmp_path / "assistant.gguf"
    output_of("convert", pad_assistant, gguf)
    assert int(re.search(told, run_carat(*ask, "--assistant", gguf).stderr)[2]) > 0


def test_the_wrong_assistant_is_refused(chat_model, media_model, assistant, tmp_path):
    done = run_carat("run", chat_model, "Hi", "--assistant", assistant)
    assert done.returncode == 4 and "published with the model" in done.stderr and done.stdout == ""
    # A folder and a GGUF that are models, to every command that takes an assistant.
    ids = tmp_path / "ids.json"
    ids.write_text("[2, 3]")
    gguf = tmp_path / "model.gguf"
    output_of("convert", chat_model, gguf)
    for model in (chat_model, gguf):
        for command in (["run", media_model, "Hi"], ["serve", media_model, "--port", 0],
                        ["debug", "generate", media_model, "--tokens", ids]):
            done = run_carat(*command, "--assistant", model)
            assert done.returncode == 4 and "is no assistant" in done.stderr, done.stderr
    done = run_carat("run", media_model, "Hi", "--assistant", tmp_path / "none.gguf")
    assert done.returncode == 3 and "none.gguf" in done.stderr
    done = run_carat("serve", "--assistant", assistant)
    assert done.returncode == 2 and "--assistant" in done.stderr
