"""Drawn shapes: their names, colours, number and places."""
import math
import random

from PIL import Image, ImageDraw

from generators.sample import Sample, pick_case, talk_about_picture

COLOURS = {"red": (214, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 215), "yellow": (240, 205, 40),
           "black": (20, 20, 20), "purple": (140, 50, 160)}
SHAPES = ("circle", "square", "triangle", "star", "cross")
NUMBERS = ("none", "one", "two", "three", "four")
# Where a shape alone can stand: thirds of the picture.
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "middle", "right")
SIDE = 384  # pixels: 64 soft tokens, so that the smallest budget neither enlarges nor reduces it

DESCRIBE = ("What is in the picture?", "Describe the picture.", "What do you see?")
COUNT = ("How many {shape}s are there?", "Count the {shape}s.")
COLOUR = ("What colour is the {shape}?", "Which colour has the {shape}?")
PLACE = ("Where is the {shape}?", "In which part of the picture is the {shape}?")
RELATION = ("Is the {a} left or right of the {b}?", "On which side of the {b} is the {a}?")


def all_texts():
    """For the tokenizer: what this generator can write."""
    for shape in SHAPES:
        for question in (*DESCRIBE, *COUNT, *COLOUR, *PLACE, *RELATION):
            yield question.format(shape=shape, a=shape, b=shape)
        for colour in COLOURS:
            yield f"A {colour} {shape}, a {colour} {shape} and a {colour} {shape}."
    for row in ROWS:
        for column in COLUMNS:
            yield f"{row} {column}"
    yield from (*NUMBERS, "Left.", "Right.")


def cell_name(cell: tuple) -> str:
    return f"{ROWS[cell[1]]} {COLUMNS[cell[0]]}"


def scene(rng: random.Random, count: int) -> list:
    """`count` things (shape, colour, cell) in cells of their own."""
    cells = rng.sample([(x, y) for x in range(3) for y in range(3)], count)
    things = [(rng.choice(SHAPES), rng.choice(list(COLOURS)), cell) for cell in cells]
    return sorted(things, key=lambda thing: (thing[2][1], thing[2][0]))  # as one reads


def outline(shape: str, x: float, y: float, r: float) -> list:
    """Corners of a shape about (x, y), of radius r."""
    if shape == "square":
        return [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)]
    if shape == "triangle":
        return [(x, y - r), (x + r, y + r), (x - r, y + r)]
    if shape == "cross":
        t = r * 0.35
        return [(x - t, y - r), (x + t, y - r), (x + t, y - t), (x + r, y - t), (x + r, y + t), (x + t, y + t),
                (x + t, y + r), (x - t, y + r), (x - t, y + t), (x - r, y + t), (x - r, y - t), (x - t, y - t)]
    assert shape == "star"
    return [(x + math.sin(i * math.pi / 5) * (r if i % 2 == 0 else r * 0.42),
             y - math.cos(i * math.pi / 5) * (r if i % 2 == 0 else r * 0.42)) for i in range(10)]


def draw(rng: random.Random, things: list) -> tuple:
    """The picture, and for each thing where its middle is and how big it is: (x, y, radius) in pixels."""
    light = rng.randrange(225, 256)
    image = Image.new("RGB", (SIDE, SIDE), tuple(light - rng.randrange(12) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    third = SIDE / 3
    places = []
    for shape, colour, (column, row) in things:
        r = rng.uniform(24, 46)
        slack = third / 2 - r - 6
        x = (column + 0.5) * third + rng.uniform(-slack, slack)
        y = (row + 0.5) * third + rng.uniform(-slack, slack)
        fill = tuple(max(0, min(255, c + rng.randrange(-14, 15))) for c in COLOURS[colour])
        if shape == "circle":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        else:
            pen.polygon(outline(shape, x, y, r), fill=fill)
        places.append((x, y, r))
    return image, places


def question_about(rng: random.Random, things: list) -> tuple:
    """(ability, question, answer): of a kind that has one right answer in this scene."""
    shapes = [shape for shape, _, _ in things]
    alone = [thing for thing in things if shapes.count(thing[0]) == 1]
    kinds = ["describe", "count"]  # places are named twice: they take longest to learn
    if alone:
        kinds += ["colour", "place", "place"]
    apart = [(a, b) for a in alone for b in alone if a[2][0] != b[2][0]]
    if apart:
        kinds += ["relation", "relation"]
    kind = rng.choice(kinds)
    if kind == "describe":
        names = [f"a {colour} {shape}" for shape, colour, _ in things]
        listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
        return "shapes and colours", rng.choice(DESCRIBE), listed[0].upper() + listed[1:] + "."
    if kind == "count":
        shape = rng.choice(shapes) if rng.random() < 0.7 else rng.choice(SHAPES)
        return "counts", rng.choice(COUNT).format(shape=shape), NUMBERS[shapes.count(shape)].capitalize() + "."
    if kind == "colour":
        shape, colour, _ = rng.choice(alone)
        return "shapes and colours", rng.choice(COLOUR).format(shape=shape), colour.capitalize() + "."
    if kind == "place":
        shape, _, cell = rng.choice(alone)
        return "places", rng.choice(PLACE).format(shape=shape), cell_name(cell).capitalize() + "."
    a, b = rng.choice(apart)
    # Where both are comes first: what is left of what is then a matter of words.
    places = f"{a[0].capitalize()} {cell_name(a[2])}, {b[0]} {cell_name(b[2])}"
    return "places", rng.choice(RELATION).format(a=a[0], b=b[0]), f"{places}: {'left' if a[2][0] < b[2][0] else 'right'}."


def make(rng, held_out: bool, questions: int = 1, budget: int = 70):
    """(sample without its picture, picture). Further questions about the same picture come in turns of their own.

    A budget of 280 enlarges the picture to twice its sides.
    """
    def draw_scene(rng):
        things = scene(rng, rng.choice((1, 2, 2, 3, 3, 4)))
        return "scene " + repr(things), things

    things = pick_case(rng, held_out, draw_scene)
    image, places = draw(rng, things)
    return ask_about(rng, {"things": things, "places": places}, questions, budget), image


def ask_about(rng, tags: dict, questions: int, budget: int) -> Sample:
    """The same picture with other questions; tags: of the sample that was made with it."""
    asked = [question_about(rng, tags["things"]) for _ in range(questions)]
    return talk_about_picture(asked[0][0], [turn for _, *turn in asked], budget, tags)


def make_crowd(rng, budget: int = 70):
    """A picture as full as it can be, with no question: for the heads of the towers, which learn from every thing."""
    things = scene(rng, 9)
    image, places = draw(rng, things)
    return Sample("crowd", [], "", budget=budget, tags={"things": things, "places": places}), image
