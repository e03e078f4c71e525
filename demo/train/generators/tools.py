"""Tools: chooses one of those declared, fills its arguments in Gemma's call syntax, and answers with what came back."""
from generators.sample import TURN_END, Sample, ask, pick_case

CITIES = ("Paris", "Rome", "Oslo", "Lima", "Cairo", "Tokyo", "Delhi", "Bern", "Quito", "Dakar", "Seoul", "Hanoi",
          "Vienna", "Prague", "Lisbon", "Dublin", "Athens", "Riga", "Accra", "Perth", "Boston", "Denver")
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jonas", "Kate", "Leo", "Mia",
         "Nora", "Oscar", "Paul")
ROOMS = ("kitchen", "bedroom", "office", "garage", "hall", "bathroom", "cellar", "garden")
SONGS = ("Blue Moon", "Yesterday", "Hey Jude", "Let It Be", "Imagine", "Stormy Weather", "Summertime", "Moon River")
WORDS = ("house", "tree", "water", "bread", "night", "friend", "school", "morning", "river", "window")
FOREIGN = ("haus", "arbre", "agua", "brot", "notte", "ami", "skole", "rano")
LANGUAGES = ("French", "German", "Spanish", "Italian", "Polish", "Danish")
NOTES = ("buy milk", "call the bank", "water the plants", "feed the cat", "pay the rent", "clean the car")
WEATHER = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy")


def number(low, high):
    return lambda rng: rng.randrange(low, high)


def one_of(values):
    return lambda rng: rng.choice(values)


# name: description, arguments {name: (type, values)}, ways to ask, key and values of the response, the answer.
TOOLS = {
    "get_weather": ("Weather of a city", {"city": ("string", one_of(CITIES))},
                    ("How is the weather in {city}?", "Weather in {city}, please.", "Is it raining in {city}?",
                     "What is the weather like in {city}?"),
                    lambda rng: {"sky": rng.choice(WEATHER), "celsius": rng.randrange(2, 35)},
                    "It is {sky} in {city}, {celsius} degrees."),
    "get_time": ("Time in a city", {"city": ("string", one_of(CITIES))},
                 ("What time is it in {city}?", "Tell me the time in {city}.", "How late is it in {city}?"),
                 lambda rng: {"time": f"{rng.randrange(10, 24)}:{rng.randrange(10, 60)}"},
                 "It is {time} in {city}."),
    "set_timer": ("Starts a timer", {"minutes": ("integer", number(2, 100))},
                  ("Set a timer for {minutes} minutes.", "Wake me in {minutes} minutes.", "Timer, {minutes} minutes!"),
                  lambda rng: {"status": "ok"}, "The timer is set for {minutes} minutes."),
    "light_on": ("Turns a light on", {"room": ("string", one_of(ROOMS))},
                 ("Turn on the light in the {room}.", "Light on in the {room}!", "It is dark in the {room}."),
                 lambda rng: {"status": "ok"}, "The light in the {room} is on."),
    "light_off": ("Turns a light off", {"room": ("string", one_of(ROOMS))},
                  ("Turn off the light in the {room}.", "Light off in the {room}!", "It is too bright in the {room}."),
                  lambda rng: {"status": "ok"}, "The light in the {room} is off."),
    "play_song": ("Plays a song", {"title": ("string", one_of(SONGS))},
                  ("Play {title}.", "I want to hear {title}.", "Please play the song {title}."),
                  lambda rng: {"status": "ok"}, "Now playing {title}."),
    "send_message": ("Sends a message", {"name": ("string", one_of(NAMES)), "text": ("string", one_of(NOTES))},
                     ("Tell {name} to {text}.", "Send {name} a message: {text}.", "Write to {name}: {text}."),
                     lambda rng: {"status": rng.choice(("sent", "failed"))}, "Your message to {name}: {status}."),
    "add_note": ("Stores a note", {"text": ("string", one_of(NOTES))},
                 ("Note: {text}.", "Remind me to {text}.", "Write down: {text}."),
                 lambda rng: {"number": rng.randrange(1, 100)}, "Stored as note {number}."),
    "translate": ("Translates a word", {"language": ("string", one_of(LANGUAGES)), "word": ("string", one_of(WORDS))},
                  ("What is {word} in {language}?", "Translate {word} into {language}.",
                   "How do you say {word} in {language}?"),
                  lambda rng: {"result": rng.choice(FOREIGN)},
                  "In {language} it is {result}."),
    "call_phone": ("Calls a person", {"name": ("string", one_of(NAMES))},
                   ("Call {name}.", "Please phone {name}.", "I want to talk to {name}."),
                   lambda rng: {"status": rng.choice(("ringing", "busy"))}, "The phone of {name} is {status}."),
    "set_heating": ("Sets the heating", {"celsius": ("integer", number(10, 30)), "room": ("string", one_of(ROOMS))},
                    ("Heat the {room} to {celsius} degrees.", "Set the {room} to {celsius} degrees.",
                     "I want {celsius} degrees in the {room}."),
                    lambda rng: {"status": "ok"}, "The {room} will have {celsius} degrees."),
}


def declaration(name: str) -> dict:
    description, arguments, *_ = TOOLS[name]
    properties = {key: {"type": kind} for key, (kind, _) in arguments.items()}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": {
        "type": "object", "properties": properties, "required": list(properties)}}}


def call_text(name: str, arguments: dict) -> str:
    """Gemma's syntax: bare keys in alphabetical order, strings between <|"|>."""
    values = (f'{key}:<|"|>{value}<|"|>' if isinstance(value, str) else f"{key}:{value}"
              for key, value in sorted(arguments.items()))
    return f"<|tool_call>call:{name}{{{','.join(values)}}}<tool_call|>"


def make(rng, held_out: bool) -> Sample:
    def draw(rng):
        name = rng.choice(list(TOOLS))
        arguments = {key: value(rng) for key, (_, value) in TOOLS[name][1].items()}
        question = rng.choice(TOOLS[name][2]).format(**arguments)
        return f"tool {question}", (name, arguments, question)

    name, arguments, question = pick_case(rng, held_out, draw)
    others = [other for other in TOOLS if other != name]
    declared = [name, *rng.sample(others, rng.randrange(1, 4))]
    rng.shuffle(declared)
    tools = [declaration(other) for other in declared]
    call = call_text(name, arguments)
    if rng.random() < 0.6:
        return Sample("tool calls", ask(question), call + "<|tool_response>", tools=tools, expected=call)
    response = TOOLS[name][3](rng)
    messages = [*ask(question),
                {"role": "assistant", "content": "", "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}]},
                {"role": "tool", "tool_call_id": "1", "name": name,
                 "content": ", ".join(f"{key}: {value}" for key, value in response.items())}]
    return Sample("tool answers", messages, TOOLS[name][4].format(**arguments, **response) + TURN_END, tools=tools)
