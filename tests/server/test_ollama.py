"""Ollama's own client against the server."""

import ollama
import pytest


@pytest.fixture
def client(strict):
    return ollama.Client(host=strict.url)


def test_models(client):
    assert [m.model for m in client.list().models] == ["scripted", ]
    assert client.ps().models[0].model == "scripted" and client.ps().models[0].context_length == 8192
    shown = client.show("scripted")
    assert "completion" in shown.capabilities and "tools" in shown.capabilities and shown.template
    with pytest.raises(ollama.ResponseError) as missing:
        client.show("absent")
    assert missing.value.status_code == 404 and "absent" in missing.value.error


def test_chat(client):
    answer = client.chat("scripted", [{"role": "user", "content": "Hi"}])
    assert answer.message.content == "Hello there! How can I help you today?"
    assert answer.done and answer.done_reason == "stop" and answer.eval_count > 0 and answer.prompt_eval_count > 0
    parts = list(client.chat("scripted:latest", [{"role": "user", "content": "Hi"}], stream=True))
    assert "".join(p.message.content for p in parts) == answer.message.content
    assert [p.done for p in parts] == [False] * (len(parts) - 1) + [True]


def test_thinking(client):
    answer = client.chat("scripted", [{"role": "user", "content": "ponder"}], think=True)
    assert answer.message.thinking == "Let me see. It is simple." and answer.message.content == "The answer is 42."


def weather(city: str) -> str:
    """Tells the weather.

    Args:
      city: which city
    """
    return f"18 degrees in {city}"


def test_tools(client):
    question = [{"role": "user", "content": "the weather in Oslo"}]
    answer = client.chat("scripted", question, tools=[weather])
    call = answer.message.tool_calls[0].function
    assert call.name == "weather" and call.arguments == {"city": "Oslo"}
    result = {"role": "tool", "tool_name": "weather", "content": weather(**call.arguments)}
    final = client.chat("scripted", [*question, answer.message, result], tools=[weather])
    assert final.message.content == "It is 18 degrees in Oslo."
    streamed = [p.message.tool_calls for p in client.chat("scripted", question, tools=[weather], stream=True)]
    assert [calls[0].function.arguments for calls in streamed if calls] == [{"city": "Oslo"}]


def test_generate(client):
    answer = client.generate("scripted", "Hi", system="Be kind.", options={"num_predict": 2, "temperature": 0})
    assert answer.response.startswith("Hello") and answer.done_reason == "length"
    parts = list(client.generate("scripted", "Hi", stream=True))
    assert "".join(p.response for p in parts) == "Hello there! How can I help you today?"
    assert client.generate("scripted", "Hi", raw=True).response
    person = client.generate("scripted", "a person as JSON", format={"type": "object"})
    assert person.response.startswith("{")


def test_loading_and_unloading(start):
    from conftest import SCRIPT
    with start("--engine", f"script:{SCRIPT}") as server:
        client = ollama.Client(host=server.url)
        assert client.generate("scripted", "").done_reason == "load"
        assert client.chat("scripted", [], keep_alive=0).done_reason == "unload"
        assert client.ps().models == []
        assert client.generate("scripted", "Hi", keep_alive="5m").done


def test_what_is_off(client):
    for call in (lambda: client.pull("other"), lambda: client.delete("scripted")):
        with pytest.raises(ollama.ResponseError) as refused:
            call()
        assert refused.value.status_code == 403


def test_embed(client):
    answer = client.embed("scripted", ["Hi", "Hi"], keep_alive="5m")
    assert len(answer.embeddings) == 2 and answer.embeddings[0] == answer.embeddings[1] and answer.prompt_eval_count > 0
    assert len(client.embed("scripted", "Hi", dimensions=4).embeddings[0]) == 4
    assert client.embed("scripted", "long " * 20000).prompt_eval_count == 8191  # cut to the context
    with pytest.raises(ollama.ResponseError, match="8192"):
        client.embed("scripted", "long " * 20000, truncate=False)
    assert list(client.embeddings("scripted", "Hi").embedding) == pytest.approx(list(answer.embeddings[0]))


def test_errors_in_a_stream(client):
    with pytest.raises(ollama.ResponseError, match="the script says so"):
        list(client.chat("scripted", [{"role": "user", "content": "fail"}], stream=True))
