"""Pictures through the binary: golden soft tokens from the files on, what a model sees, picture bombs."""

import json
import struct
import time
import zlib

import numpy
import pytest

from conftest import GOLDEN, WAYS, output_of, read_safetensors, run_carat

IMAGES = GOLDEN / "media" / "images"
E_MODEL = GOLDEN / "vision-e" / "model"


def budgeted(media, budget):
    """These options with a budget behind each picture."""
    options = []
    for flag, path in zip(media[::2], media[1::2]):
        options += [flag, path] + (["--budget", budget] if flag == "--image" else [])
    return options


# The largest budgets take seconds; src/engine/vision_test.cpp has the others.
@pytest.mark.parametrize("image, budget", [("exact1120.png", 1120), ("tall.png", 560), ("wide.png", 70)])
def test_encode_a_picture(image, budget, tmp_path):
    out = tmp_path / "soft.npy"
    output_of("debug", "encode", E_MODEL, "--image", IMAGES / image, "--budget", budget, "--out", out)
    name = f"{image.replace('.', '_')}_{budget}.soft_tokens"
    expected = read_safetensors(GOLDEN / "vision-e" / "expected.safetensors")[name]
    soft = numpy.load(out)
    assert soft.dtype == numpy.float32 and soft.shape == expected.shape
    assert numpy.abs(soft - expected).max() <= 0.15  # case.json: from the original file


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case, model, media", [
    ("multimodal-large", "vision-large", ["--image", IMAGES / "wide.png", "--image", IMAGES / "tall.png"]),
    ("unified", "unified", ["--image", IMAGES / "wide.png", "--audio", GOLDEN / "media" / "audio" / "short.wav"]),
])
def test_media_among_the_text(case, model, media, way, tmp_path):
    expected = read_safetensors(GOLDEN / case / "expected.safetensors")
    ids, out = tmp_path / "ids.json", tmp_path / "logits.npy"
    ids.write_text(json.dumps(read_safetensors(GOLDEN / case / "inputs.safetensors")["input_ids"].tolist()))
    ask = [GOLDEN / model / "model", "--tokens", ids, *budgeted(media, 70), *way]
    output_of("debug", "logits", *ask, "--out", out)
    # The cases' own bound where pictures are resized from their files.
    assert numpy.abs(numpy.load(out) - expected["logits"]).max() <= 0.2
    greedy = output_of("debug", "generate", *ask, "--max-tokens", 16)
    assert json.loads(greedy) == expected["greedy_ids"].tolist()


def test_see(tmp_path):
    out = tmp_path / "seen.png"
    done = run_carat("debug", "see", E_MODEL, "--image", IMAGES / "wide.png", "--budget", 70, "--out", out)
    assert done.returncode == 0
    assert done.stderr == "1000 x 40 -> 1968 x 48 pixels, 123 x 3 patches, 41 soft tokens of at most 70\n"
    png = out.read_bytes()
    assert png.startswith(b"\x89PNG") and struct.unpack(">II", png[16:24]) == (1968, 48)
    piped = run_carat("debug", "see", E_MODEL, "--image", IMAGES / "photo.jpg", "--budget", "auto", stdin=b"")
    assert piped.stdout.startswith(b"\x89PNG")
    assert piped.stderr.decode().endswith(" of at most 140\n")


def test_a_bomb_is_refused(tmp_path):
    def chunk(kind, payload):
        crc = struct.pack(">I", zlib.crc32(kind + payload))
        return struct.pack(">I", len(payload)) + kind + payload + crc

    bomb = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bytes(4000)) + chunk(b"IEND", b""))
    start = time.monotonic()
    done = run_carat("debug", "see", E_MODEL, "--image", bomb, "--out", tmp_path / "seen.png")
    assert time.monotonic() - start < 5
    assert done.returncode == 4 and "60000 x 60000" in done.stderr


def test_models_without_eyes_say_so(tmp_path):
    done = run_carat("debug", "encode", GOLDEN / "text-e2b" / "model", "--image", IMAGES / "tiny.png", "--out",
                     tmp_path / "soft.npy")
    assert done.returncode != 0
    assert "can't see" in done.stderr and "--mmproj" in done.stderr
