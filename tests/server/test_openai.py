"""OpenAI's own client against the server."""

import base64
import io
import json
import math
import struct
import wave

import openai
import pytest

WEATHER = {"type": "function", "function": {
    "name": "weather", "description": "Tells the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
                   "required": ["city"]}}}


@pytest.fixture
def client(strict):
    return openai.OpenAI(base_url=f"{strict.url}/v1", api_key="none", max_retries=0)


def ask(client, text, **options):
    return client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": text}], **options)


def test_answers(client):
    answer = ask(client, "Hi")
    assert answer.object == "chat.completion" and answer.model == "scripted"
    assert answer.choices[0].message.content == "Hello there! How can I help you today?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer.usage.prompt_tokens_details.cached_tokens is not None


def test_streams(client):
    chunks = list(ask(client, "Hi", stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ask(client, "Hi").choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert not chunks[-1].choices and chunks[-1].usage.completion_tokens > 0
    assert len({(c.id, c.created, c.model) for c in chunks}) == 1


def test_thoughts_come_apart(client):
    message = ask(client, "ponder this").choices[0].message
    assert message.content == "The answer is 42."
    assert message.reasoning_content == "Let me see. It is simple."
    deltas = [c.choices[0].delta for c in ask(client, "ponder this", stream=True)]
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == "Let me see. It is simple."
    assert "".join(d.content or "" for d in deltas) == "The answer is 42."


def test_several_choices_limits_and_stops(client):
    answer = ask(client, "Hi", n=3, max_completion_tokens=2)
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert {c.finish_reason for c in answer.choices} == {"length"}
    stopped = ask(client, "Hi", stop=["can", "never"]).choices[0]
    assert stopped.message.content == "Hello there! How " and stopped.finish_reason == "stop"
    indices = {c.choices[0].index for c in ask(client, "Hi", n=2, stream=True)}
    assert indices == {0, 1}


def test_logprobs(client):
    content = ask(client, "Hi", logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert bytes(b for entry in content for b in entry.bytes).decode().startswith("Hello there!")
    assert all(entry.logprob <= 0 and len(entry.top_logprobs) == 2 for entry in content)
    chunks = [c.choices[0] for c in ask(client, "Hi", logprobs=True, stream=True)]
    assert "".join(c.delta.content or "" for c in chunks) == "Hello there! How can I help you today?"
    assert sum(len(c.logprobs.content) for c in chunks if c.logprobs) == len(content)


def test_tools_there_and_back(client):
    answer = ask(client, "the weather in Oslo", tools=[WEATHER])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    call = choice.message.tool_calls[0]
    assert call.type == "function" and json.loads(call.function.arguments) == {"city": "Oslo"}
    final = client.chat.completions.create(model="scripted", tools=[WEATHER], messages=[
        {"role": "user", "content": "the weather in Oslo"}, choice.message,
        {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}])
    assert final.choices[0].message.content == "It is 18 degrees in Oslo."


def test_parallel_tools_streamed(client):
    calls = {}
    for chunk in ask(client, "the weather in both cities", tools=[WEATHER], stream=True):
        for piece in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(piece.index, {"id": piece.id, "name": piece.function.name, "arguments": ""})
            call["arguments"] += piece.function.arguments
    assert [json.loads(c["arguments"]) for c in calls.values()] == [{"city": "Oslo"}, {"city": "Rome", "unit": "c"}]
    assert {c["name"] for c in calls.values()} == {"weather"} and len({c["id"] for c in calls.values()}) == 2


def test_stream_and_parse_helpers(client):
    with client.chat.completions.stream(model="scripted", messages=[{"role": "user", "content": "Hi"}]) as stream:
        assert stream.get_final_completion().choices[0].message.content.startswith("Hello")

    import pydantic

    class Person(pydantic.BaseModel):
        name: str
        age: int

    parsed = client.chat.completions.parse(model="scripted", response_format=Person,
                                           messages=[{"role": "user", "content": "a person as JSON"}])
    assert parsed.choices[0].message.parsed == Person(name="Ada", age=36)


def test_nothing_is_lost(client):
    message = ask(client, "a broken call").choices[0].message
    assert message.content == "Sorry." and message.unparsed == "<|tool_call>nonsense(<tool_call|>"


def test_completions(client):
    answer = client.completions.create(model="scripted", prompt=["Hi", "ponder"], max_tokens=20, n=2, echo=True)
    assert [c.index for c in answer.choices] == [0, 1, 2, 3]
    assert answer.choices[0].text.startswith("HiHello") and answer.choices[2].text.startswith("ponder")
    ids = client.completions.create(model="scripted", prompt=[72, 105], max_tokens=1, logprobs=1)
    assert len(ids.choices[0].logprobs.tokens) == 1
    scored = client.completions.create(model="scripted", prompt="Hi", max_tokens=0, echo=True, logprobs=1)
    lists = scored.choices[0].logprobs
    # The text's tokens, each after those before it; the start token, which the prompt has besides, is not shown.
    assert None not in lists.token_logprobs and len(lists.tokens) == scored.usage.prompt_tokens - 1
    assert scored.choices[0].text == "Hi" and scored.usage.completion_tokens == 0
    streamed = list(client.completions.create(model="scripted", prompt="Hi", max_tokens=50, stream=True))
    assert "".join(c.choices[0].text for c in streamed).startswith("Hello there!")
    assert client.completions.create(model="scripted", prompt="", max_tokens=3).choices[0].finish_reason == "length"


def test_responses(client):
    answer = client.responses.create(model="scripted", input="ponder this", instructions="Be brief.")
    assert answer.output_text == "The answer is 42." and answer.status == "completed"
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    events = list(client.responses.create(model="scripted", input=[{"role": "user", "content": "ponder this"}], stream=True))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert events[-1].response.output_text == "The answer is 42."
    tool = {"type": "function", **WEATHER["function"], "strict": False}
    call = client.responses.create(model="scripted", input="the weather in Oslo", tools=[tool]).output[0]
    assert call.type == "function_call" and json.loads(call.arguments) == {"city": "Oslo"}
    final = client.responses.create(model="scripted", tools=[tool], input=[
        {"role": "user", "content": "the weather in Oslo"}, call.model_dump(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "18"}])
    assert final.output_text == "It is 18 degrees in Oslo."
    cut = client.responses.create(model="scripted", input="Hi", max_output_tokens=2)
    assert cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens"


def recording(seconds):
    """A WAV file with a tone that pauses every five seconds."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        samples = (int(8000 * math.sin(i / 3)) if i % 40000 > 4000 else 0 for i in range(seconds * 8000))
        out.writeframes(struct.pack(f"<{seconds * 8000}h", *samples))
    return ("talk.wav", file.getvalue())


def test_recordings(client):
    def transcribe(seconds=1, **options):
        return client.audio.transcriptions.create(model="scripted", file=recording(seconds), **options)

    assert transcribe().text == "Hallo Welt."
    assert transcribe(language="de", response_format="text").strip() == "Hallo Welt."
    assert "00:00:00,000 --> 00:00:01,000\nHallo Welt." in transcribe(response_format="srt")
    assert transcribe(response_format="vtt").startswith("WEBVTT\n\n00:00:00.000 -->")
    long = transcribe(70, response_format="verbose_json")
    assert long.text == "Hallo Welt. Hallo Welt. Hallo Welt." and long.duration == 70
    assert [s.id for s in long.segments] == [0, 1, 2] and long.segments[0].end == long.segments[1].start
    events = list(transcribe(40, stream=True))
    assert "".join(e.delta for e in events if e.type == "transcript.text.delta") == events[-1].text == "Hallo Welt. Hallo Welt."
    assert client.audio.translations.create(model="scripted", file=recording(1)).text == "Hello world."
    for file, options in [(("x.wav", b"no sound"), {}), (recording(1), {"language": "x\ny"}),
                          (recording(1), {"extra_body": {"response_format": "mp3"}})]:
        with pytest.raises(openai.BadRequestError):
            client.audio.transcriptions.create(model="scripted", file=file, **options)


PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5Erk"
       "Jggg==")


def test_pictures_and_sound_in_a_chat(client):
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}}
    sound = {"type": "input_audio", "input_audio": {"data": base64.b64encode(recording(2)[1]).decode(), "format": "wav"}}
    answer = client.chat.completions.create(model="scripted", messages=[
        {"role": "user", "content": [image, {"type": "text", "text": "What is this?"}, sound]}])
    assert answer.choices[0].message.content.startswith("Hello")
    details = answer.usage.prompt_tokens_details
    assert details.image_tokens > 0 and details.audio_tokens > 0


def test_models(client):
    assert [m.id for m in client.models.list()] == ["scripted", "other:name/x"]
    assert client.models.retrieve("other:name/x").id == "other:name/x"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


@pytest.mark.parametrize("options, code, param", [
    ({"temperature": 3}, "invalid_value", "temperature"),
    ({"n": 1000}, "invalid_value", "n"),
    ({"top_logprobs": 21, "logprobs": True}, "invalid_value", "top_logprobs"),
    ({"stop": ["x"] * 17}, "invalid_value", "stop"),
    ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
    ({"tool_choice": {"type": "function", "function": {"name": "absent"}}, "tools": [WEATHER]}, "invalid_value", "tool_choice"),
    ({"logit_bias": {"x": 1}}, "invalid_value", "logit_bias"),
    ({"extra_body": {"top_k": "many"}}, "invalid_type", "top_k"),
    ({"extra_body": {"max_soft_tokens": 0}}, "invalid_value", "max_soft_tokens"),
])
def test_wrong_requests_are_named(client, options, code, param):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, "Hi", **options)
    assert caught.value.code == code and caught.value.param == param and param in caught.value.message


def test_other_errors(client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "Hi"}])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as long:
        ask(client, "long " * 20000)
    assert long.value.code == "context_length_exceeded" and "8192" in long.value.message
    with pytest.raises(openai.APIError, match="the script says so"):
        list(ask(client, "fail", stream=True))
    with pytest.raises(openai.InternalServerError):
        ask(client, "fail")
    with pytest.raises(openai.BadRequestError, match="data: URI"):
        image = {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}
        client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": [image]}])
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="scripted", input="Hi", previous_response_id="resp_1")


def test_embeddings(client):
    texts = ["wild yeast and flour", "flour and wild yeast", "Zebras run."]
    answer = client.embeddings.create(model="scripted", input=texts)
    vectors = [entry.embedding for entry in answer.data]
    assert [entry.index for entry in answer.data] == [0, 1, 2] and answer.usage.prompt_tokens > 40
    assert all(len(v) == 64 and abs(sum(x * x for x in v) - 1) < 1e-5 for v in vectors)
    alike, other = (sum(a * b for a, b in zip(vectors[0], v)) for v in vectors[1:])
    assert alike > 0.99 > other
    numbers = client.embeddings.create(model="scripted", input=texts[0], encoding_format="float").data[0].embedding
    assert numbers == pytest.approx(vectors[0], abs=1e-6)
    short = client.embeddings.create(model="scripted", input=texts[0], dimensions=8).data[0].embedding
    assert len(short) == 8 and abs(sum(x * x for x in short) - 1) < 1e-5
    ids = client.embeddings.create(model="scripted", input=[[2, 40, 41], [2]], encoding_format="float")
    assert len(ids.data) == 2
    many = client.embeddings.create(model="scripted", input=[f"text {i}" for i in range(600)])
    assert len(many.data) == 600 and many.data[599].embedding != many.data[0].embedding
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        client.embeddings.create(model="scripted", input="Hi", dimensions=65)
    with pytest.raises(openai.BadRequestError, match="8192"):
        client.embeddings.create(model="scripted", input="long " * 20000)


def test_echo_shows_the_text_and_nothing_else(client):
    lists = client.completions.create(model="scripted", prompt="Hi you", echo=True, logprobs=0, max_tokens=1).choices[0]
    assert lists.text.startswith("Hi you") and "".join(lists.logprobs.tokens) == lists.text
    assert lists.logprobs.text_offset[:3] == [0, 1, 2]
    assert all(isinstance(value, float) for value in lists.logprobs.token_logprobs)
    of_ids = client.completions.create(model="scripted", prompt=[2, 40], echo=True, logprobs=0, max_tokens=1).choices[0]
    assert of_ids.logprobs.token_logprobs[0] is None and len(of_ids.logprobs.tokens) == 3


def test_unknown_fields_are_passed_over(client):
    answer = ask(client, "Hi", metadata={"a": "b"}, user="me", extra_body={"quite": "unknown", "top_k": 40, "min_p": 0.1})
    assert answer.choices[0].finish_reason == "stop"


def test_media_that_is_none(client):
    data = base64.b64encode(b"no picture").decode()
    for part in ({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
                 {"type": "image_url", "image_url": {"url": f"data:image/png,{data}"}},
                 {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": [part]}])
