"""Anthropic's own client against the server."""

import anthropic
import pytest

WEATHER = {"name": "weather", "description": "Tells the weather",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


@pytest.fixture
def client(strict):
    return anthropic.Anthropic(base_url=strict.url, api_key="none", max_retries=0)


def ask(client, text, **options):
    return client.messages.create(model="scripted", max_tokens=100, messages=[{"role": "user", "content": text}], **options)


def test_answers(client):
    answer = ask(client, "Hi", system="Be kind.")
    assert answer.content[0].text == "Hello there! How can I help you today?"
    assert answer.stop_reason == "end_turn" and answer.usage.output_tokens > 0
    stopped = ask(client, "Hi", stop_sequences=["can"])
    assert stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == "can"
    cut = client.messages.create(model="scripted", max_tokens=2, messages=[{"role": "user", "content": "Hi"}])
    assert cut.stop_reason == "max_tokens"


def test_thinking(client):
    answer = ask(client, "ponder", thinking={"type": "enabled", "budget_tokens": 1024})
    assert [b.type for b in answer.content] == ["thinking", "text"]
    assert answer.content[0].thinking == "Let me see. It is simple."


def test_streams(client):
    with client.messages.stream(model="scripted", max_tokens=100,
                                messages=[{"role": "user", "content": "ponder"}]) as stream:
        events = [event.type for event in stream]
        final = stream.get_final_message()
    assert final.content[0].thinking == "Let me see. It is simple." and final.content[1].text == "The answer is 42."
    assert final.stop_reason == "end_turn" and events[0] == "message_start" and events[-1] == "message_stop"


def test_tools(client):
    answer = ask(client, "the weather in both cities", tools=[WEATHER])
    uses = [b for b in answer.content if b.type == "tool_use"]
    assert answer.stop_reason == "tool_use" and [u.input["city"] for u in uses] == ["Oslo", "Rome"]
    results = [{"type": "tool_result", "tool_use_id": u.id, "content": "18"} for u in uses]
    final = client.messages.create(model="scripted", max_tokens=100, tools=[WEATHER], messages=[
        {"role": "user", "content": "the weather in both cities"}, {"role": "assistant", "content": answer.content},
        {"role": "user", "content": results}])
    assert final.content[0].text == "It is 18 degrees in Oslo."
    with client.messages.stream(model="scripted", max_tokens=100, tools=[WEATHER],
                                messages=[{"role": "user", "content": "the weather in Oslo"}]) as stream:
        assert stream.get_final_message().content[0].input == {"city": "Oslo"}


def test_counts_tokens(client):
    few = client.messages.count_tokens(model="scripted", messages=[{"role": "user", "content": "Hi"}])
    more = client.messages.count_tokens(model="scripted", messages=[{"role": "user", "content": "Hi there"}])
    assert 0 < few.input_tokens < more.input_tokens


def test_models_and_errors(client):
    assert [m.id for m in client.models.list()] == ["scripted", "other:name/x"]
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="claude", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.messages.create(model="scripted", max_tokens=0, messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(anthropic.APIError, match="the script says so"):
        with client.messages.stream(model="scripted", max_tokens=9, messages=[{"role": "user", "content": "fail"}]) as s:
            s.get_final_message()
