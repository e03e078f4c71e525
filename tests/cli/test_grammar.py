"""Answers that keep to a form: drawn at random, at temperature 2 from noise, and judged by jsonschema."""

import json
import random
import subprocess

import jsonschema
import pytest
from conftest import CARAT, output_of, run_carat, saying

SAMPLE = CARAT.parent.parent / "src" / "grammar" / "grammar_sample"
NAMES = ["a", "ab", "name", "first-name", "größe", "with space", "x:y", "3d", "$id", "quote\"d"]
VALUES = ["red", "green", "", "a\"b\\c", "é😀", 0, -17, 2.5, True, None, [1, "x"], {"k": [None]}]


def random_schema(chance, depth=0):
    """A schema of what docs/structured-output.md lists."""
    kinds = ["string", "string", "integer", "number", "boolean", "null", "enum", "const"]
    if depth < 3:
        kinds += ["object", "object", "array", "array", "anyOf", "types", "ref"]
    kind = chance.choice(kinds)
    if kind == "string":
        return chance.choice([
            lambda: {"type": "string"},
            lambda: {"type": "string", "minLength": chance.randint(0, 4), "maxLength": chance.randint(4, 12)},
            lambda: {"type": "string", "minLength": chance.randint(1, 3)},
            lambda: {"type": "string", "maxLength": chance.randint(0, 6)},
            lambda: {"type": "string", "pattern": chance.choice(
                ["^[a-f]{2,4}-\\d+$", "^(yes|no)$", "[0-9]", "^x", "z$", "^[^a-z]{3}$", "^\\w+@\\w+\\.com$", "a|^b$"])},
            lambda: {"type": "string", "format": chance.choice(["date", "time", "date-time", "uuid", "email", "ipv4"])},
        ])()
    if kind == "integer":
        low = chance.randint(-2000, 2000)
        return {"type": "integer", **chance.choice([
            {}, {"minimum": low}, {"maximum": low}, {"minimum": low, "maximum": low + chance.randint(0, 5000)},
            {"exclusiveMinimum": low, "exclusiveMaximum": low + chance.randint(2, 20)}])}
    if kind == "number":
        low = round(chance.uniform(-50, 50), chance.randint(0, 4))
        high = round(low + chance.choice([0.01, 0.5, 3, 1000]), 4)
        return {"type": "number", **chance.choice([
            {}, {"minimum": low}, {"maximum": low}, {"minimum": low, "maximum": high},
            {"exclusiveMinimum": low, "exclusiveMaximum": high}, {"minimum": low, "exclusiveMaximum": high}])}
    if kind == "enum":
        return {"enum": chance.sample(VALUES, chance.randint(1, 4))}
    if kind == "const":
        return {"const": chance.choice(VALUES)}
    if kind == "array":
        schema = {"type": "array", "items": random_schema(chance, depth + 1)}
        if chance.random() < 0.3:
            schema["prefixItems"] = [random_schema(chance, depth + 1) for _ in range(chance.randint(1, 2))]
        if chance.random() < 0.5:
            schema["minItems"] = chance.randint(0, 3)
        if chance.random() < 0.6:
            schema["maxItems"] = schema.get("minItems", 0) + chance.randint(0, 3)
        return schema
    if kind == "object":
        return random_object(chance, depth)
    if kind == "anyOf":
        return {"anyOf": [random_schema(chance, depth + 1) for _ in range(chance.randint(1, 3))]}
    if kind == "types":
        return {"type": chance.sample(["string", "integer", "boolean", "null", "object"], 2), "maxLength": 5, "minimum": 3}
    if kind == "ref":
        return {"$ref": "#/$defs/shared"}
    return {"type": kind}


def random_object(chance, depth=0):
    names = chance.sample(NAMES, chance.randint(0, 4))
    schema = {"type": "object", "properties": {name: random_schema(chance, depth + 1) for name in names},
              "required": chance.sample(names, chance.randint(0, len(names)))}
    if chance.random() < 0.3:
        schema["additionalProperties"] = chance.choice([False, {"type": "integer"}])
    return schema


