"""docs/limits.md is true: each of its rows is what the source or the help text says, and no limit in the source lacks a
row."""

import pathlib
import re

import pytest

from conftest import output_of

TOP = pathlib.Path(__file__).resolve().parents[2]
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1, "": 1}
# Constants whose names sound like those of limits, and which bound nothing that comes from outside.
NO_LIMITS = {
    "audio/config.h: kMaxSoundSamples", "base/memory.cpp: kUnlimited", "chat/jinja_filters.cpp: kMaxIndent",
    "chat/jinja_format.cpp: kMaxWidth", "chat/jinja_methods.cpp: kMaxFormat", "chat/jinja_scope.cpp: kMaxVariables",
    "chat/speech_prompt.cpp: kMaxLanguageBytes", "cli/suggest.cpp: kLongestName", "cli/transcribe.cpp: kMaxTokensMore",
    "cli/transcribe.cpp: kMaxTokensPerSecond", "engine/script.cpp: kMaxContext", "engine/script.cpp: kMaxMilliseconds",
    "engine/guess_rounds.cpp: kMostGuesses", "engine/script.cpp: kMaxWord", "engine/script.cpp: kMostRemembered", "engine/session.cpp: kMaxChunk",
    "kernels/attention.cpp: kMaxQueries", "kernels/loops_gemv.h: kMostGemvTokens",
    "media/vorbis.cpp: kMaxPageBytes", "kernels/pack.h: kMaxUnpackCols", "server/openai_audio.cpp: kMaxPieceSamples",
    "store/places.cpp: kMaxBytes", "store/repository.cpp: kMaxBytes", "tensor/quantize.cpp: kMax",
    "tensor/quantize.cpp: kMaxCode", "server/http_server.h: ping",
    "engine/scheduler.h: rows", "engine/scheduler.h: rows_beside", "server/gunzip.cpp: kGzipOnly", "checkpoint/gguf_type.h: kGgufMinAlignment",
}


def rows():
    for line in (TOP / "docs" / "limits.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] != "What" and not cells[0].startswith("---"):
            yield cells[0], cells[1], cells[3].strip("`")


def in_source(place):
    """The value of a constant or a member's default; times in seconds."""
    name, constant = place.split(": ")
    text = (TOP / "src" / name).read_text()
    if "::" in constant:
        struct, constant = constant.split("::")
        text = text[text.index(f"struct {struct} "):]
    match = re.search(rf"\b{constant}(?: = ([^;]+);|{{([^}}]+)}};)", text)
    assert match, f"{place} is not there"
    unit = 1000 if re.search(rf"milliseconds {constant}\b", text) else 1
    expression = re.sub(r"(?:std::)?\w+\{([^}]*)\}", r"\1", match[1] or match[2])
    expression = re.sub(r"(?<=\d)['](?=\d)", "", expression)
    return eval(re.sub(r"(?<=\d)U\b", "", expression), {"__builtins__": {}}) / unit  # noqa: S307: our own source


def number(text):
    value, unit = re.fullmatch(r"(\d+) ?(\w*)", text).groups()
    return int(value) * UNITS[unit]


@pytest.mark.parametrize("what,limit,place", [row for row in rows() if not row[2].startswith("--")])
def test_a_row_is_what_the_source_says(what, limit, place):
    assert number(limit) == in_source(place), what


@pytest.mark.parametrize("what,limit,flag", [row for row in rows() if row[2].startswith("--")])
def test_a_row_is_what_the_help_says(what, limit, flag):
    text = " ".join(output_of("help", "serve").split())
    here = text[text.index(f"{flag} "):]
    assert limit.split()[0] in here[:200] if limit[0].isdigit() else limit in here[:200], (what, here[:200])


def test_every_limit_has_a_row():
    listed = {place for _, _, place in rows()}
    found = []
    for path in sorted((TOP / "src").rglob("*")):
        if path.suffix not in (".h", ".cpp") or path.stem.endswith("_test"):
            continue
        place = path.relative_to(TOP / "src")
        for name in re.findall(r"constexpr [\w:]+ (k\w*(?:Max|Most|Longest|Largest)(?:[A-Z]\w*)?)\b(?: =|{)", path.read_text()):
            if name.startswith(("kMax", "kMost", "kLongest", "kLargest", "kGgufMax")):
                found.append(f"{place}: {name}")
        for struct, members in re.findall(r"^struct (\w+Limits) {(.*?)^};", path.read_text(), re.DOTALL | re.MULTILINE):
            for name in re.findall(r"^  [\w:]+ (\w+)(?: = |{)", members, re.MULTILINE):
                full = f"{place}: {struct}::{name}"
                found.append(full if full in listed else f"{place}: {name}")
    assert len(found) > 60
    assert sorted(set(found) - listed - NO_LIMITS) == []
