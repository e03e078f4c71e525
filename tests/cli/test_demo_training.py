"""What the demo model is trained on (demo/train): right answers, held-out cases kept apart, carat's own formats.

The training itself needs PyTorch and is not run here.
"""

import json
import random
import sys

import pytest

from conftest import TESTS, json_lines

TRAIN = TESTS.parent / "demo" / "train"
TOKENIZER = TRAIN / "tokenizer.json"
sys.path.insert(0, str(TRAIN))

from generators import arithmetic, drawings, reading, spoken, talk, tools  # noqa: E402
from generators.sample import is_held_out  # noqa: E402

TEXT = (arithmetic, talk, tools)


def samples(generator, count, held_out, seed=3):
    rng = random.Random(seed)
    return [generator.make(rng, held_out) for _ in range(count)]


def last_question(sample):
    return next(m["content"] for m in reversed(sample.messages) if m["role"] == "user")


def request(sample):
    return {"messages": sample.messages, "tools": sample.tools,
            "options": {"add_generation_prompt": True, "enable_thinking": sample.thinking}}


def case_of(sample):
    """What makes two samples the same case: the numbers of a sum, otherwise the words of the question."""
    question = last_question(sample)
    is_sum = "sums" in sample.ability or sample.ability == "thinking"
    return "".join(c if c.isdigit() else " " for c in question).split() if is_sum else question


@pytest.mark.parametrize("generator", TEXT, ids=lambda g: g.__name__)
def test_held_out_cases_are_never_trained(generator):
    trained = [case_of(s) for s in samples(generator, 3000, False)]
    tested = [case_of(s) for s in samples(generator, 300, True)]
    assert not [case for case in tested if case in trained]


def test_steps_of_a_sum_lead_to_its_result():
    for a in range(100):
        for b in range(100):
            tens, ones = arithmetic.steps(a, b).splitlines()[-1].split(" and ")
            assert 10 * int(tens) + int(ones) == a + b


def test_carat_reads_the_calls_that_are_taught():
    taught = [s for held_out in (False, True) for s in samples(tools, 100, held_out) if s.ability == "tool calls"]
    parsed = json_lines("parse", TOKENIZER, lines=[{"prefix": "", "output": s.answer} for s in taught])
    for sample, answer in zip(taught, parsed):
        (call,) = answer["tool_calls"]
        declared = {tool["function"]["name"]: tool["function"]["parameters"] for tool in sample.tools}
        assert set(call["arguments"]) == set(declared[call["name"]]["required"])
        for name, value in call["arguments"].items():
            kind = declared[call["name"]]["properties"][name]["type"]
            assert isinstance(value, {"string": str, "integer": int}[kind])
            assert str(value) in last_question(sample)  # nothing is to be guessed


def test_carat_renders_and_tokenizes_what_is_taught():
    taught = [s for generator in TEXT for s in samples(generator, 40, False)]
    rendered = json_lines("render", TOKENIZER, lines=[request(s) for s in taught])
    texts = [prompt["text"] + s.answer for prompt, s in zip(rendered, taught)]
    ids = json_lines("tokenize", TOKENIZER,
                     lines=[{"text": text.removeprefix("<bos>"), "bos": True, "special": True} for text in texts])
    vocab = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]
    bytes_and_unknown = {vocab["<unk>"], *range(vocab["<0x00>"], vocab["<0xFF>"] + 1)}
    for prompt, line in zip(rendered, ids):
        assert line["ids"][:len(prompt["ids"])] == prompt["ids"]
        assert not bytes_and_unknown & set(line["ids"])  # every letter is a piece
    back = json_lines("detokenize", TOKENIZER, lines=[{"ids": line["ids"][1:], "special": True} for line in ids])
    assert [line["text"] for line in back] == [text.removeprefix("<bos>") for text in texts]


