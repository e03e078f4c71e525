"""Accuracy on held-out cases, by transformers and by carat, and how often the two write the same tokens.

    python evaluate.py --model MODEL_FOLDER [--carat PROGRAM [--carat-model GGUF]] [--count N] [--json F]

Greedy answers to `count` held-out cases of each kind (text, drawings, reading, spoken). An answer is right if it is
the expected one to the letter; of a thought only the result behind it counts. carat gets the pictures and sounds as
files and makes patches and log-mel itself: differences there show as well.
"""
import argparse
import json
import random
import subprocess
import tempfile
import wave
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from transformers import Gemma4ForConditionalGeneration

import features
import pools
from generators import drawings, reading, spoken

MAX_TOKENS = 96
STOPS = ("<eos>", "<turn|>", "<|tool_response>")
KINDS = ("text", "drawings", "reading", "spoken")


def held_out(kind: str, count: int, seed: int, folder: Path):
    """Examples with their pictures and sounds as files as well: (example, arguments for carat)."""
    rng, tokens = random.Random(f"{kind} {seed} True"), pools.tokenizer()
    for i in range(count):
        if kind == "text":
            yield pools.make_example(kind, rng, tokens, True), []
            continue
        if kind == "spoken":
            sample, samples = spoken.make(rng, True)
            path = folder / f"{kind}{i}.wav"
            samples = write_wave(path, samples)
            medium, arguments = features.sound(samples), ["--audio", str(path)]
        else:
            sample, image = reading_case(rng, i) if kind == "reading" else drawings.make(rng, True)
            path = folder / f"{kind}{i}.png"
            image.save(path)
            medium, arguments = features.picture(image, sample.budget), ["--image", str(path), "--budget",
                                                                         str(sample.budget)]
        prompt, answer = pools.encode(sample, tokens, medium[2])
        yield {"kind": kind, "sample": sample, "prompt": prompt, "answer": answer, "medium": medium}, arguments


def reading_case(rng, i: int):
    return reading.make(rng, True, ("large", "small at 280", "small at 70")[i % 3])


def write_wave(path: Path, samples: np.ndarray) -> np.ndarray:
    """Writes 16 bits a sample; returns what a reader of the file gets."""
    levels = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, spoken.RATE, 0, "NONE", "not compressed"))
        file.writeframes(levels.tobytes())
    return levels.astype(np.float64) / 32768


@torch.no_grad()
def answer_by_transformers(model, example: dict, stops: set) -> tuple:
    """(greedy answer, for each of its tokens how far its logit is above the second best)."""
    medium = example["medium"]
    media = {} if medium is None else (features.stack_sounds([medium]) if example["kind"] == "spoken"
                                       else features.stack_pictures([medium]))
    ids = torch.tensor([example["prompt"]])
    out = model(input_ids=ids, **media, use_cache=True)
    answer, gaps = [], []
    while len(answer) < MAX_TOKENS:
        best = out.logits[0, -1].topk(2)
        token = int(best.indices[0])
        answer.append(token)
        gaps.append(float(best.values[0] - best.values[1]))
        if token in stops:
            break
        out = model(input_ids=torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
    return answer, gaps


def answer_by_carat(program: str, model: str, example: dict, media: list, folder: Path, stops: set) -> list:
    ids = folder / "ids.json"
    ids.write_text(json.dumps(example["prompt"]))
    command = [program, "debug", "generate", model, "--tokens", str(ids), "--max-tokens", str(MAX_TOKENS), *media]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for i, token in enumerate(answer):
        if token in stops:
            return answer[: i + 1]
    return answer


def is_right(tokens, sample, answer: list) -> bool:
    text = tokens.decode(answer, skip_special_tokens=False)
    if sample.thinking:
        text = text.rpartition("<channel|>")[2]
    wanted = sample.expected or sample.answer.removesuffix("<turn|>")
    return text.removesuffix("<turn|>").removesuffix("<|tool_response>") == wanted


def evaluate(arguments) -> dict:
    torch.set_num_threads(arguments.threads)
    model = Gemma4ForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokens = pools.tokenizer()
    stops = {tokens.token_to_id(stop) for stop in STOPS}
    right, theirs, same = defaultdict(list), defaultdict(list), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in arguments.kinds.split(","):
            for example, media in held_out(kind, arguments.count, arguments.seed, folder):
                answer, gaps = answer_by_transformers(model, example, stops)
                ability = example["sample"].ability
                right[ability].append(is_right(tokens, example["sample"], answer))
                if arguments.show and not right[ability][-1]:
                    print(ability, "|", tokens.decode(answer, skip_special_tokens=False), "| expected |",
                          example["sample"].answer)
                if arguments.carat:
                    other = answer_by_carat(arguments.carat, arguments.carat_model or arguments.model, example, media,
                                            folder, stops)
                    theirs[ability].append(is_right(tokens, example["sample"], other))
                    same.append(answer == other)
                    if answer != other:
                        at = next((i for i, (a, b) in enumerate(zip(answer, other)) if a != b), 0)
                        print(f"{ability}: differs at token {at}, where the best two logits are {gaps[at]:.4f} apart")
    table = {ability: {"cases": len(r), "transformers": sum(r) / len(r),
                       **({"carat": sum(theirs[ability]) / len(r)} if arguments.carat else {})}
             for ability, r in right.items()}
    return {"accuracy": table, **({"same_tokens": sum(same) / len(same)} if same else {})}


def print_table(result: dict) -> None:
    print("| ability | cases | transformers | carat |\n|---|---|---|---|")
    for ability, row in sorted(result["accuracy"].items()):
        carat = f"{100 * row['carat']:.1f} %" if "carat" in row else "not run"
        print(f"| {ability} | {row['cases']} | {100 * row['transformers']:.1f} % | {carat} |")
    if "same_tokens" in result:
        print(f"\nThe same tokens from both in {100 * result['same_tokens']:.1f} % of all cases.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder that export.py wrote")
    parser.add_argument("--carat", help="the program, to be compared with transformers")
    parser.add_argument("--carat-model", help="what carat runs, if not the same folder: a GGUF file")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--count", type=int, default=200, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="print the wrong answers")
    parser.add_argument("--json", type=Path, help="write the result there")
    arguments = parser.parse_args()
    result = evaluate(arguments)
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
