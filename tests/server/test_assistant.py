"""A server with an assistant answers as one without, token by token; it only takes fewer steps."""

import importlib.util
import re
import threading
import urllib.request

import openai
import pytest

from conftest import HERE, serve

spec = importlib.util.spec_from_file_location("cli_conftest", HERE.parent / "cli" / "conftest.py")
cli = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cli)
tokenizer = cli.tokenizer
media_model = cli.media_model
assistant = cli.assistant
pad_assistant = cli.pad_assistant

OPTIONS = ["--ctx", "4096", "--parallel", "8", "--kv-budget", "64", "--threads", "1"]


def client_of(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def plain(media_model):
    with serve(f"tiny={media_model}", *OPTIONS) as server:
        yield client_of(server)


@pytest.fixture(scope="module")
def server(media_model, assistant):
    with serve(f"tiny={media_model}", "--assistant", assistant, *OPTIONS) as running:
        yield running


@pytest.fixture(scope="module")
def guessing(server):
    return client_of(server)


def ask(client, text, **options):
    options = {"max_tokens": 40, "seed": 7, "logprobs": True, **options}
    return client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": text}], **options)


def said(answer):
    choice = answer.choices[0]
    reasoning = getattr(choice.message, "reasoning_content", None)
    return (choice.message.content, reasoning, choice.finish_reason,
            [(token.token, token.logprob) for token in choice.logprobs.content or []])


def counter(server, name):
    with urllib.request.urlopen(f"{server.url}/metrics") as reply:
        return float(re.search(rf"^{name}\S* (\S+)".encode(), reply.read(), re.MULTILINE)[1])


SCHEMA = {"type": "json_schema", "json_schema": {"name": "word", "strict": True, "schema": {
    "type": "object", "properties": {"n": {"type": "integer"}, "word": {"enum": ["yes", "no", "perhaps"]}},
    "required": ["n", "word"], "additionalProperties": False}}}


@pytest.mark.parametrize("options", [
    pytest.param({"temperature": 0, "extra_body": {"ignore_eos": True}}, id="greedy"),
    pytest.param({"extra_body": {"ignore_eos": True}}, id="drawn"),
    pytest.param({"response_format": SCHEMA}, id="schema"),
    pytest.param({"extra_body": {"chat_template_kwargs": {"enable_thinking": True}, "thinking_budget": 12,
                                 "ignore_eos": True}, "logit_bias": {"100": 60}}, id="thought"),
    pytest.param({"stop": ["e"], "max_tokens": 60}, id="stop"),
])
def test_answers_are_those_without(plain, guessing, options):
    for seed in range(3):
        assert said(ask(guessing, "Tell me more.", seed=seed, **options)) == said(ask(plain, "Tell me more.", seed=seed,
                                                                                    **options))


def test_something_was_guessed(guessing, server):
    """How much, time decides: an assistant that is seldom right is asked seldom."""
    ask(guessing, "Tell me more.", max_tokens=200, extra_body={"ignore_eos": True})
    assert counter(server, "carat_guessed_tokens_total") > 0


def test_several_at_once(plain, guessing):
    expected = [said(ask(plain, f"question {i}", seed=i)) for i in range(6)]
    found = [None] * 6

    def run(i):
        found[i] = said(ask(guessing, f"question {i}", seed=i))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_a_client_that_leaves(plain, guessing, server):
    cancelled = counter(server, "carat_cancelled_total")
    stream = ask(guessing, "Talk on and on.", stream=True, max_tokens=3000, extra_body={"ignore_eos": True})
    for _ in range(4):
        next(stream)
    stream.close()
    for _ in range(200):
        if counter(server, "carat_cancelled_total") > cancelled:
            break
        threading.Event().wait(0.05)
    assert counter(server, "carat_cancelled_total") == cancelled + 1
    again = ask(guessing, "Talk on and on.", extra_body={"ignore_eos": True})
    assert said(again) == said(ask(plain, "Talk on and on.", extra_body={"ignore_eos": True}))


def test_what_came_true_is_told(media_model, pad_assistant, plain):
    with serve(f"tiny={media_model}", "--assistant", pad_assistant, *OPTIONS) as server:
        options = {"temperature": 0, "logit_bias": {"0": 100}, "extra_body": {"ignore_eos": True, "loop_guard": False}}
        answer = ask(client_of(server), "Hi", **options)
        assert answer.usage.completion_tokens == 40
        timings = answer.model_extra["timings"]
        assert 0 < timings["draft_n_accepted"] == timings["draft_n"] < 40
        assert counter(server, "carat_accepted_guesses_total") == timings["draft_n"]
        while counter(server, "carat_sequences_running") > 0:  # figures are those of the last step
            threading.Event().wait(0.02)
        # A token a step, but for those that came true; the prompt's step gives the first.
        assert counter(server, "carat_steps_total") == 40 - timings["draft_n"]
    assert "draft_n" not in ask(plain, "Hi", max_tokens=4).model_extra["timings"]
