"""The demo model (demo/model) behind the server: it sees, hears, thinks, calls tools and keeps to a form, for clients.

demo/samples/samples.json says what is asked of each sample and the right answer.
"""

import base64
import json
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import ollama
import openai
import pytest

from conftest import HERE, serve

TOP = HERE.parents[1]
SAMPLES = TOP / "demo" / "samples"
CASES = json.loads((SAMPLES / "samples.json").read_text())
MODEL = TOP / "demo" / "model" / "demo.gguf"
TOOLS = [{"type": "function", "function": {key: tool[key] for key in ("name", "description", "parameters")}}
         for tool in json.loads((TOP / "demo" / "tools" / "tools.json").read_text())]
pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="NOTICE: demo/model/demo.gguf is not in this tree")


@pytest.fixture(scope="module")
def server():
    with serve("demo", "--ctx", "1024", "--threads", "2", cwd=TOP) as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)


def content_of(case):
    """A user's message as OpenAI's clients send it."""
    text = {"type": "text", "text": case["question"]}
    if "file" not in case:
        return case["question"]
    data = base64.b64encode((SAMPLES / case["file"]).read_bytes()).decode()
    if case["file"].endswith(".wav"):
        return [text, {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]
    return [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"},
             "max_soft_tokens": case["budget"]}, text]


def options_of(case):
    options = {"temperature": 0, "extra_body": {"chat_template_kwargs": {"enable_thinking": bool(case.get("think"))}}}
    return options | ({"tools": TOOLS} if case.get("tools") else {})


def ask(client, case, **more):
    return client.chat.completions.create(model="demo", messages=[{"role": "user", "content": content_of(case)}],
                                          **options_of(case), **more)


def of_ability(name):
    return next(case for case in CASES if case["ability"] == name)


WITHOUT_TOOLS = [case for case in CASES if not case.get("tools")]


def named(case):
    return f"{case['ability']}: {case['question']}"


def test_is_served_by_its_name(client, server):
    assert [model.id for model in client.models.list()] == ["demo"]
    assert re.search(r"model +demo \(template", server.banner)


@pytest.mark.parametrize("case", WITHOUT_TOOLS, ids=named)
def test_samples_are_answered_rightly(client, case):
    choice = ask(client, case).choices[0]
    assert choice.message.content.strip() == case["answer"] and choice.finish_reason == "stop"
    assert bool(getattr(choice.message, "reasoning_content", None)) == bool(case.get("think"))


def test_all_at_once(client):
    """Pictures, sounds and texts in one batch say what each says alone."""
    with ThreadPoolExecutor(len(WITHOUT_TOOLS)) as pool:
        answers = list(pool.map(lambda case: ask(client, case).choices[0].message.content.strip(), WITHOUT_TOOLS))
    assert answers == [case["answer"] for case in WITHOUT_TOOLS]


@pytest.mark.parametrize("case", WITHOUT_TOOLS, ids=named)
def test_streamed_is_whole(client, case):
    chunks = [chunk for chunk in ask(client, case, stream=True, stream_options={"include_usage": True})]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas).strip() == case["answer"]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert ("carry" in thought) == bool(case.get("think"))
    assert chunks[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("case", [case for case in CASES if case.get("tools")], ids=named)
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
def test_tools_there_and_back(client, case, is_streaming):
    messages = [{"role": "user", "content": case["question"]}]
    if is_streaming:
        with client.chat.completions.stream(model="demo", messages=messages, **options_of(case)) as stream:
            choice = stream.get_final_completion().choices[0]
    else:
        choice = ask(client, case).choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (case["call"]["name"], case["call"]["arguments"])
    asked = {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": {
        "name": call.function.name, "arguments": call.function.arguments}}]}
    final = client.chat.completions.create(model="demo", messages=[
        *messages, asked, {"role": "tool", "tool_call_id": call.id, "content": case["result"]}], **options_of(case))
    assert final.choices[0].message.content.strip() == case["answer"] and final.choices[0].finish_reason == "stop"


def test_an_answer_is_held_to_a_schema(client):
    """The form is kept, and the model still reads what is printed."""
    case = of_ability("small print at 280")
    schema = {"type": "object", "properties": {"printed": {"type": "string", "pattern": "^[0-9]{4}$"}},
              "required": ["printed"], "additionalProperties": False}
    answer = ask(client, case, response_format={"type": "json_schema", "json_schema": {
        "name": "reading", "schema": schema, "strict": True}}, max_tokens=64).choices[0].message.content
    read = json.loads(answer)
    assert list(read) == ["printed"] and re.fullmatch("[0-9]{4}", read["printed"])


