"""Pools of ready examples on disk: prompts and answers as ids, pictures as patches, speech as log-mel."""
import pickle
import random
from pathlib import Path

from tokenizers import Tokenizer

import features
from generators import arithmetic, drawings, reading, spoken, talk, tools
from generators.sample import Sample, ask
from prompts import render

TOKENIZER = Path(__file__).parent / "tokenizer.json"
TEXT = {"arithmetic": (arithmetic, 8), "talk": (talk, 3), "tools": (tools, 4)}


QUESTIONS = 6  # about a picture, in training: they cost little beside its soft tokens
# Pictures: those with questions, and crowded ones for the small heads of the media stage alone.
PICTURES = {
    "drawings": lambda rng, held_out: drawings.make(rng, held_out, 1 if held_out else QUESTIONS),
    "large drawings": lambda rng, held_out: drawings.make(rng, held_out, 1 if held_out else QUESTIONS, budget=280),
    "reading": lambda rng, held_out: reading.make(rng, held_out, rng.choices(("large", "small at 70"), (6, 1))[0]),
    "small print": lambda rng, held_out: reading.make(rng, held_out, "small at 280"),
    "lines": lambda rng, _: reading.make_lines(rng, QUESTIONS),
    "large lines": lambda rng, _: reading.make_lines(rng, QUESTIONS, budget=280),
    "crowds": lambda rng, _: drawings.make_crowd(rng),
    "large crowds": lambda rng, _: drawings.make_crowd(rng, budget=280),
    "pages": lambda rng, _: reading.make_page(rng),
    "large pages": lambda rng, _: reading.make_page(rng, budget=280),
}
# Those that more can be asked about.
ASK_AGAIN = {"drawings": drawings.ask_about, "large drawings": drawings.ask_about,
             "lines": reading.ask_about_lines, "large lines": reading.ask_about_lines}


def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(TOKENIZER))


def encode(sample, tokens: Tokenizer, soft: int = 0) -> tuple:
    """(prompt ids, answer ids); the placeholder of a picture or sound becomes its markers and `soft` tokens."""
    prompt = render(sample)
    for medium in ("image", "audio"):
        prompt = prompt.replace(f"<|{medium}|>", f"<|{medium}>" + f"<|{medium}|>" * soft + f"<{medium}|>")
    return (tokens.encode(prompt, add_special_tokens=False).ids,
            tokens.encode(sample.answer, add_special_tokens=False).ids)


def encode_more(sample, tokens: Tokenizer) -> tuple:
    """Further turns of a talk: (ids, which of them are the model's)."""
    ids, learnt = [], []
    for question, answer in sample.more:
        asked = "\n" + render(Sample("", ask(question), "")).removeprefix("<bos>")
        for text, is_answer in ((asked, False), (answer, True)):
            more = tokens.encode(text, add_special_tokens=False).ids
            ids += more
            learnt += [is_answer] * len(more)
    return ids, learnt


def make_example(kind: str, rng, tokens, held_out: bool) -> dict:
    if kind == "text":
        generator = rng.choices([g for g, _ in TEXT.values()], [share for _, share in TEXT.values()])[0]
        sample, medium, soft = generator.make(rng, held_out), None, 0
    elif kind == "spoken":
        sample, samples = spoken.make(rng, held_out)
        medium = features.sound(samples)
        soft = medium[2]
    else:
        sample, image = PICTURES[kind](rng, held_out)
        medium = features.picture(image, sample.budget)
        soft = medium[2]
    prompt, answer = encode(sample, tokens, soft) if sample.messages else ([0] * soft, [])
    more, learnt = encode_more(sample, tokens)
    return {"kind": kind, "sample": sample, "prompt": prompt, "answer": answer + more,
            "learnt": [True] * len(answer) + learnt, "medium": medium}


def ask_again(example: dict, rng, tokens) -> None:
    """Gives an example new questions, where its picture allows any, so that no answer is learnt by heart. What is known
    of the picture stays."""
    if example["kind"] not in ASK_AGAIN:
        return
    old = example["sample"]
    sample = ASK_AGAIN[example["kind"]](rng, old.tags, QUESTIONS, old.budget)
    prompt, answer = encode(sample, tokens, example["medium"][2])
    more, learnt = encode_more(sample, tokens)
    example.update({"sample": sample, "prompt": prompt, "answer": answer + more, "learnt": [True] * len(answer) + learnt})


def move_on_page(example: dict, rng) -> None:
    """Lets a full page at 70 stand for a part of one at 280, another each time. Print is as large on both, and a part
    costs the tower a tenth of the whole: attention is most of its work, and grows with the square of the patches."""
    if example["kind"] == "pages":
        spare = (features.MAX_BUDGET_SIDE[280] - features.MAX_BUDGET_SIDE[70]) // features.PATCH  # patches
        example["corner"] = tuple(rng.randrange(0, spare + 1, features.POOL) for _ in range(2))


def load_or_make(folder: Path, kind: str, count: int, seed: int, held_out: bool = False) -> list:
    """`count` examples of a kind: text, spoken, or one of PICTURES. The same seed makes the same."""
    path = folder / f"{kind}-{'test' if held_out else 'train'}-{seed}-{count}.pickle"
    if path.exists():
        with path.open("rb") as file:
            return pickle.load(file)
    rng, tokens = random.Random(f"{kind} {seed} {held_out}"), tokenizer()
    examples = [make_example(kind, rng, tokens, held_out) for _ in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        pickle.dump(examples, file, protocol=pickle.HIGHEST_PROTOCOL)
    part.rename(path)
    return examples
