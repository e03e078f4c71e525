"""A tool for `carat run --tools`: keeps a note. Reads {"text": "buy milk"}, prints "number: 3", without a newline.

Notes are lines of ${XDG_STATE_HOME:-~/.local/state}/carat/notes.txt.
"""
import json
import os
import pathlib
import sys


def main() -> None:
    state = pathlib.Path(os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state")
    notes = state / "carat" / "notes.txt"
    notes.parent.mkdir(parents=True, exist_ok=True)
    with open(notes, "a+", encoding="utf-8") as file:
        file.write(" ".join(str(json.load(sys.stdin)["text"]).split()) + "\n")
        file.seek(0)
        print(f"number: {sum(1 for _ in file)}", end="")


if __name__ == "__main__":
    main()