def test_tokens_have_the_places_of_the_family():
    ours = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]["vocab"]
    assert sorted(ours.values()) == list(range(len(ours)))
    family = json.loads((TESTS / "golden" / "tokenizer" / "specials.json").read_text(encoding="utf-8"))
    for token in family:
        if token["id"] < 107:  # behind it the pieces begin; media tokens come last in both
            assert ours[token["text"]] == token["id"]
    media = [token["text"] for token in family if token["id"] > 107]
    assert sorted(media, key=ours.get) == list(ours)[-len(media):] == media


def test_pictures_show_what_is_said_of_them():
    rng = random.Random(4)
    for _ in range(40):
        sample, image = drawings.make(rng, held_out=False)
        for (shape, colour, _), (x, y, radius) in zip(sample.tags["things"], sample.tags["places"]):
            seen = image.getpixel((round(x), round(y)))
            assert min(drawings.COLOURS, key=lambda name: distance(drawings.COLOURS[name], seen)) == colour
            assert radius < min(x, y, image.width - x, image.height - y)  # wholly inside


def distance(a, b):
    return sum((p - q) ** 2 for p, q in zip(a, b))


def test_questions_about_pictures_have_the_right_answers():
    things = [("star", "red", (0, 0)), ("circle", "blue", (2, 1)), ("circle", "green", (1, 2))]
    rng, answers = random.Random(5), {}
    for _ in range(400):
        _, question, answer = drawings.question_about(rng, things)
        answers.setdefault(question, set()).add(answer)
    assert all(len(found) == 1 for found in answers.values())
    assert answers["Describe the picture."] == {"A red star, a blue circle and a green circle."}
    assert answers["Count the circles."] == {"Two."} and answers["Count the stars."] == {"One."}
    assert answers["What colour is the star?"] == {"Red."}
    assert answers["Where is the star?"] == {"Top left."}
    assert not any("colour is the circle" in question for question in answers)  # there are two


def test_which_of_two_is_left_is_told_by_where_they_are():
    rng, answers = random.Random(6), {}
    for _ in range(200):
        _, question, answer = drawings.question_about(rng, [("star", "red", (0, 0)), ("circle", "blue", (2, 1))])
        answers[question] = answer
    assert answers["Is the star left or right of the circle?"] == "Star top left, circle middle right: left."
    assert answers["On which side of the star is the circle?"] == "Circle middle right, star top left: right."


def test_a_talk_about_a_picture_stays_with_its_things():
    rng = random.Random(8)
    for _ in range(20):
        sample, _ = drawings.make(rng, held_out=False, questions=3)
        possible = {q: a for _, q, a in (drawings.question_about(rng, sample.tags["things"]) for _ in range(300))}
        first = sample.messages[0]["content"][1]["text"]
        for question, answer in [(first, sample.answer), *sample.more]:
            assert possible[question] + "<turn|>" == answer


def test_held_out_rows_of_digits_are_never_spoken_in_training():
    rng = random.Random(6)
    cases = {spoken.draw_text(rng)[0] for _ in range(3000)}
    held_out = {case for case in cases if "," in case and is_held_out(case)}
    assert 0.05 < len(held_out) / len(cases) < 0.2
    assert not set(spoken.VOICES) & set(spoken.UNSEEN_VOICES)


def test_lines_are_asked_for_by_their_numbers():
    rng, lines = random.Random(9), ["7211", "exit", "09"]
    answers = {}
    for _ in range(60):
        sample = reading.ask_about_lines(rng, {"lines": lines}, 4, 70)
        first = sample.messages[0]["content"][1]["text"]
        turns = [(question, answer.removesuffix("<turn|>")) for question, answer in [(first, sample.answer), *sample.more]]
        answers |= dict(turns)
        told = [line for _, answer in turns for line in answer.split("\n")]
        assert sorted(told) == sorted(lines), "each line is read once, and none copied from an earlier answer"
    assert answers["Read the first line."] == "7211" and answers["What is the third line?"] == "09"
    assert answers["What does it say?"] == "7211\nexit\n09"
    assert "Read the fourth line." not in answers
