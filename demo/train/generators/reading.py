"""Print to read: numbers and short words, in several fonts and sizes, at any place of a page.

A page of SMALL_SIDE pixels fits the budget of 70 soft tokens as it is; one of LARGE_SIDE fits 256 of 280, and at 70 its
sides are halved. Small print on a large page can so be read at 280 and not at 70: there the right answer says so.
"""
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from generators.sample import TURN_END, Sample, ask_about_picture, pick_case, talk_about_picture

SMALL_SIDE, LARGE_SIDE = 384, 768
SIDES = {70: SMALL_SIDE, 280: LARGE_SIDE}  # of pages that a budget shows as they are
WORDS = ("open", "exit", "stop", "sale", "bank", "cafe", "taxi", "park", "shop", "milk", "bread", "water", "north",
         "south", "east", "west", "hotel", "music", "gold", "free", "push", "pull", "hot", "cold", "red", "blue")
QUESTIONS = ("What is printed here?", "Read the text.", "What does it say?", "Read the picture.")
LINE = ("What is the {nth} line?", "Read the {nth} line.", "What does the {nth} line say?")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
TOO_SMALL = "The print is too small for me. Give me a larger budget."
FONT_FOLDERS = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/truetype/liberation")
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "LiberationSans-Regular",
         "LiberationSerif-Regular", "LiberationSans-Bold", "LiberationMono-Regular")
# Sizes of letters in pixels of what the tower sees.
LARGE_PRINT, SMALL_PRINT = (36, 40, 48, 56), (24, 28, 32)
# Lines begin at multiples of this many pixels, half a patch: a tower of 300,000 weights sees each letter often enough.
LINE_GRID = 8


def all_texts():
    yield from (*QUESTIONS, TOO_SMALL)
    yield from (word[:1].upper() + word[1:] for word in WORDS)


def font(name: str, size: int):
    for folder in FONT_FOLDERS:
        path = Path(folder) / f"{name}.ttf"
        if path.exists():
            return ImageFont.truetype(path, size)
    raise FileNotFoundError(f"{name}.ttf: install the packages fonts-dejavu and fonts-liberation")


def blank_page(rng: random.Random, side: int) -> tuple:
    """(picture, how dark its letters are)."""
    light, dark = rng.randrange(225, 256), rng.randrange(0, 60)
    return Image.new("RGB", (side, side), (light,) * 3), dark


def on_grid(y: float) -> int:
    return int(y) // LINE_GRID * LINE_GRID


def print_line(pen, x: float, y: int, text: str, face, dark: int) -> list:
    """Prints a line that begins at (x, y); returns where each letter's middle is: [(x, y)]."""
    pen.text((x, y), text, font=face, fill=(dark,) * 3)
    edges = [x + face.getlength(text[:i]) for i in range(len(text) + 1)]
    return [((a + b) / 2, y + face.size * 0.6) for a, b in zip(edges, edges[1:])]


def print_page(rng: random.Random, text: str, side: int, size: int) -> tuple:
    """A page with the text on it, and where each letter's middle is: [(x, y)]."""
    image, dark = blank_page(rng, side)
    face = font(rng.choice(FONTS), size)
    width = face.getlength(text)
    x, y = rng.uniform(8, side - width - 8), on_grid(rng.uniform(8, side - size * 1.3 - 8))
    return image, print_line(ImageDraw.Draw(image), x, y, text, face, dark)


def draw_text(rng: random.Random) -> tuple:
    if rng.random() < 0.85:  # words are soon known by heart
        text = "".join(rng.choice("0123456789") for _ in range(rng.choice((2, 3, 4, 4, 4, 4))))
    else:
        text = rng.choice(WORDS)
    return f"print {text}", text


def draw_number(rng: random.Random) -> tuple:
    text = f"{rng.randrange(10_000):04}"
    return f"print {text}", text


