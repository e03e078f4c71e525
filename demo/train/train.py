"""Trains the demo model, and goes on where an earlier run stopped.

    python train.py --work FOLDER [--stage text|media|bind|all] [--minutes N] [--threads N] [--device cpu|cuda]

FOLDER keeps the pools of examples and a checkpoint for each stage: text.pt, media.pt, bind.pt and all.pt. Stages:

- text: the text model without media.
- media: the towers, with small heads that are told what every soft token shows or says. It shares no weights with text:
  the two may run side by side.
- bind: the text model of text.pt learns to use what the finished towers of media.pt tell. Their soft tokens are computed
  once and kept, so that its steps become as fast as those of text.
- all: everything together, beginning with bind.pt.

Without checkpoints, a stage goes on from the demo model itself, demo/model/demo.gguf, and media.safetensors, which holds
the heads and what towers have learnt since; --afresh begins with random weights instead.
"""
import argparse
import json
import random
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import features
import heads
import model as models
import pools
from from_gguf import read_weights
from muon import Muon

POOL_SIZES = {"text": 40_000, "drawings": 8_000, "large drawings": 1_200, "reading": 5_000, "lines": 5_000,
              "large lines": 4_000, "small print": 4_000, "spoken": 4_000, "crowds": 4_000, "large crowds": 1_500,
              "pages": 10_000, "large pages": 1_500}
# Of the decoder, padding included.
BATCH_TOKENS = {"text": 2_600, "drawings": 2_400, "large drawings": 1_600, "reading": 1_600, "lines": 2_400,
                "large lines": 2_400, "small print": 1_600, "spoken": 2_000, "crowds": 1_024, "large crowds": 1_024,
                "pages": 1_024, "large pages": 1_024}
DEMO = Path(__file__).parents[1] / "model" / "demo.gguf"
MEDIA = Path(__file__).parent / "media.safetensors"  # heads, and towers that were trained after DEMO was written
OF_HEADS = "heads."  # begins the names of the heads' weights there
SHARES = {"text": {"text": 1}, "media": {"crowds": 2, "large crowds": 1, "pages": 10, "large pages": 1, "spoken": 2},
          "bind": {"text": 4, "drawings": 4, "large drawings": 1, "reading": 2, "lines": 6, "large lines": 8,
                   "small print": 4, "spoken": 1},
          "all": {"text": 2, "drawings": 3, "large drawings": 1, "reading": 1, "lines": 1, "large lines": 1,
                  "small print": 2, "spoken": 1}}
PEAK_RATE, WARM_UP, MIN_RATE = 3e-3, 100, 3e-5
MUON_FACTOR = 2.5  # Muon's rate is that many times AdamW's


def batches(examples: list, rng: random.Random, max_tokens: int):
    """Endless batches of examples of like length, in random order."""
    while True:
        order = sorted(examples, key=lambda e: len(e["prompt"]) + len(e["answer"]) + rng.random() * 8)
        groups, group, longest = [], [], 0
        for example in order:
            longest = max(longest, len(example["prompt"]) + len(example["answer"]))
            same = not group or (group[0]["sample"].budget == example["sample"].budget)
            if group and (longest * (len(group) + 1) > max_tokens or not same):
                groups.append(group)
                group, longest = [], len(example["prompt"]) + len(example["answer"])
            group.append(example)
        groups.append(group)
        rng.shuffle(groups)
        yield from groups


