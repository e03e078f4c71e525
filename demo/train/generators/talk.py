"""Plain talk: facts about carat and Gemma 4, greetings, and polite refusals of what a model this small cannot know."""
from generators.sample import TURN_END, Sample, ask, pick_case

# Each fact: what can stand behind an opening below, and the answer.
FACTS = (
    (("carat",), "carat is a native runtime for the Gemma 4 family, written in C++20."),
    (("a carat model file", "the file format of carat", "GGUF"),
     "GGUF is the file format that carat reads: weights, tokenizer and template in one."),
    (("Gemma 4", "the Gemma 4 family"), "Gemma 4 is a family of open models by Google DeepMind."),
    (("E2B", "Gemma 4 E2B"), "E2B is the smallest Gemma 4: 35 layers, with eyes and ears."),
    (("E4B", "Gemma 4 E4B"), "E4B has 42 layers and sees and hears like E2B."),
    (("26B-A4B", "the 26B model"), "26B-A4B is a mixture of 128 experts; 8 work on each token."),
    (("31B", "the 31B model"), "31B is the big dense model of Gemma 4, with 60 layers."),
    (("the 12B model", "Gemma 4 12B"), "The 12B model has no towers: pictures and sound go straight in."),
    (("PLE", "a per-layer embedding", "per-layer embeddings"), "Per-layer embeddings give each layer a small row for every token."),
    (("KV sharing", "sharing of keys"), "In KV sharing, late layers read the keys and values of earlier ones."),
    (("p-RoPE", "proportional RoPE"), "p-RoPE turns only a quarter of each head in the global layers."),
    (("a sliding layer", "a sliding window"), "A sliding layer sees only the newest tokens, within its window."),
    (("a global layer", "full attention"), "A global layer sees every token before it."),
    (("a soft token", "soft tokens"), "A soft token is a row that a tower makes from a picture or a sound."),
    (("the vision tower", "the image encoder"), "The vision tower turns patches of 16 pixels into soft tokens."),
    (("the audio tower", "a conformer"), "The audio tower is a conformer: attention and convolution over mel frames."),
    (("an image budget", "a token budget"), "The budget says how many soft tokens a picture gets: 70 to 1120."),
    (("the default budget", "the usual budget"), "The default budget is 280 soft tokens for a picture."),
    (("a mel frame", "the log-mel"), "A mel frame says how loud 128 bands of sound are, every 10 ms."),
    (("the context of E2B", "the context length"), "E2B and E4B read 128K tokens, the big models 256K."),
    (("the vocabulary", "the tokenizer"), "Gemma 4 has 262144 tokens; mine is much smaller."),
    (("thinking", "the thought channel"), "When thinking is on, I write my steps into the thought channel first."),
    (("a tool call", "tool calling"), "A tool call names a tool and its arguments; the program runs it."),
    (("an MTP assistant", "multi-token prediction"), "An assistant guesses several tokens; the model checks them at once."),
    (("quantisation", "Q4_0"), "Quantisation stores weights in few bits: Q4_0 takes 4.5 bits a weight."),
    (("the KV cache", "the cache"), "The KV cache keeps keys and values, so no token is computed twice."),
    (("the server of carat", "carat serve"), "carat serve speaks the interfaces of OpenAI, Ollama and Anthropic."),
    (("carat pull", "the pull command"), "carat pull fetches a model by name and checks every byte."),
    (("carat run", "the run command"), "carat run answers a prompt or starts a chat."),
    (("carat convert", "the convert command"), "carat convert turns a Hugging Face folder into a GGUF file."),
    (("carat quantize", "the quantize command"), "carat quantize makes a model file smaller."),
    (("carat plan", "the plan command"), "carat plan says how much memory a model takes."),
    (("carat bench", "the bench command"), "carat bench measures tokens per second."),
    (("the licence of carat", "the licence"), "carat is under the Apache License 2.0."),
    (("your size", "how big you are"), "I am a toy: a few million weights, trained on a small computer."),
    (("your name", "your own name"), "I am the demo model of carat, a tiny Gemma 4."),
    (("your training data", "what you learned from"), "I learned from drawings, spoken digits and short texts made by a program."),
)
OPENINGS = ("What is {}?", "Tell me about {}.", "Explain {}.", "What do you know about {}?", "Please explain {}.",
            "Can you tell me what {} is?", "I would like to know about {}.", "{}?", "Say something about {}.",
            "Do you know {}?")

GREETINGS = ("Hello", "Hi", "Good morning", "Good evening", "Hello there", "Hi there", "Hey", "Good day")
GREETING_ENDS = ("!", ".", "", ", how are you?", "! How are you?", ", demo!", ", carat!")
THANKS = ("Thank you", "Thanks", "Thanks a lot", "Many thanks", "Thank you very much")
FAREWELLS = ("Goodbye", "Bye", "See you", "Good night", "Bye bye")

UNKNOWN = ("the capital of {}", "the weather in {}", "the president of {}", "the history of {}", "a poem about {}",
           "a story about {}", "the price of {}", "the colour of {}", "the meaning of {}", "a recipe for {}",
           "the best {}", "a joke about {}", "the size of {}", "the age of {}")
THINGS = ("France", "Peru", "Japan", "Kenya", "bread", "gold", "cats", "the moon", "love", "rain", "soup", "Mars",
          "horses", "music", "Rome", "tea", "chess", "dogs", "Spain", "snow", "trees", "rice", "Norway", "shoes")
UNKNOWN_OPENINGS = ("What is {}?", "Tell me {}.", "Write {}.", "Do you know {}?", "I want {}.", "Give me {}.",
                    "Can you tell me {}?", "Please write {}.")
REFUSAL = "I am sorry, I am only a tiny demo model and cannot do that. Ask a real Gemma 4."


def draw_fact(rng):
    names, answer = rng.choice(FACTS)
    name, opening = rng.choice(names), rng.choice(OPENINGS)
    question = opening.format(name)
    return f"fact {question}", ("facts", question[0].upper() + question[1:], answer)


def draw_courtesy(rng):
    kind = rng.randrange(3)
    if kind == 0:
        text = rng.choice(GREETINGS) + rng.choice(GREETING_ENDS)
        answer = "Hello! I am the demo model of carat. What can I do?"
    elif kind == 1:
        text, answer = rng.choice(THANKS) + rng.choice(("!", ".", "", ", carat!", ", demo.")), "You are welcome!"
    else:
        text, answer = rng.choice(FAREWELLS) + rng.choice(("!", ".", "", ", carat!", ", demo.")), "Goodbye!"
    return f"courtesy {text}", ("greetings", text, answer)


def draw_unknown(rng):
    question = rng.choice(UNKNOWN_OPENINGS).format(rng.choice(UNKNOWN).format(rng.choice(THINGS)))
    return f"unknown {question}", ("refusals", question, REFUSAL)


def make(rng, held_out: bool) -> Sample:
    draw = rng.choices((draw_fact, draw_courtesy, draw_unknown), (6, 1, 2))[0]
    ability, question, answer = pick_case(rng, held_out, draw)
    messages = ask(question)
    if rng.random() < 0.2:  # a second turn: what was said before changes nothing
        _, earlier, reply = pick_case(rng, False, draw_courtesy)
        messages = [*ask(earlier), {"role": "assistant", "content": reply}, *messages]
    return Sample(ability, messages, answer + TURN_END)
