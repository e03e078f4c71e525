"""Small heads for pre-training the towers: what every soft token shows, and what is said, without the text model.

They belong to the training alone; no file of the model holds them.
"""
import torch
import torch.nn.functional as F
from torch import nn

from generators.drawings import COLOURS, COLUMNS, ROWS, SHAPES, SIDE

TOKEN_SIDE = 48  # pixels of a soft token
SLOTS = 4  # letters side by side in one soft token
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Heads(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.text_config.hidden_size
        self.thing = nn.Linear(width, 1 + len(SHAPES) * len(COLOURS))  # 0: nothing has its middle here
        self.place = nn.Linear(width, len(ROWS) * len(COLUMNS))  # the part of the picture that a thing stands in
        self.letter = nn.Linear(width, SLOTS * (1 + len(LETTERS)))
        self.speech = nn.Linear(width, 2 + len(LETTERS))  # for CTC; 0: blank, 1: the space between words

    def loss(self, model, inputs: dict, examples: list) -> torch.Tensor:
        kind = examples[0]["kind"]
        if kind == "spoken":
            return self._speech_loss(model, inputs, examples)
        soft = model.model.get_image_features(inputs["pixel_values"], inputs["image_position_ids"],
                                              return_dict=True).pooler_output
        soft = torch.stack(list(soft))  # [batch, soft tokens, hidden]
        if "things" in examples[0]["sample"].tags:
            wanted = torch.stack([things_of(e["sample"].tags, soft.shape[1]) for e in examples]).to(soft.device)
            return balanced(self.thing(soft), wanted) + self._place_loss(soft, wanted > 0)
        wanted = torch.stack([letters_of(e["sample"], soft.shape[1]) for e in examples]).to(soft.device)
        logits = self.letter(soft).unflatten(-1, (SLOTS, 1 + len(LETTERS)))
        return balanced(logits, wanted)

    def _place_loss(self, soft, is_thing):
        """soft [batch, soft tokens, hidden]: those of things tell where in the picture they are."""
        at = torch.arange(soft.shape[1], device=soft.device)
        across = round(soft.shape[1]**0.5)
        row, column = at // across * len(ROWS) // across, at % across * len(COLUMNS) // across
        wanted = (row * len(COLUMNS) + column).expand(soft.shape[0], -1)
        return F.cross_entropy(self.place(soft[is_thing]).float(), wanted[is_thing])

    def _speech_loss(self, model, inputs, examples):
        out = model.model.get_audio_features(inputs["input_features"], inputs["input_features_mask"], return_dict=True)
        logits = self.speech(out.pooler_output).log_softmax(-1).transpose(0, 1)  # [frames, batch, letters]
        wanted = [torch.tensor([spelled(c) for c in e["sample"].tags["written"]]) for e in examples]
        return F.ctc_loss(logits.float(), torch.cat(wanted).to(logits.device), out.attention_mask.sum(-1).long(),
                          torch.tensor([len(w) for w in wanted]), zero_infinity=True)


def spelled(letter: str) -> int:
    return 1 if letter == " " else 2 + LETTERS.index(letter)


def balanced(logits, wanted):
    """Cross entropy in which the many empty places weigh as much as the few that show something."""
    each = F.cross_entropy(logits.flatten(0, -2).float(), wanted.flatten(), reduction="none")
    full = wanted.flatten() > 0
    return each[full].mean() + each[~full].mean() if full.any() else each.mean()


def things_of(tags: dict, soft_tokens: int) -> torch.Tensor:
    """[soft tokens]: the thing whose middle lies in each."""
    across = round(soft_tokens**0.5)
    side = SIDE / across  # of a soft token in the drawing's own pixels
    out = torch.zeros(soft_tokens, dtype=torch.long)
    for (shape, colour, _), (x, y, _) in zip(tags["things"], tags["places"]):
        at = int(y // side) * across + int(x // side)
        out[at] = 1 + SHAPES.index(shape) * len(COLOURS) + list(COLOURS).index(colour)
    return out


def letters_of(sample, soft_tokens: int) -> torch.Tensor:
    """[soft tokens, SLOTS]: the letter whose middle lies in each slot. Print too small to be read is nothing."""
    across = round(soft_tokens**0.5)
    out = torch.zeros(soft_tokens, SLOTS, dtype=torch.long)
    if sample.ability == "small print at 70":
        return out
    width = TOKEN_SIDE / SLOTS
    for letter, (x, y) in zip(sample.tags["text"], sample.tags["letters"]):
        at = int(y // TOKEN_SIDE) * across + int(x // TOKEN_SIDE)
        out[at, int(x % TOKEN_SIDE // width)] = 1 + LETTERS.index(letter)
    return out
