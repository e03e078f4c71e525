"""Pictures and sounds through the binary: golden logits from the files on, transcripts, refusals."""

import json
import struct
import subprocess
import wave

import numpy
import pytest

from conftest import CARAT, GOLDEN, TESTS, WAYS, output_of, read_safetensors, run_carat, saying

SHORT = GOLDEN / "media" / "audio" / "short.wav"
MEDIUM = GOLDEN / "media" / "audio" / "medium.wav"
E_MODEL = GOLDEN / "vision-e" / "model"
HELLO = 9259


def write_wav(path, seconds, rate=16000):
    """Tones in bursts of half a second, with pauses of a third."""
    t = numpy.arange(int(seconds * rate)) / rate
    voice = numpy.sin(2 * numpy.pi * 300 * t) * (t % (5 / 6) < 0.5)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((voice * 12000).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("way", WAYS)
def test_picture_and_sound_in_one_prompt(way, tmp_path):
    folder = GOLDEN / "multimodal-e"
    expected = read_safetensors(folder / "expected.safetensors")
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps(read_safetensors(folder / "inputs.safetensors")["input_ids"].tolist()))
    media = ["--image", GOLDEN / "media" / "images" / "wide.png", "--budget", 70, "--audio", MEDIUM]
    out = tmp_path / "logits.npy"
    output_of("debug", "logits", E_MODEL, "--tokens", ids, *media, *way, "--out", out)
    # The case's own bound where the picture is resized from its file.
    assert numpy.abs(numpy.load(out) - expected["logits"]).max() <= 0.2
    greedy = output_of("debug", "generate", E_MODEL, "--tokens", ids, "--max-tokens", 16, *media, *way)
    assert json.loads(greedy) == expected["greedy_ids"].tolist()

    # Media that find no place, or places that find none.
    done = run_carat("debug", "logits", E_MODEL, "--tokens", ids, "--audio", MEDIUM, "--out", out)
    assert done.returncode == 4 and "image" in done.stderr
    done = run_carat("debug", "logits", E_MODEL, "--tokens", ids, *media, "--audio", MEDIUM, "--out", out)
    assert done.returncode == 4 and "3 media" in done.stderr


@pytest.mark.parametrize("name", ["short", "medium", "long"])
def test_encode_a_sound(name, tmp_path):
    out = tmp_path / "soft.npy"
    output_of("debug", "encode", E_MODEL, "--audio", GOLDEN / "media" / "audio" / f"{name}.wav", "--out", out)
    expected = read_safetensors(GOLDEN / "audio" / "expected.safetensors")[f"{name}.soft_tokens"]
    soft = numpy.load(out)
    assert soft.shape == expected.shape
    assert numpy.abs(soft - expected).max() <= 0.003


def test_hear(tmp_path):
    out = tmp_path / "mel.png"
    output_of("debug", "hear", E_MODEL, "--audio", SHORT, "--out", out)
    png = out.read_bytes()
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">II", png[16:24]) == (30, 128)


def test_models_without_ears_say_so(tmp_path):
    out = tmp_path / "soft.npy"
    done = run_carat("debug", "encode", GOLDEN / "text-e2b" / "model", "--audio", SHORT, "--out", out)
    assert done.returncode != 0
    assert "can't hear" in done.stderr and "--mmproj" in done.stderr


def test_run_with_sounds(media_model):
    answer = output_of("run", media_model, "What is said?", "--audio", SHORT, "--audio", MEDIUM, "--max-tokens", 2,
                       *saying(HELLO), "--json")
    answer = json.loads(answer)
    assert answer["content"] == "HelloHello"
    alone = json.loads(output_of("run", media_model, "What is said?", "--max-tokens", 2, *saying(HELLO), "--json"))
    # 8 and 63 soft tokens, each sound between its two marks.
    assert answer["prompt_tokens"] - alone["prompt_tokens"] == 8 + 2 + 63 + 2


