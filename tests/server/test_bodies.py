"""S-20: anything may stand at any place of a request's body; it is answered or refused, never with 500."""

import base64
import copy
import http.client
import json

import pytest

from conftest import HERE

MEDIA = HERE.parent / "golden" / "media"
PNG = base64.b64encode((MEDIA / "images" / "tiny.png").read_bytes()).decode()
WAV = base64.b64encode((MEDIA / "audio" / "short.wav").read_bytes()).decode()
URL = "data:image/png;base64," + PNG
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FUNCTION = {"name": "f", "description": "d", "strict": False, "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
USER = [{"role": "user", "content": "hi"}]

# A body that is answered with 200, for each form of what a place may hold.
BODIES = [
    ("/v1/chat/completions", {
        "max_tokens": 2, "n": 1, "stop": ["x"], "stream": False, "logit_bias": {"5": 1}, "logprobs": True, "top_logprobs": 1,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s"}]},
            {"role": "user", "name": "u", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": "x", "refusal": None, "reasoning_content": "r", "reasoning": "r",
             "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "x"}, {"role": "user", "content": "hi"}],
        "tools": [TOOL], "functions": [{"name": "g"}], "function_call": "auto", "response_format": {"type": "text"},
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {
            "mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}},
        "chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low", "parallel_tool_calls": True}),
    ("/v1/chat/completions", {
        "max_tokens": 2, "messages": USER, "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ("/v1/chat/completions", {
        "max_tokens": 2, "messages": USER,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}}),
    ("/v1/chat/completions", {"max_tokens": 2, "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": URL, "detail": "low", "max_soft_tokens": 70}, "max_soft_tokens": 70}]}]}),
    ("/v1/chat/completions", {"max_tokens": 2, "messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}]}]}),
    ("/v1/completions", {
        "max_tokens": 2, "prompt": ["hi", "ho"], "stop": "x", "echo": True, "logprobs": 1, "n": 1, "suffix": None,
        "response_format": {"type": "choice", "choices": ["a"]}, "logit_bias": {"5": 1}}),
    ("/v1/completions", {"max_tokens": 2, "prompt": [[2, 3], [2, 4]]}),
    ("/v1/responses", {
        "max_output_tokens": 16, "instructions": "i",
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": URL, "detail": "low"},
                {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}],
             "content": [{"type": "reasoning_text", "text": "x"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "x"}]},
            {"role": "user", "content": "x"}],
        "tools": [{"type": "function", **FUNCTION}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "text"}, "verbosity": "low"}, "reasoning": {"effort": "low", "summary": "auto"},
        "metadata": {"a": "b"}, "top_logprobs": 1, "parallel_tool_calls": True}),
    ("/v1/responses", {"max_output_tokens": 16, "input": "x", "text": {
        "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}}),
    ("/v1/messages", {
        "max_tokens": 2, "system": [{"type": "text", "text": "s"}], "stop_sequences": ["x"],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "x"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": "b"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "is_error": False, "content": [{"type": "text", "text": "x"}]}]}],
        "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}], "metadata": {"user_id": "u"},
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}}),
    ("/v1/messages", {"max_tokens": 2, "messages": USER, "thinking": {"type": "disabled"},
                      "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"}}),
    ("/api/chat", {
        "stream": False, "think": False, "keep_alive": "5m", "logprobs": True, "top_logprobs": 1, "tools": [TOOL],
        "options": {"num_predict": 2, "stop": ["x"], "num_ctx": 512, "temperature": 0},
        "messages": [
            {"role": "system", "content": "s"}, {"role": "user", "content": "x", "images": [PNG]},
            {"role": "assistant", "content": "", "thinking": "t",
             "tool_calls": [{"function": {"name": "f", "arguments": {"a": "b"}}}]},
            {"role": "tool", "tool_name": "f", "content": "ok"}]}),
    ("/api/chat", {"stream": False, "messages": USER, "format": SCHEMA, "options": {"num_predict": 2}}),
    ("/api/generate", {"stream": False, "prompt": "x", "system": "s", "images": [PNG], "think": "low", "format": "json",
                       "raw": False, "options": {"num_predict": 2, "stop": ["x"]}}),
    ("/v1/embeddings", {"input": ["a", "b"], "dimensions": 8, "encoding_format": "float"}),
    ("/api/embed", {"input": ["a"], "truncate": True, "options": {"num_ctx": 4}}),
    ("/api/embeddings", {"prompt": "a"}),
    ("/tokenize", {"content": "x", "add_special": True}),
    ("/detokenize", {"tokens": [1, 2]}),
    ("/apply-template", {"messages": USER}),
    ("/api/show", {"verbose": True}),
]
MISSING = object()
VALUES = [MISSING, None, "x", "", [1], ["x"], [[]], [{}], [{"type": "x"}], {}, {"5": "x"}, {"type": "x"}, 2**63, -5, 1.5, True]


def places(value, place=()):
    yield place
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*place, key))


def with_value(body, place, value):
    if not place:
        return value
    body = copy.deepcopy(body)
    holder = body
    for key in place[:-1]:
        holder = holder[key]
    if value is MISSING:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return body


# Fields of one interface are unknown to another: read there or passed over.
FIELDS = ["temperature", "top_p", "min_p", "top_k", "repeat_penalty", "presence_penalty", "frequency_penalty", "repeat_last_n",
          "seed", "logit_bias", "stop", "stop_sequences", "min_tokens", "ignore_eos", "loop_guard", "cache_prompt",
          "cache_salt", "chat_template_kwargs", "reasoning_effort", "thinking_budget", "num_predict", "num_ctx"]


@pytest.fixture
def ask(strict):
    connection = http.client.HTTPConnection("127.0.0.1", strict.port, timeout=30)

    def post(path, body):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()

    yield post
    connection.close()


EVERY_BODY = pytest.mark.parametrize("path,body", [(path, {"model": "scripted", **body}) for path, body in BODIES],
                                     ids=[f"{i}{path}" for i, (path, _) in enumerate(BODIES)])


@EVERY_BODY
def test_anything_may_stand_anywhere(ask, path, body):
    status, text = ask(path, body)
    assert status == 200, text
    for place in places(body):
        for value in VALUES if place else VALUES[1:]:
            status, text = ask(path, with_value(body, place, value))
            assert status in (200, 400, 404), (place, value, text)


@EVERY_BODY
def test_fields_of_other_interfaces(ask, path, body):
    for field in FIELDS:
        for value in [*VALUES[1:], 2**32 + 5]:
            for place in [(field,), ("options", field)] if "options" in body else [(field,)]:
                status, text = ask(path, with_value(body, place, value))
                assert status in (200, 400), (place, value, text)
