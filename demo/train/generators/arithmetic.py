"""Sums of two numbers below 100: with the steps in the thought channel where thinking is on, at once where it is off."""
from generators.sample import TURN_END, Sample, ask, pick_case

QUESTIONS = ("What is {a} + {b}?", "{a} + {b} = ?", "Add {a} and {b}.", "How much is {a} plus {b}?")

# Sums of two digits, asked plainly: what every step of a longer sum rests on. There are a hundred, all of them are trained.
LESSONS = 0.3


def steps(a: int, b: int) -> str:
    """Column by column, ones first: each line holds all that it needs, so that nothing has to be kept in mind."""
    ones = a % 10 + b % 10
    tens = a // 10 + b // 10 + ones // 10
    return (f"{a // 10} {a % 10} + {b // 10} {b % 10}\n"
            f"ones {a % 10} + {b % 10} = {ones}, carry {ones // 10}\n"
            f"tens {a // 10} + {b // 10} + {ones // 10} = {tens}\n"
            f"{tens} and {ones % 10}")


def make(rng, held_out: bool) -> Sample:
    def draw(rng):
        a, b = rng.randrange(100), rng.randrange(100)
        while max(a, b) < 10:  # those are the lessons'
            a, b = rng.randrange(100), rng.randrange(100)
        return f"sum {a} {b}", (a, b)

    a, b = pick_case(rng, held_out, draw)
    is_lesson = not held_out and rng.random() < LESSONS
    if is_lesson:
        a, b = rng.randrange(10), rng.randrange(10)
    thinking = not is_lesson and rng.random() < 0.7
    thought = f"<|channel>thought\n{steps(a, b)}\n<channel|>" if thinking else ""
    return Sample("thinking" if thinking else "direct sums", ask(rng.choice(QUESTIONS).format(a=a, b=b)),
                  f"{thought}{a + b}{TURN_END}", thinking=thinking, expected=f"{a + b}")