def make(rng, held_out: bool, kind: str | None = None):
    """(sample without its picture, picture). Kinds: large print at 70, small print at 280, small print at 70.

    Words are few, so none of them is held out: numbers tell what the model reads and what it knows by heart.
    """
    kind = kind or rng.choices(("large", "small at 280", "small at 70"), (6, 3, 1))[0]
    text = pick_case(rng, held_out, draw_number if held_out else draw_text)
    small = kind != "large"
    size = rng.choice(SMALL_PRINT if small else LARGE_PRINT)
    image, letters = print_page(rng, text, LARGE_SIDE if small else SMALL_SIDE, size)
    answer = TOO_SMALL if kind == "small at 70" else text
    ability = {"large": "large print at 70", "small at 280": "small print at 280", "small at 70": "small print at 70"}
    return Sample(ability[kind], ask_about_picture(rng.choice(QUESTIONS)), answer + TURN_END,
                  budget=280 if kind == "small at 280" else 70, tags={"text": text, "letters": letters}), image


def make_lines(rng, questions: int = 1, budget: int = 70):
    """(sample, picture): one to six numbers or words below each other, at a budget of 280 one to eight in small print.

    Training alone asks this: one picture tells more letters, and to find a line is what reading it begins with. Pages at
    70 have small print as well: a quarter of the soft tokens, and as many letters that share one.
    """
    side = SIDES[budget]
    image, dark = blank_page(rng, side)
    pen = ImageDraw.Draw(image)
    lines, letters = [], []
    count = rng.randrange(1, 9 if budget == 280 else 7)
    sizes = SMALL_PRINT if budget == 280 or count > 4 else (*SMALL_PRINT, *SMALL_PRINT, *LARGE_PRINT)
    height = side // count
    for row in range(count):
        size = rng.choice(sizes)
        text = pick_case(rng, False, draw_text)
        face = font(rng.choice(FONTS), size)
        x = rng.uniform(8, side - face.getlength(text) - 8)
        y = on_grid(row * height + rng.uniform(LINE_GRID, max(LINE_GRID, height - size * 1.3 - LINE_GRID)))
        letters += print_line(pen, x, y, text, face, dark)
        lines.append(text)
    return ask_about_lines(rng, {"text": "".join(lines), "letters": letters, "lines": lines}, questions, budget), image


def ask_about_lines(rng, tags: dict, questions: int, budget: int) -> Sample:
    """The same page with other questions: about all of it in one of three talks, else about lines of it, in any order.
    Nothing is asked for twice, for a line that the talk has named before is copied from there and not read."""
    lines = tags["lines"]
    if rng.random() < 0.33:
        asked = [(rng.choice(QUESTIONS), "\n".join(lines))]
    else:
        asked = [(rng.choice(LINE).format(nth=ORDINALS[i]), lines[i])
                 for i in rng.sample(range(len(lines)), min(questions, len(lines)))]
    return talk_about_picture("lines", asked, budget, tags)


def make_page(rng, budget: int = 70):
    """A page full of lines, with no question: for the heads of the towers, which learn from every letter.

    Lines are at least a soft token apart, so that a soft token holds the middles of one line's letters only.
    """
    side = SIDES[budget]
    image, dark = blank_page(rng, side)
    pen = ImageDraw.Draw(image)
    text, letters, y = "", [], on_grid(rng.uniform(0, 16))
    while True:
        size = rng.choice((*SMALL_PRINT, *SMALL_PRINT, *LARGE_PRINT))  # small print is harder to see
        face, step = font(rng.choice(FONTS), size), max(50, size * 1.25)
        if y + size * 1.3 > side:
            break
        x = rng.uniform(4, 30)
        line = ""
        while x + face.getlength(line) < side - 110:
            word = "".join(rng.choice("0123456789") for _ in range(rng.choice((2, 3, 4)))) \
                if rng.random() < 0.85 else rng.choice(WORDS)
            line += (" " if line else "") + word
        for letter, middle in zip(line, print_line(pen, x, y, line, face, dark)):
            if letter != " " and middle[0] < side:
                text += letter
                letters.append(middle)
        y = on_grid(y + step + rng.uniform(LINE_GRID, 12 + LINE_GRID))
    return Sample("page", [], "", budget=budget, tags={"text": text, "letters": letters}), image
