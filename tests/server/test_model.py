"""The server over a real engine: tiny random weights with Gemma 4's tokenizer and template."""

import importlib.util
import json
import re
import shutil
import threading
import time

import httpx
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
    with serve(f"tiny={chat_model}", "--ctx", "8192", "--parallel", "64", "--kv-budget", "192", "--threads", "1") as running:
        yield running


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)


def ask(client, text, history=(), **options):
    options = {"max_tokens": 12, "seed": 7, **options}
    return client.chat.completions.create(model="tiny", messages=[*history, {"role": "user", "content": text}], **options)


def test_says_what_it_serves(server):
    assert "tiny" in server.banner and "context 8192" in server.banner and "at most 192 MiB" in server.banner and "31B-it" in server.banner


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


WINDOW = 16  # of the tiny model's sliding layers


def long_history():
    turns = []
    for i in range(20):
        turns += [{"role": "user", "content": f"Question {i}: " + "what else is there to say? " * 14},
                  {"role": "assistant", "content": f"Answer {i}: " + "this, that and more. " * 14}]
    return turns


def test_a_second_turn_over_4000_tokens_computes_a_window_and_what_is_new(client):
    history = [*long_history(), {"role": "user", "content": "So?"}]
    first = ask(client, "And?", long_history()).usage
    assert first.prompt_tokens >= 4000
    again = [*long_history(), {"role": "user", "content": "And?"}, {"role": "assistant", "content": "Nothing."}]
    second = ask(client, "Why?", again).usage
    assert second.prompt_tokens_details.cached_tokens >= first.prompt_tokens - WINDOW
    # Another question in place of the last: all that is before it is there.
    other = ask(client, history[-1]["content"], long_history()).usage
    assert other.prompt_tokens_details.cached_tokens >= first.prompt_tokens - 20 - WINDOW


def test_thoughts_that_are_cut_cost_a_window(client):
    start = [*long_history(), {"role": "user", "content": "What is the weather?"}]
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    thought = {"role": "assistant", "content": "", "reasoning_content": "I should look. " * 40, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"}
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}

    def usage(messages):
        return client.chat.completions.create(model="tiny", messages=messages, tools=[tool], max_tokens=1).usage

    before = usage(start)
    with_thought = usage([*start, thought, result])
    assert with_thought.prompt_tokens > before.prompt_tokens + 100  # within a turn, the thought is kept
    after = usage([*start, thought, result, {"role": "assistant", "content": "18 degrees."},
                   {"role": "user", "content": "And tomorrow?"}])
    assert after.prompt_tokens < with_thought.prompt_tokens
    assert after.prompt_tokens_details.cached_tokens >= before.prompt_tokens - WINDOW - 8  # 8: how the answer's turn opens


def test_64_streams_at_once_stay_within_the_budget(client, server):
    import urllib.request
    budget = int(re.search(r"at most (\d+) MiB", server.banner)[1]) << 20
    ended, most = [], 0

    def run(i):
        *_, last = ask(client, f"question {i} " * 50, seed=i, max_tokens=8, stream=True)
        ended.append(last.choices[0].finish_reason)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(64)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with urllib.request.urlopen(f"{server.url}/metrics") as reply:
            held = re.search(rb"^carat_kv_bytes\S* (\S+)", reply.read(), re.MULTILINE)
        most = max(most, float(held[1]))
        threads[0].join(0.05)
        time.sleep(0.05)
    assert len(ended) == 64 and set(ended) <= {"stop", "length"}
    assert 0 < most <= budget


def test_embeddings_of_a_model(client):
    vectors = [e.embedding for e in client.embeddings.create(model="tiny", input=["Bread", "Bread", "Stone"]).data]
    assert len(vectors[0]) == 64 and vectors[0] == vectors[1] != vectors[2]


def test_logprobs_agree(client):
    """K-07: the best of the list and the token itself have the same number."""
    answer = client.completions.create(model="tiny", prompt="The history of bread", max_tokens=1, echo=True, logprobs=1,
                                       temperature=0)
    lists = answer.choices[0].logprobs
    # The prompt without its start token, and one more.
    assert len(lists.tokens) == len(lists.token_logprobs) == answer.usage.prompt_tokens
    for value, top in zip(lists.token_logprobs, lists.top_logprobs):
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
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    for part, lack in [(image, "can't see"), (sound, "can't hear")]:
        with pytest.raises(openai.BadRequestError, match=lack):
            client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": [part]}])
    with pytest.raises(openai.BadRequestError, match="can't hear"):
        client.audio.transcriptions.create(model="tiny", file=cli.GOLDEN / "media" / "audio" / "short.wav")
    with pytest.raises(openai.BadRequestError, match="8192"):
        ask(client, "word " * 9000)


def test_a_model_that_is_gone_or_broken_says_so_without_its_path(chat_model, tmp_path):
    """The operator's log tells where it lay; a client has no use for that."""
    folder, log = tmp_path / "models", tmp_path / "log"
    for name in ("kept", "gone", "broken"):
        shutil.copytree(chat_model, folder / name)
    named = [f"{name}={folder / name}" for name in ("kept", "gone", "broken")]
    with log.open("w") as file, serve(*named, "--ctx", "512", "--threads", "1", log=file) as running:
        shutil.rmtree(folder / "gone")
        (folder / "broken" / "config.json").write_text("{}")
        for name, status in (("gone", 404), ("broken", 500)):
            chat = {"model": name, "messages": [{"role": "user", "content": "Hi"}]}
            for path, body in (("/api/show", {"model": name}), ("/api/chat", chat), ("/v1/chat/completions", chat)):
                answer = httpx.post(running.url + path, json=body, timeout=60)
                assert answer.status_code == status and f"'{name}'" in answer.text, (path, answer.text)
                assert str(tmp_path) not in answer.text
    assert str(folder / "gone") in log.read_text()
