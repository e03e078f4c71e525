"""Speech by espeak-ng: digits, numbers and commands, in several voices, speeds and noises."""
import io
import random
import subprocess
import wave

import numpy as np

from generators.sample import TURN_END, Sample, is_held_out

COMMANDS = ("start", "stop", "left", "right", "up", "down", "yes", "no", "open the door", "close the door",
            "light on", "light off", "play music", "louder", "quieter", "good morning")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
QUESTIONS = ("Transcribe the speech.", "What was said?", "Write down what you hear.")
# carat's own request for a transcript (src/chat/speech_prompt.cpp), as the family's model card has it.
OFFICIAL = ("Transcribe the following speech segment in English into English text.\n\nFollow these specific "
            "instructions for formatting the answer:\n* Only output the transcription, with no newlines.\n* When "
            "transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of "
            "three.")
RATE = 16_000
# Voices of the evaluation are not heard in training.
VOICES = ("en-us+m1", "en-us+m3", "en-us+f2", "en-gb+m2", "en-gb+f1", "en-us+m7", "en-us+f4", "en-us+m4", "en-gb+f3")
UNSEEN_VOICES = ("en-us+m2", "en-us+f1", "en-gb+m5")
SPEEDS = (120, 190)  # words a minute
UNSEEN_SPEEDS = (135, 175)


def all_texts():
    yield from (*QUESTIONS, OFFICIAL)
    yield from (command[:1].upper() + command[1:] for command in COMMANDS)


def speak(text: str, voice: str, speed: int, pitch: int) -> np.ndarray:
    """Samples at 16 kHz, -1 to 1."""
    from scipy.signal import resample_poly

    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", "--", text]
    with wave.open(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)) as file:
        # A stream has no length in its header: read what there is.
        samples = np.frombuffer(file.readframes(1 << 24), dtype="<i2").astype(np.float64) / 32768
        return resample_poly(samples, 320, 441) if file.getframerate() == 22_050 else samples


def disturb(rng: random.Random, samples: np.ndarray) -> np.ndarray:
    """Other loudness, a pause before and after, noise 18 to 40 dB below the voice."""
    noise = np.random.default_rng(rng.randrange(1 << 30))
    loud = np.abs(samples).max() or 1.0
    samples = samples / loud * rng.uniform(0.3, 0.9)
    padded = np.concatenate([np.zeros(rng.randrange(800, 3200)), samples, np.zeros(rng.randrange(800, 3200))])
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-rng.uniform(18, 40) / 20)
    return np.clip(padded + noise.normal(0, level, padded.size), -1, 1)


def draw_text(rng: random.Random) -> tuple:
    """(case, (ability, what is spoken, what is written))"""
    kind = rng.choices(("digits", "number", "command"), (5, 3, 2))[0]
    if kind == "digits":
        digits = [rng.randrange(10) for _ in range(rng.choice((1, 2, 3, 4)))]
        return f"spoken {digits}", ("spoken digits", ", ".join(DIGITS[d] for d in digits), " ".join(map(str, digits)))
    if kind == "number":
        number = rng.randrange(10, 100)
        return f"spoken number {number}", ("spoken numbers", str(number), str(number))
    command = rng.choice(COMMANDS)
    return "", ("spoken commands", command, command)


def make(rng, held_out: bool):
    """(sample without its sound, samples at 16 kHz). Unseen: voices and speeds, and of digits their order too."""
    while True:
        case, (ability, spoken, written) = draw_text(rng)
        # Few texts are single: all of them are trained, and the evaluation has other voices.
        if "," not in case or is_held_out(case) == held_out:
            break
    voice = rng.choice(UNSEEN_VOICES if held_out else VOICES)
    speed = rng.choice(UNSEEN_SPEEDS) if held_out else rng.randrange(*SPEEDS)
    samples = disturb(rng, speak(spoken, voice, speed, rng.randrange(30, 70)))
    question = OFFICIAL if rng.random() < 0.15 else rng.choice(QUESTIONS)
    messages = [{"role": "user", "content": [{"type": "text", "text": question}, {"type": "audio"}]}]
    return Sample(ability, messages, written + TURN_END, tags={"written": written}), samples
