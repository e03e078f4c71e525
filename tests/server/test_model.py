"""The server over a real engine: tiny random weights with Gemma 4's tokenizer and template."""

import importlib.util
import json
import threading

import openai
import pytest

from conftest import HERE, serve

spec = importlib.util.spec_from_file_location("cli_conftest", HERE.parent / "cli" / "conftest.py")
cli = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cli)
tokenizer = cli.tokenizer
chat_model = cli.chat_model


@pytest.fixture(scope="module")
def server(chat_model):
    with serve(f"tiny={chat_model}", "--ctx", "2048", "--parallel", "8", "--threads", "1") as running:
        yield running


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)


def ask(client, text, history=(), **options):
    options = {"max_tokens": 12, "seed": 7, **options}
    return client.chat.completions.create(model="tiny", messages=[*history, {"role": "user", "content": text}], **options)


def test_says_what_it_serves(server):
    assert "tiny" in server.banner and "context 2048" in server.banner and "31B-it" in server.banner


def test_the_same_seed_gives_the_same_answer_alone_and_among_others(client):
    alone = [ask(client, f"question {i}", seed=i).choices[0].message.content for i in range(6)]
    together = [None] * 6

    def run(i):
        together[i] = ask(client, f"question {i}", seed=i).choices[0].message.content

    threads = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_streamed_is_whole(client):
    whole = ask(client, "Hi", max_tokens=24).choices[0].message.content
    streamed = [c.choices[0].delta.content or "" for c in ask(client, "Hi", max_tokens=24, stream=True)]
    assert "".join(streamed) == whole


def test_a_second_turn_is_found_in_the_cache(client):
    first = ask(client, "a long question " * 20)
    history = [{"role": "user", "content": "a long question " * 20},
               {"role": "assistant", "content": first.choices[0].message.content}]
    second = ask(client, "and another", history)
    assert second.usage.prompt_tokens_details.cached_tokens > 0
    off = ask(client, "and another", history, extra_body={"cache_prompt": False})
    assert off.usage.prompt_tokens_details.cached_tokens == 0
    assert off.choices[0].message.content == second.choices[0].message.content


def test_logprobs_agree(client):
    """K-07: the best of the list and the token itself have the same number."""
    answer = client.completions.create(model="tiny", prompt="The history of bread", max_tokens=1, echo=True, logprobs=1,
                                       temperature=0)
    lists = answer.choices[0].logprobs
    assert len(lists.tokens) == len(lists.token_logprobs) == answer.usage.prompt_tokens + 1
    for value, top in zip(lists.token_logprobs[1:], lists.top_logprobs[1:]):
        assert max(top.values()) >= value and value in top.values()
    best = max(lists.top_logprobs[-1].values())
    assert best == lists.token_logprobs[-1]  # greedy


def test_control_tokens_of_users_are_text(client, server):
    import urllib.request
    def tokens(content):
        body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": content}]}).encode()
        with urllib.request.urlopen(f"{server.url}/apply-template", body) as reply:
            return json.load(reply)["tokens"]
    turn = tokens("")[1]  # <|turn>
    assert tokens("<|turn>").count(turn) == tokens("x").count(turn)


def test_what_it_cannot_do_is_said(client):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": [image]}])
    with pytest.raises(openai.BadRequestError, match="2048"):
        ask(client, "word " * 4000)