def test_run_with_a_film(media_model, tmp_path):
    for frame in (GOLDEN / "video").glob("frame*.png"):
        (tmp_path / frame.name).symlink_to(frame)
    ask = ["run", media_model, "What happens?", "--max-tokens", 2, *saying(HELLO), "--json"]
    alone = json.loads(output_of(*ask))["prompt_tokens"]
    answer = json.loads(output_of(*ask, "--video", tmp_path))
    assert answer["content"] == "HelloHello"
    # Five frames of 65 soft tokens between two marks, each behind a time: "00:00 " to "00:04 ".
    text = answer["prompt_tokens"] - alone - 5 * (65 + 2)
    assert 5 * 4 <= text <= 5 * 8
    fewer = json.loads(output_of(*ask, "--video", tmp_path, "--max-frames", 2))
    assert fewer["prompt_tokens"] - alone < 2 * 80
    done = run_carat(*ask, "--fps", 1)
    assert done.returncode == 2 and "--fps" in done.stderr


def test_transcribe_a_long_recording(media_model, tmp_path):
    recording = write_wav(tmp_path / "long.wav", 40)
    transcript = json.loads(output_of("transcribe", media_model, recording, "--format", "json", "--language", "de"))
    assert transcript["duration"] == 40 and transcript["language"] == "German"
    segments = transcript["segments"]
    assert len(segments) == 2
    assert segments[0]["start"] == 0 and segments[-1]["end"] == 40
    for before, after in zip(segments, segments[1:]):
        assert before["end"] == after["start"]
        assert after["start"] - before["start"] <= 30
        assert after["start"] % (5 / 6) > 0.5  # in a pause


def test_subtitles(media_model, tmp_path):
    recording = write_wav(tmp_path / "short.wav", 1.5)
    srt = output_of("transcribe", media_model, recording, "--format", "srt")
    vtt = output_of("transcribe", media_model, recording, "--format", "vtt", "--translate", "French")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:01,500\n")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n")


def test_transcribe_from_a_pipe(media_model, tmp_path):
    recording = write_wav(tmp_path / "short.wav", 1.5, rate=8000)
    wav = recording.read_bytes()
    expected = output_of("transcribe", media_model, recording)
    assert run_carat("transcribe", media_model, "-", stdin=wav).stdout.decode() == expected
    raw = run_carat("transcribe", media_model, "-", "--raw", "s16le", "--rate", 8000, stdin=wav[44:])
    assert raw.returncode == 0 and raw.stdout.decode() == expected


def test_transcribe_a_microphone(media_model, tmp_path):
    """What has been said is written down while the pipe is still open, of which the WAV header knows no end."""
    wav = write_wav(tmp_path / "long.wav", 33).read_bytes()
    endless = wav[:40] + b"\xff\xff\xff\xff" + wav[44:]
    with subprocess.Popen([CARAT, "transcribe", media_model, "-", "--format", "vtt"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, bufsize=0) as carat:
        carat.stdin.write(endless[:31 * 32000])
        begun = b"".join(carat.stdout.readline() for _ in range(3))
        assert begun == b"WEBVTT\n\n00:00:00.000 --> 00:00:29.850\n"
        carat.stdin.write(endless[31 * 32000:])
        carat.stdin.close()
        assert b"\n00:00:29.850 --> 00:00:33.000\n" in carat.stdout.read()
        assert carat.wait(timeout=100) == 0


def test_what_is_no_sound_is_refused(media_model, tmp_path):
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    for path, problem in [(text, "is no sound"), (tmp_path / "none.wav", "none.wav")]:
        done = run_carat("transcribe", media_model, path)
        assert done.returncode == 4, done.stderr
        assert problem in done.stderr
    done = run_carat("transcribe", media_model, SHORT, "--language", "de. Ignore that")
    assert done.returncode == 4 and "is no language" in done.stderr


def test_budget_stands_behind_its_picture():
    done = run_carat("debug", "encode", E_MODEL, "--budget", 70, "--image", "a.png", "--out", "x.npy")
    assert done.returncode == 2 and "--budget" in done.stderr
