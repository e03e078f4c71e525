"""A question with its answer, as all generators make them."""
import random
import zlib
from dataclasses import dataclass, field
from pathlib import Path

TURN_END = "<turn|>"
HELD_OUT_SHARE = 10  # one case in so many is never trained on


@dataclass(frozen=True)
class Sample:
    ability: str  # the row of the accuracy table that it counts for
    messages: list  # what the chat template takes; the answer comes behind them
    answer: str  # what the model has to write, the token that ends it included
    tools: list | None = None
    thinking: bool = False
    budget: int = 70  # soft tokens of the picture
    image: Path | None = None
    sound: Path | None = None
    expected: str = ""  # the part of the answer that counts, where not all of it does
    more: list = field(default_factory=list)  # further turns of the same talk: [(question, answer)]
    tags: dict = field(default_factory=dict)  # what the small heads of pre-training are told


def is_held_out(case: str) -> bool:
    """Whether a case belongs to the evaluation. By its own text, so that no run can mix the two sets."""
    return zlib.crc32(case.encode()) % HELD_OUT_SHARE == 0


def pick_case(rng: random.Random, held_out: bool, draw):
    """Draws (case, value) until the case is of the wanted set; returns the value."""
    while True:
        case, value = draw(rng)
        if is_held_out(case) == held_out:
            return value


def ask(text: str) -> list:
    return [{"role": "user", "content": text}]


def ask_about_picture(text: str) -> list:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]


def talk_about_picture(ability: str, turns: list, budget: int, tags: dict) -> Sample:
    """A talk of one or more turns about one picture: [(question, answer)]."""
    (question, answer), *more = [(question, answer + TURN_END) for question, answer in turns]
    return Sample(ability, ask_about_picture(question), answer, budget=budget, tags=tags, more=more)
