"""Pools of ready examples on disk: prompts and answers as ids, pictures as patches, speech as log-mel."""
import pickle
import random
from pathlib import Path

from tokenizers import Tokenizer

import features
from generators import arithmetic, drawings, reading, spoken, talk, tools
from prompts import render

TOKENIZER = Path(__file__).parent / "tokenizer.json"
TEXT = {"arithmetic": (arithmetic, 8), "talk": (talk, 3), "tools": (tools, 4)}


# Pictures: those with questions, and crowded ones for the small heads of the media stage alone.
PICTURES = {
    "drawings": drawings.make,
    "reading": lambda rng, held_out: reading.make(rng, held_out, rng.choices(("large", "small at 70"), (6, 1))[0]),
    "small print": lambda rng, held_out: reading.make(rng, held_out, "small at 280"),
    "crowds": lambda rng, _: drawings.make_crowd(rng),
    "pages": lambda rng, _: reading.make_page(rng),
}


def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(TOKENIZER))


def encode(sample, tokens: Tokenizer, soft: int = 0) -> tuple:
    """(prompt ids, answer ids); the placeholder of a picture or sound becomes its markers and `soft` tokens."""
    prompt = render(sample)
    for medium in ("image", "audio"):
        prompt = prompt.replace(f"<|{medium}|>", f"<|{medium}>" + f"<|{medium}|>" * soft + f"<{medium}|>")
    return (tokens.encode(prompt, add_special_tokens=False).ids,
            tokens.encode(sample.answer, add_special_tokens=False).ids)


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
    return {"kind": kind, "sample": sample, "prompt": prompt, "answer": answer, "medium": medium}


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