def test_an_answer_is_held_to_choices_and_patterns(client):
    case = next(case for case in CASES if case["ability"] == "places" and ":" not in case["answer"])
    places = [f"{row} {column}." for row in ("Top", "Middle", "Bottom") for column in ("left", "middle", "right")]
    chosen = ask(client, case, response_format={"type": "choice", "choices": places})
    assert chosen.choices[0].message.content == case["answer"]
    printed = of_ability("small print at 280")
    held = ask(client, printed, response_format={"type": "regex", "regex": "[0-9]{4}"})
    assert held.choices[0].message.content == printed["answer"]


def test_transcriptions(client):
    case = of_ability("spoken digits")
    with open(SAMPLES / case["file"], "rb") as file:
        told = client.audio.transcriptions.create(model="demo", file=file, language="en", temperature=0)
    assert told.text.strip() == case["answer"]


def test_a_conversation_goes_on_after_a_picture(client):
    """The picture's tokens are found in the cache again, and are still looked at."""
    first, second = [case for case in CASES if case.get("file") == "shapes.png"][:2]
    messages = [{"role": "user", "content": content_of(first)}]
    one = client.chat.completions.create(model="demo", messages=messages, **options_of(first))
    messages += [{"role": "assistant", "content": one.choices[0].message.content},
                 {"role": "user", "content": second["question"]}]
    two = client.chat.completions.create(model="demo", messages=messages, **options_of(second))
    assert two.usage.prompt_tokens_details.cached_tokens > 64
    apart = client.chat.completions.create(model="demo", messages=messages, temperature=0,
                                           extra_body={"cache_prompt": False})
    assert apart.choices[0].message.content == two.choices[0].message.content


def test_ollama_and_anthropic_give_the_same_answers(server):
    case = of_ability("shapes and colours")
    data = (SAMPLES / case["file"]).read_bytes()
    theirs = ollama.Client(server.url).chat(model="demo", options={"temperature": 0}, messages=[
        {"role": "user", "content": case["question"], "images": [data]}])
    assert theirs.message.content.strip() == case["answer"]
    body = {"model": "demo", "max_tokens": 64, "temperature": 0, "messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                     "data": base64.b64encode(data).decode()}},
        {"type": "text", "text": case["question"]}]}]}
    request = urllib.request.Request(f"{server.url}/v1/messages", json.dumps(body).encode(),
                                     {"Content-Type": "application/json", "anthropic-version": "2023-06-01"})
    with urllib.request.urlopen(request, timeout=120) as response:
        (block,) = json.load(response)["content"]
    assert block["text"].strip() == case["answer"]


def test_the_page_and_what_it_sends(server):
    """The page's parts are there, and a request as it makes them (a picture without a budget) is answered."""
    front = urllib.request.Request(server.url + "/", headers={"Accept": "text/html"})
    with urllib.request.urlopen(front, timeout=30) as response:
        page = response.read().decode()
    parts = set(re.findall(r'(?:src|href)="(/web/[^"]+)"', page))
    assert "/web/app.js" in parts
    for part in parts:
        with urllib.request.urlopen(server.url + part, timeout=30) as response:
            assert response.status == 200 and response.read()
    case = of_ability("places")
    image, text = content_of(case)
    image.pop("max_soft_tokens")
    body = {"model": "demo", "messages": [{"role": "user", "content": [image, text]}], "stream": True, "temperature": 0,
            "stream_options": {"include_usage": True}, "chat_template_kwargs": {"enable_thinking": False}}
    request = urllib.request.Request(f"{server.url}/v1/chat/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json", "Origin": server.url})
    with urllib.request.urlopen(request, timeout=120) as response:
        events = [json.loads(line[6:]) for line in response.read().decode().splitlines()
                  if line.startswith("data: {")]
    said = "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    assert said.strip() == case["answer"]


def test_the_store_offers_it_too():
    """Without a model on the command line all that is here can be asked for, and this one always is."""
    with serve("--ctx", "512") as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0, timeout=120)
        assert "demo" in [model.id for model in client.models.list()]
        case = of_ability("thinking")
        assert ask(client, case).choices[0].message.content.strip() == case["answer"]
