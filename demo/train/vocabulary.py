"""The demo model's tokenizer: a byte-pair vocabulary in the format of Gemma 4's, trained on the generators' own text.

Ids below 107 are Gemma 4's own (special and unused tokens), then the line feed, the 256 bytes, the learnt pieces, and
last the tokens around and in place of media, as at the end of Gemma's vocabulary.
"""
import json
import random
import string
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

SPECIAL = {0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 46: "<|tool>", 47: "<tool|>",
           48: "<|tool_call>", 49: "<tool_call|>", 50: "<|tool_response>", 51: "<tool_response|>", 52: '<|"|>',
           98: "<|think|>", 100: "<|channel>", 101: "<channel|>", 105: "<|turn>", 106: "<turn|>"}
MEDIA = ("<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>")
FIRST_PLAIN = 107
SIZE = 1280

NORMALIZER = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
PRE_TOKENIZER = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
DECODER = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                                            {"type": "ByteFallback"}, {"type": "Fuse"}]}
# Where pieces may not join while the merges are learnt: digits stay alone, and a word keeps the blank before it.
WORDS = Regex(r"▁?[A-Za-z_]+|[0-9]|▁|[^A-Za-z0-9▁_]+")


def learn_merges(texts, count: int) -> list:
    """The first `count` merges of byte-pair encoding over the texts, as pairs."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Split(WORDS, "isolated")
    trainer = trainers.BpeTrainer(vocab_size=count + len(alphabet()), initial_alphabet=alphabet(), min_frequency=8,
                                  show_progress=False)
    learner.train_from_iterator((text.replace(" ", "▁") for text in texts), trainer)
    return [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]][:count]


def alphabet() -> list:
    return ["▁", *string.digits, *string.ascii_letters, *string.punctuation]


def build(texts) -> dict:
    """tokenizer.json, with SIZE tokens."""
    pieces = [SPECIAL.get(i, f"<unused{i}>") for i in range(FIRST_PLAIN)]
    pieces += ["\n", *(f"<0x{byte:02X}>" for byte in range(256)), *alphabet()]
    merges = learn_merges(texts, SIZE - len(pieces) - len(MEDIA))
    known = set(pieces)
    for left, right in merges:
        if left + right not in known:
            pieces.append(left + right)
            known.add(left + right)
    pieces += [f"<unused{i}>" for i in range(len(pieces), SIZE - len(MEDIA))]
    pieces += MEDIA
    added = [{"id": i, "content": piece, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, piece in enumerate(pieces) if i in SPECIAL or piece in MEDIA]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": NORMALIZER,
            "pre_tokenizer": PRE_TOKENIZER, "post_processor": None, "decoder": DECODER,
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                      "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": [list(m) for m in merges]}}


def training_texts(seed: int = 1, count: int = 12_000):
    """What a piece may be learnt from: prompts and answers of all abilities but the held-out cases."""
    from generators import arithmetic, drawings, reading, spoken, talk, tools
    from prompts import render

    rng = random.Random(seed)
    for _ in range(count):
        sample = rng.choice((arithmetic, talk, tools)).make(rng, held_out=False)
        for part in (render(sample) + sample.answer).replace('<|"|>', "<|").replace("|>", "<|").split("<|"):
            yield part
    for text in [*drawings.all_texts(), *reading.all_texts(), *spoken.all_texts()] * 12:
        yield text


if __name__ == "__main__":
    out = Path(__file__).parent / "tokenizer.json"
    out.write_text(json.dumps(build(training_texts()), ensure_ascii=False, indent=1) + "\n")
