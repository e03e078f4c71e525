"""Pictures and sounds through the binary: golden logits from the files on, transcripts, refusals."""

import json
import struct
import subprocess
import wave

import numpy
import pytest
from PIL import Image

from conftest import CARAT, GOLDEN, TESTS, WAYS, output_of, read_safetensors, run_carat, saying

SHORT = GOLDEN / "media" / "audio" / "short.wav"
MEDIUM = GOLDEN / "media" / "audio" / "medium.wav"
IMAGES = GOLDEN / "media" / "images"
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


def frames_seen(model, *film):
    """How many pictures of a film are in the prompt: 63 soft tokens of a frame of 4 to 3 between two marks, each behind
    a blank and a time, of which all digits are tokens; the rest of the prompt is shorter than a frame."""
    ask = ["run", model, "What happens?", "--max-tokens", 1, *saying(HELLO), "--json"]
    return json.loads(output_of(*ask, "--video", *film))["prompt_tokens"] // (63 + 2 + 6)


def test_frames_of_an_animated_gif(media_model, tmp_path):
    frames = [Image.new("RGB", (64, 48), (20 * i, 0, 0)) for i in range(12)]
    film = tmp_path / "film.gif"
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=250)  # 3 s
    assert frames_seen(media_model, film) == 12
    assert frames_seen(media_model, film, "--fps", 2) == 6
    assert frames_seen(media_model, film, "--fps", 2, "--max-frames", 4) == 4
    done = run_carat("run", media_model, "Hi", "--video", film, "--fps", 0)
    assert done.returncode == 2 and "--fps" in done.stderr
    done = run_carat("run", media_model, "Hi", "--video", film, "--max-frames", 0)
    assert done.returncode == 2 and "--max-frames" in done.stderr


def test_frames_of_a_folder(media_model, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    film = ["run", media_model, "Hi", "--video", tmp_path]
    assert "holds no pictures" in run_carat(*film).stderr
    for i in range(1, 12):
        Image.new("RGB", (64, 48), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
    assert frames_seen(media_model, tmp_path) == 11
    assert frames_seen(media_model, tmp_path, "--fps", 0.5) == 5
    (tmp_path / "7.png").write_text("no picture")
    done = run_carat(*film)
    assert done.returncode == 4 and "7.png" in done.stderr


def test_what_a_model_lacks(chat_model, tmp_path):
    """An instruction model without towers says so, whatever comes."""
    Image.new("RGB", (64, 48)).save(tmp_path / "1.png")
    for medium, lacks in [(["--image", tmp_path / "1.png"], "can't see"), (["--video", tmp_path], "can't see"),
                          (["--audio", SHORT], "can't hear")]:
        done = run_carat("run", chat_model, "Hi", *medium)
        assert done.returncode == 1 and lacks in done.stderr and "--mmproj" in done.stderr
        assert done.stdout == ""
    for flag in ("--image", "--video", "--audio"):
        done = run_carat("run", chat_model, "Hi", flag, "")
        assert done.returncode == 2 and f"{flag}: needs the name of a file" in done.stderr


def test_gguf_with_and_without_its_projector(media_model, tmp_path):
    """The towers beside the model, in its own file, and not at hand: then it is said, whatever comes."""
    beside, projector, whole = (tmp_path / name for name in ("beside.gguf", "mmproj.gguf", "whole.gguf"))
    output_of("convert", media_model, beside, "--mmproj", projector)
    output_of("convert", media_model, whole)
    film = tmp_path / "film"
    film.mkdir()
    Image.new("RGB", (64, 48)).save(film / "1.png")
    media = {"see": ["--image", IMAGES / "tiny.png", "--video", film], "hear": ["--audio", SHORT]}

    def prompt_tokens(*model):
        ask = [*model, "Hi", *saying(HELLO), "--max-tokens", 1, "--json", *media["see"], *media["hear"]]
        return json.loads(output_of("run", *ask))["prompt_tokens"]

    assert prompt_tokens(beside, "--mmproj", projector) == prompt_tokens(whole) == prompt_tokens(media_model)
    for medium in (media["see"][:2], media["see"][2:], media["hear"]):
        done = run_carat("run", beside, "Hi", *medium)
        sense = "hear" if medium == media["hear"] else "see"
        assert done.returncode == 1 and done.stdout == ""
        assert f"this model can't {sense}" in done.stderr and "--mmproj" in done.stderr
    done = run_carat("transcribe", beside, SHORT)
    assert done.returncode == 1 and "can't hear" in done.stderr
    assert output_of("transcribe", beside, SHORT, "--mmproj", projector) == output_of("transcribe", media_model, SHORT)


def test_pictures_that_are_made_much_smaller(media_model, tmp_path):
    Image.new("RGB", (2400, 1800)).save(tmp_path / "large.png")
    ask = ["run", media_model, "Hi", *saying(HELLO), "--max-tokens", 1, "--image", tmp_path / "large.png"]
    done = run_carat(*ask, "--budget", 70)
    assert done.stdout == "Hello\n" and "2400 x 1800 pixels are seen as 432 x 336" in done.stderr
    ask[-1] = IMAGES / "tiny.png"
    assert run_carat(*ask, "--budget", 70).stderr == ""


def test_a_sound_of_more_than_thirty_seconds(media_model, tmp_path):
    """In a prompt all of it is heard, in pieces; by `debug`, as much as the reference hears."""
    recording = write_wav(tmp_path / "long.wav", 40)
    ask = ["run", media_model, "Hi", *saying(HELLO), "--max-tokens", 1, "--json"]
    alone = json.loads(output_of(*ask))["prompt_tokens"]
    heard = json.loads(output_of(*ask, "--audio", recording))["prompt_tokens"] - alone - 2
    assert 1000 <= heard <= 1001
    out = tmp_path / "soft.npy"
    output_of("debug", "encode", media_model, "--audio", recording, "--out", out)
    assert len(numpy.load(out)) == 750
    done = run_carat("debug", "hear", media_model, "--audio", recording, "--out", tmp_path / "mel.png")
    assert done.stderr.startswith("40000 ms -> 2999 frames of 128 mel bins") and "the first 30 s" in done.stderr
    endless = write_wav(tmp_path / "endless.wav", 601, rate=4000)
    done = run_carat(*ask, "--audio", endless)
    assert done.returncode == 4 and "lasts 10 minutes, the limit is 10" in done.stderr


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
    samples = numpy.frombuffer(wav[44:], "<i2")
    both = ["--rate", 8000, "--channels", 2, "--format", "json"]
    stereo = (samples / 32768).astype("<f4").repeat(2).tobytes()
    raw = run_carat("transcribe", media_model, "-", "--raw", "f32le", *both, stdin=stereo)
    assert raw.returncode == 0, raw.stderr
    transcript = json.loads(raw.stdout)
    assert transcript["duration"] == 1.5 and transcript["text"] + "\n" == expected
    none = run_carat("transcribe", media_model, "-", "--raw", "s16le", stdin=wav[44:45])
    assert none.returncode == 4 and b"holds no sound" in none.stderr


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
