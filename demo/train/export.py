"""Writes what was trained as a Hugging Face folder, which `carat convert` and `carat run` read.

    python export.py --work FOLDER --out MODEL_FOLDER [--stage all]
    python export.py --work FOLDER --media [--stage all]

The second call writes media.safetensors instead, which training on another machine goes on from, beside the model itself:
the heads, and of the towers what is not in demo/model/demo.gguf.
"""
import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import model as models
import pools
from from_gguf import read_weights
from prompts import TEMPLATE
from train import DEMO, MEDIA, OF_HEADS, is_tower

VOCAB_STOPS = ("<eos>", "<turn|>", "<|tool_response>")


def load_checkpoint(work: Path, stage: str) -> dict:
    path = work / f"{stage}.pt"
    if not path.exists():
        sys.exit(f"export: no {path}. Train that stage first (train.py --stage {stage}), or name another with --stage.")
    return torch.load(path, map_location="cpu", weights_only=True)


def export(work: Path, out: Path, stage: str = "all") -> None:
    vocab = json.loads(pools.TOKENIZER.read_text())["model"]["vocab"]
    model = models.create(vocab)
    state = load_checkpoint(work, stage)
    model.load_state_dict(state["model"])
    models.finish_clipping(model)
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)
    shutil.copyfile(pools.TOKENIZER, out / "tokenizer.json")
    shutil.copyfile(TEMPLATE, out / "chat_template.jinja")
    generation = {"bos_token_id": vocab["<bos>"], "eos_token_id": [vocab[stop] for stop in VOCAB_STOPS],
                  "pad_token_id": vocab["<pad>"], "do_sample": True, "temperature": 1.0, "top_k": 64, "top_p": 0.95}
    (out / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")


def export_media(work: Path, stage: str) -> None:
    state, demo = load_checkpoint(work, stage), read_weights(DEMO)
    weights = {OF_HEADS + name: value.half() for name, value in state["heads"].items()}
    for name, value in state["model"].items():
        if is_tower(name) and name in demo and not torch.equal(value.half(), demo[name].half()):
            weights[name] = value.half()
    save_file(weights, MEDIA)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path)
    target.add_argument("--media", action="store_true", help="write media.safetensors")
    parser.add_argument("--stage", default="all", help="whose checkpoint")
    arguments = parser.parse_args()
    if arguments.media:
        export_media(arguments.work, arguments.stage)
    else:
        export(arguments.work, arguments.out, arguments.stage)
