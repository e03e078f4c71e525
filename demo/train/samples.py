"""Makes demo/samples: pictures and sounds of held-out cases, and samples.json, which says what is asked of each and the
right answer. scripts/demo shows them; the tests run them all.

    python samples.py [--seed N] [--carat PROGRAM --model GGUF]

With a program and a model, cases are drawn until the model gets those of each group right: the samples show what works,
and how often it does is for evaluate.py to say. Without, the first held-out case of each is taken.
"""
import argparse
import json
import os
import random
import subprocess
import tempfile
from pathlib import Path

from evaluate import write_wave
from generators import arithmetic, drawings, reading, spoken, talk, tools
from generators.sample import TURN_END, is_held_out, pick_case

FOLDER = Path(__file__).resolve().parents[1] / "samples"
TOOLS = FOLDER.parent / "tools"
ATTEMPTS = 60


def shapes(rng):
    """A scene of three different shapes, and all five kinds of questions about it."""
    def draw(rng):
        things = drawings.scene(rng, 3)
        return "scene " + repr(things), things

    while True:
        things = pick_case(rng, True, draw)
        if len({thing[0] for thing in things}) == 3 and len({thing[2][0] for thing in things}) > 1:
            break
    answers = {}
    for _ in range(500):  # a question has one right answer
        ability, question, answer = drawings.question_about(rng, things)
        answers[question] = (ability, answer)
    names = [thing[0] for thing in things]
    a, b = next((a, b) for a in things for b in things if a[2][0] != b[2][0])
    missing = next(shape for shape in drawings.SHAPES if shape not in names)
    asked = ("What is in the picture?", f"What colour is the {names[0]}?", f"Where is the {names[1]}?",
             f"Is the {a[0]} left or right of the {b[0]}?", f"Count the {names[2]}s.", f"Count the {missing}s.")
    cases = [{"file": "shapes.png", "budget": 70, "ability": answers[question][0], "question": question,
              "answer": answers[question][1]} for question in asked if question in answers]
    return cases, {"shapes.png": drawings.draw(rng, things)[0]}


def page(rng, kind: str, name: str, budgets: dict):
    """A printed number, read at each of the budgets: {budget: kind of generators/reading.py}."""
    state = rng.getstate()
    cases = []
    for budget, kind in budgets.items():
        rng.setstate(state)  # the same page
        sample, image = reading.make(rng, True, kind)
        cases.append({"file": name, "budget": budget, "ability": sample.ability, "question": "What is printed here?",
                      "answer": sample.answer.removesuffix(TURN_END)})
    return cases, {name: image}


def large_print(rng):
    return page(rng, "large", "print-large.png", {70: "large"})


def small_print(rng):
    return page(rng, "small", "print-small.png", {280: "small at 280", 70: "small at 70"})


def speech(rng, ability: str, name: str):
    while True:
        sample, samples = spoken.make(rng, True)
        if sample.ability == ability and (ability != "spoken digits" or len(sample.answer.split()) == 4):
            break
    case = {"file": name, "ability": ability, "question": spoken.QUESTIONS[0],
            "answer": sample.answer.removesuffix(TURN_END)}
    return [case], {name: samples}


def digits(rng):
    return speech(rng, "spoken digits", "digits.wav")


def number(rng):
    return speech(rng, "spoken numbers", "number.wav")


def command(rng):
    return speech(rng, "spoken commands", "command.wav")


def sum_with_carry(rng):
    while True:
        a, b = rng.randrange(10, 100), rng.randrange(10, 100)
        if is_held_out(f"sum {a} {b}") and a % 10 + b % 10 > 9:
            break
    return [{"ability": "thinking", "think": True, "question": arithmetic.QUESTIONS[0].format(a=a, b=b),
             "answer": str(a + b)}], {}


def fact(rng):
    """A fact asked in a wording that was not trained."""
    asked = [(talk.OPENINGS[0].format(name), answer) for names, answer in talk.FACTS for name in names]
    question, answer = rng.choice([pair for pair in asked if is_held_out(f"fact {pair[0]}")])
    return [{"ability": "facts", "question": question, "answer": answer}], {}


def tool_answers(rng):
    """The tools of demo/tools, which are run: by a clock that was stopped, and with no notes yet."""
    epoch = rng.randrange(1_700_000_000, 1_800_000_000)
    cases = []
    for name, key, values in (("get_time", "city", tools.CITIES), ("add_note", "text", tools.NOTES)):
        ways, answer = tools.TOOLS[name][2], tools.TOOLS[name][4]
        asked = [(way.format(**{key: value}), value) for way in ways for value in values]
        # There are few notes: it may be that none of them is held out.
        question, value = rng.choice([pair for pair in asked if is_held_out(f"tool {pair[0]}")] or asked)
        with tempfile.TemporaryDirectory() as state:
            env = os.environ | {"SOURCE_DATE_EPOCH": str(epoch), "XDG_STATE_HOME": state}
            done = subprocess.run(["python3", TOOLS / f"{name}.py"], input=json.dumps({key: value}), check=True,
                                  capture_output=True, text=True, env=env)
        result = done.stdout.strip()
        told = dict([result.split(": ", 1)])
        cases.append({"ability": "tool answers", "tools": True, "question": question, "epoch": epoch,
                      "call": {"name": name, "arguments": {key: value}}, "result": result,
                      "answer": answer.format(**{key: value}, **told)})
    return cases, {}


GROUPS = (shapes, large_print, small_print, digits, number, command, sum_with_carry, fact, tool_answers)


def write(name: str, content) -> None:
    if name.endswith(".wav"):
        write_wave(FOLDER / name, content)
    else:
        content.save(FOLDER / name, optimize=True)


def arguments_of(case: dict) -> list:
    """Of `carat run MODEL`."""
    arguments = [case["question"], "--temperature", "0"]
    if case.get("think"):
        arguments += ["--think", "on"]
    if "file" in case:
        path = str(FOLDER / case["file"])
        arguments += ["--audio", path] if path.endswith(".wav") else ["--image", path, "--budget", str(case["budget"])]
    if case.get("tools"):
        arguments += ["--tools", str(TOOLS / "tools.json"), "--yes"]
    return arguments


def is_right(program: str, model: str, case: dict) -> bool:
    with tempfile.TemporaryDirectory() as state:
        env = os.environ | {"SOURCE_DATE_EPOCH": str(case.get("epoch", 0)), "XDG_STATE_HOME": state}
        command = [Path(program).absolute(), "run", Path(model).absolute(), *arguments_of(case)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env,
                              cwd=FOLDER.parents[1])
    if done.returncode != 0 and not case.get("tools"):  # a wrong call of a tool is an error as well
        raise SystemExit(done.stderr)
    return done.stdout.strip() == case["answer"]


def draw_group(draw, seed: int, program: str | None, model: str | None) -> list:
    for attempt in range(ATTEMPTS):
        cases, files = draw(random.Random(f"{draw.__name__} {seed} {attempt}"))
        for name, content in files.items():
            write(name, content)
        if program is None or all(is_right(program, model, case) for case in cases):
            print(f"{draw.__name__}: the case of attempt {attempt + 1}")
            return cases
    raise SystemExit(f"{draw.__name__}: none of {ATTEMPTS} cases is answered rightly")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--carat", help="the program")
    parser.add_argument("--model", help="the model that has to get the samples right")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    cases = [case for draw in GROUPS for case in draw_group(draw, arguments.seed, arguments.carat, arguments.model)]
    lines = ",\n ".join(json.dumps(case) for case in cases)
    (FOLDER / "samples.json").write_text(f"[{lines}]\n")


if __name__ == "__main__":
    main()
