"""Pictures and sounds as the towers take them in, by transformers' own processors of Gemma 4."""
import zlib
from functools import cache

import numpy as np
import torch
from transformers.models.gemma4 import Gemma4AudioFeatureExtractor

PATCH, POOL = 16, 3
MAX_BUDGET_SIDE = {70: 384, 280: 768}  # of a square picture


def picture(image, budget: int) -> tuple:
    """(patches [patches, 768] as bytes, compressed; patches a side; soft tokens): of a square picture.

    Drawings compress to a hundredth, and pools of thousands stay small. The same as Gemma4ImageProcessorPil: reduced
    or enlarged by Pillow's bicubic to the budget's size, cut in patches.
    """
    from PIL import Image

    side = MAX_BUDGET_SIDE[budget]
    if image.width != image.height:
        raise ValueError(f"a picture of {image.width} x {image.height}: the generators draw squares")
    if image.width != side:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    n = side // PATCH
    pixels = np.asarray(image.convert("RGB")).reshape(n, PATCH, n, PATCH, 3).transpose(0, 2, 1, 3, 4)
    return zlib.compress(np.ascontiguousarray(pixels), 1), n, (n // POOL) ** 2


@cache
def _extractor():
    return Gemma4AudioFeatureExtractor()


def sound(samples: np.ndarray) -> tuple:
    """(log-mel [frames, 128], mask [frames], soft tokens), of samples at 16 kHz."""
    out = _extractor()([samples.astype(np.float32)], sampling_rate=16_000, return_tensors="np")
    mel, mask = out["input_features"][0], out["input_features_mask"][0].astype(bool)
    return mel, mask, int(mask[::2][::2].sum())


def stack_pictures(pictures: list, corners: list | None = None) -> dict:
    """For pictures of one size: pixel_values [pictures, patches, 768], image_position_ids [pictures, patches, 2].

    corners: the (column, row) of each picture's first patch, where pictures stand for parts of larger ones.
    """
    n = pictures[0][1]
    patches = np.stack([np.frombuffer(zlib.decompress(p[0]), np.uint8).reshape(n * n, -1) for p in pictures])
    y, x = np.divmod(np.arange(n * n), n)
    positions = torch.from_numpy(np.stack([x, y], axis=1)).expand(len(pictures), -1, -1)
    if corners is not None:
        positions = positions + torch.tensor(corners)[:, None]
    return {"pixel_values": torch.from_numpy(patches).float() / 255, "image_position_ids": positions}


def stack_sounds(sounds: list) -> dict:
    frames = max(s[0].shape[0] for s in sounds)
    mel = np.zeros((len(sounds), frames, 128), np.float32)
    mask = np.zeros((len(sounds), frames), bool)
    for i, (values, valid, _) in enumerate(sounds):
        mel[i, : len(values)], mask[i, : len(valid)] = values, valid
    return {"input_features": torch.from_numpy(mel), "input_features_mask": torch.from_numpy(mask)}