def stack(examples: list) -> tuple:
    """(arguments of the model, labels [batch, tokens] with -100 where nothing is to be learnt)."""
    length = max(len(e["prompt"]) + len(e["answer"]) for e in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    labels = torch.full((len(examples), length), -100)
    for i, e in enumerate(examples):
        row, first = torch.tensor(e["prompt"] + e["answer"]), len(e["prompt"])
        ids[i, : len(row)] = row
        labels[i, first : len(row)] = torch.where(torch.tensor(e["learnt"], dtype=torch.bool), row[first:], -100)
    return ids, labels


def media_of(examples: list) -> dict:
    media = [e["medium"] for e in examples]
    if media[0] is None:
        return {}
    if "soft" in examples[0]:  # the towers need not look again: whatever stands here is not read
        names = ("input_features", "input_features_mask") if is_spoken(examples) else ("pixel_values",)
        return dict.fromkeys(names, torch.empty(0))
    if is_spoken(examples):
        return features.stack_sounds(media)
    return features.stack_pictures(media, [e.get("corner", (0, 0)) for e in examples])


def is_spoken(examples: list) -> bool:
    return examples[0]["kind"] == "spoken"


def answer_loss(model, inputs: dict, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the answers' tokens. Rows are padded behind, so causal attention needs no mask for that."""
    hidden = model.model(**inputs, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    chosen = wanted != -100
    logits = model.lm_head(hidden[chosen])
    cap = model.config.text_config.final_logit_softcapping
    losses = F.cross_entropy(cap * torch.tanh(logits.float() / cap), wanted[chosen], reduction="none")
    weights = token_weights(chosen)[chosen].to(losses.device)
    return (losses * weights).sum() / weights.sum()


def token_weights(chosen: torch.Tensor) -> torch.Tensor:
    """1 / sqrt(tokens of the answer) for each token of one: a colour, which is one word, would else learn little beside
    a description, which is a dozen. chosen: [batch, tokens], true for tokens of answers."""
    weights = torch.zeros(chosen.shape)
    for row, of_row in zip(weights, chosen.cpu()):
        edges = torch.diff(of_row.int(), prepend=torch.zeros(1, dtype=torch.int), append=torch.zeros(1, dtype=torch.int))
        for first, end in zip((edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0]):
            row[first:end] = float(end - first) ** -0.5
    return weights


def is_tower(parameter: str) -> bool:
    return any(part in parameter for part in ("vision_tower", "audio_tower", "embed_vision", "embed_audio"))


def is_table(parameter: str) -> bool:
    return "embed_tokens" in parameter or "position_embedding" in parameter


def compile_parts(model) -> None:
    """A compiled step takes less than half of the time: most of a small model's lies between the matrix products.
    Lengths stay free, so that each part is compiled once; that takes minutes, the next run finds it in the cache. The
    audio tower would be compiled anew for every length."""
    for part in (model.language_model, model.vision_tower):
        part.forward = torch.compile(part.forward, dynamic=True)


class OncePerStep:
    """Lets the towers see the media of a step once, though the text model and the heads both ask for what they saw."""

    def __init__(self, model):
        self._seen = {}
        for name in ("get_image_features", "get_audio_features"):
            setattr(model, name, self._remembering(name, getattr(model, name)))

    def _remembering(self, name, ask):
        def remembered(*args, **kwargs):
            if name not in self._seen:
                self._seen[name] = ask(*args, **kwargs)
            return self._seen[name]
        return remembered

    def forget(self):
        self._seen.clear()

    def recall(self, examples: list) -> None:
        """What the towers said of these examples in an earlier step."""
        soft = [e["soft"].float() for e in examples]  # [soft tokens, hidden] each
        if is_spoken(examples):
            heard = torch.cat(soft)[None]
            is_valid = torch.ones(heard.shape[:2], dtype=torch.bool)
            self._seen["get_audio_features"] = SimpleNamespace(pooler_output=heard, attention_mask=is_valid)
        else:
            self._seen["get_image_features"] = SimpleNamespace(pooler_output=soft)


@torch.no_grad()
def compute_soft_tokens(model, examples: list) -> None:
    """Leaves with each example of one kind what the towers say of its medium: "soft", [soft tokens, hidden]."""
    if not examples:
        return
    media = {key: value.to(model.device) for key, value in media_of(examples).items()}
    if is_spoken(examples):
        out = model.model.get_audio_features(**media, return_dict=True)
        soft = [row[valid] for row, valid in zip(out.pooler_output, out.attention_mask)]
    else:
        soft = model.model.get_image_features(**media, return_dict=True).pooler_output
    for example, tokens in zip(examples, soft):
        example["soft"] = tokens.half().cpu().clone()


class Run:
    """A model, its heads and its optimizer, with what is needed to go on later."""

    def __init__(self, work: Path, stage: str, device: str, afresh: bool = False):
        self.path, self.device, self.step = work / f"{stage}.pt", device, 0
        vocab = json.loads(pools.TOKENIZER.read_text())["model"]["vocab"]
        torch.manual_seed(1)
        self.model = models.without_clipping(models.create(vocab)).to(device)
        models.accept_parts(self.model.model.vision_tower)
        compile_parts(self.model.model)
        self.towers = OncePerStep(self.model.model)
        self.heads = heads.Heads(self.model.config).to(device)
        self.optimizers = self.make_optimizers()
        if self.path.exists():
            state = torch.load(self.path, map_location=device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.heads.load_state_dict(state["heads"])
            for optimizer, kept in zip(self.optimizers, state["optimizers"]):
                optimizer.load_state_dict(kept)
            self.step = state["step"]
            return
        if DEMO.exists() and not afresh:
            self.model.load_state_dict(read_weights(DEMO), strict=False)  # without what is tied, and bounds of linears
            media = load_file(MEDIA)
            self.model.load_state_dict({n: value for n, value in media.items() if not n.startswith(OF_HEADS)}, strict=False)
            self.heads.load_state_dict({n.removeprefix(OF_HEADS): value for n, value in media.items()
                                        if n.startswith(OF_HEADS)})
        if stage in ("bind", "all"):
            self.join(work, ("text", "media") if stage == "bind" else ("bind",))

    def join(self, work: Path, stages: tuple):
        """Takes over what earlier stages have made, as far as they were run."""
        for stage in stages:
            if not (work / f"{stage}.pt").exists():
                continue
            state = torch.load(work / f"{stage}.pt", map_location=self.device, weights_only=True)
            of_stage = {name: value for name, value in state["model"].items()
                        if stage == "bind" or is_tower(name) == (stage == "media")}
            self.model.load_state_dict(of_stage, strict=False)
            if stage != "text":
                self.heads.load_state_dict(state["heads"])

    def make_optimizers(self) -> tuple:
        """Muon for the matrices between hidden states, AdamW for tables, convolutions, norms and heads."""
        hidden = [p for name, p in self.model.named_parameters() if p.dim() == 2 and not is_table(name)]
        chosen = {id(p) for p in hidden}
        others = [p for p in self.parameters() if id(p) not in chosen]
        groups = [{"params": [p for p in others if p.dim() >= 2], "weight_decay": 0.05},
                  {"params": [p for p in others if p.dim() < 2], "weight_decay": 0.0}]
        return Muon(hidden, lr=PEAK_RATE), torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98))

    def parameters(self):
        return [p for p in [*self.model.parameters(), *self.heads.parameters()] if p.requires_grad]

    def save(self):
        part = self.path.with_suffix(".part")
        torch.save({"model": self.model.state_dict(), "heads": self.heads.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in self.optimizers], "step": self.step}, part)
        part.rename(self.path)


def rate(step: int, progress: float) -> float:
    """Warm-up, then down to MIN_RATE as the time given runs out (progress: 0 to 1)."""
    return min(1.0, (step + 1) / WARM_UP) * (MIN_RATE + (PEAK_RATE - MIN_RATE) * max(0.0, 1 - progress))


def train(arguments):
    torch.set_num_threads(arguments.threads)
    work = Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    stage = arguments.stage
    shares = SHARES[stage]
    if arguments.kinds:
        if unknown := [kind for kind in arguments.kinds if kind not in shares]:
            raise SystemExit(f"--kinds: the stage {stage} has no \"{unknown[0]}\", only {', '.join(shares)}")
        shares = {kind: shares[kind] for kind in arguments.kinds}
    run = Run(work, stage, arguments.device, arguments.afresh)
    rng = random.Random(f"{stage} {run.step}")
    streams = {kind: batches(pools.load_or_make(work, kind, POOL_SIZES[kind], arguments.seed), rng, BATCH_TOKENS[kind])
               for kind in shares}
    tokens = pools.tokenizer()
    begin = last_save = time.monotonic()
    losses, first = {}, run.step
    stops = []
    for number in (signal.SIGINT, signal.SIGTERM):  # the step is finished and saved
        signal.signal(number, lambda *_: stops.append(True))
    run.model.train()
    while not stops and (elapsed := time.monotonic() - begin) < arguments.minutes * 60:
        step = run.step
        progress = elapsed / (arguments.minutes * 60)
        for optimizer, factor in zip(run.optimizers, (MUON_FACTOR, 1.0)):
            for group in optimizer.param_groups:
                group["lr"] = rate(step - first, progress) * arguments.rate * factor
        kind = rng.choices(list(shares), list(shares.values()))[0]
        examples = next(streams[kind])
        for example in examples:
            pools.ask_again(example, rng, tokens)
            pools.move_on_page(example, rng)
        run.towers.forget()
        if stage == "bind" and kind != "text":
            compute_soft_tokens(run.model, [e for e in examples if "soft" not in e])
            run.towers.recall(examples)
        ids, labels = stack(examples)
        inputs = {key: value.to(run.device) for key, value in {"input_ids": ids, **media_of(examples)}.items()}
        for parameter in run.parameters():
            parameter.grad = None
        loss = torch.zeros((), device=run.device)
        if stage != "media":
            loss = loss + answer_loss(run.model, inputs, labels.to(run.device))
            losses.setdefault(kind, []).append(loss.item())
        if stage in ("media", "all") and kind != "text":
            told = run.heads.loss(run.model, inputs, examples)
            losses.setdefault(f"{kind} head", []).append(told.item())
            loss = loss + told * (1.0 if stage == "media" else 0.3)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.parameters(), 1.0)
        for optimizer in run.optimizers:
            optimizer.step()
        run.step = step + 1
        if (step + 1) % 50 == 0:
            print(f"{stage} step {step + 1}, {elapsed:.0f} s: " +
                  ", ".join(f"{key} {sum(v) / len(v):.3f}" for key, v in sorted(losses.items())), flush=True)
            losses.clear()
        if time.monotonic() - last_save > 120:
            run.save()
            last_save = time.monotonic()
    run.save()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, help="folder of pools and checkpoint")
    parser.add_argument("--stage", choices=tuple(SHARES), default="all")
    parser.add_argument("--kinds", type=lambda names: names.split(","), default=[],
                        help="only these kinds of the stage's examples: KIND,KIND,...")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--afresh", action="store_true", help="begin with random weights, not with the demo model")
    parser.add_argument("--seed", type=int, default=1, help="another one makes other examples")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rate")
    train(parser.parse_args())