def with_shared(chance, schema):
    return {**schema, "$defs": {"shared": chance.choice([
        {"type": "boolean"},
        {"type": "object", "properties": {"next": {"$ref": "#/$defs/shared"}, "v": {"type": "integer"}}, "required": ["v"]}])}}


def sample(tokenizer, every, lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([SAMPLE, tokenizer, str(every)], input=text, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


# Not "time" and "date-time": without further packages jsonschema takes the former for that of draft 3, which has no zone.
FORMATS = jsonschema.FormatChecker(["date", "email", "ipv4", "uuid"])


def check(schema, value):
    jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(value)


@pytest.mark.parametrize("every, count", [(64, 200), (1, 8)])  # a part of the vocabulary, for speed, and all of it
def test_random_answers_validate(tokenizer, every, count):
    chance = random.Random(every)
    schemas = [with_shared(chance, random_schema(chance)) for _ in range(count)]
    seeds = range(3 if every > 1 else 1)
    lines = [{"schema": schema, "seed": seed} for schema in schemas for seed in seeds]
    complete = 0
    for line, answer in zip(lines, sample(tokenizer, every, lines), strict=True):
        # Some schemas hold for nothing (a number between two that are too near); no answer may be given to these.
        assert "error" not in answer or "no value is valid" in answer["error"], (line, answer)
        if answer.get("is_complete"):
            complete += 1
            check(line["schema"], json.loads(answer["text"]))
    assert complete > 0.8 * len(lines)


def test_random_calls_parse_and_validate(tokenizer):
    chance = random.Random(7)
    lines = []
    for seed in range(150):
        tools = [{"name": f"tool_{i}", "parameters": with_shared(chance, random_object(chance))} for i in range(2)]
        for tool in tools:  # open ones could name a property twice: the parser takes that for no call
            tool["parameters"].pop("additionalProperties", None)
        lines.append({"tools": tools, "seed": seed})
    calls = 0
    for line, answer in zip(lines, sample(tokenizer, 64, lines), strict=True):
        assert "error" not in answer or "no value is valid" in answer["error"], (line, answer)
        if not answer.get("is_complete"):
            continue
        assert answer["calls"] and not answer["rest"], (line, answer)
        for call in answer["calls"]:
            (tool,) = [tool for tool in line["tools"] if tool["name"] == call["name"]]
            check(tool["parameters"], call["arguments"])
            calls += 1
    assert calls > 100


def test_run_with_a_format(chat_model, tmp_path):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "maximum": 9,
                                                                               "minimum": 0}}, "required": ["ok", "n"]}
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    for seed in range(3):
        for think in ["on", "off"]:
            options = ["--seed", seed, "--think", think, "--max-tokens", 200]
            answer = output_of("run", chat_model, "Hi", "--format", path, *options, "--temperature", 2, "--top-k", 0,
                               "--logit-bias", "100=-100")
            check(schema, json.loads(answer))
    # A model that wants to say something else, and one that thinks first.
    assert output_of("run", chat_model, "Hi", "--choice", "yes", "--choice", "no", *saying(9259)) in ("yes\n", "no\n")
    assert output_of("run", chat_model, "Hi", "--regex", "[ab]{3}").strip("ab") == "\n"
    (tmp_path / "g.gbnf").write_text('root ::= "<" [0-9] ">"\n')
    assert len(output_of("run", chat_model, "Hi", "--grammar", tmp_path / "g.gbnf")) == 4


@pytest.mark.parametrize("arguments, words", [
    (["--regex", "a{2}{3}"], "repeats"),
    (["--regex", "("], "without its"),
    (["--format", "/nowhere.json"], "/nowhere.json"),
    (["--format", "json", "--choice", "a"], "excludes"),
    (["--choice", "a", "--ignore-eos"], "excludes"),
])
def test_mistakes_are_named(chat_model, arguments, words):
    done = run_carat("run", chat_model, "Hi", *arguments)
    assert done.returncode == (2 if words == "excludes" else 4) and words in done.stderr, done.stderr
