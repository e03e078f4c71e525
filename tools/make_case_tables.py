#!/usr/bin/env python3
"""Prints src/chat/case_tables.inc: how Python's str.upper, str.lower and str.title map each code point.

Usage: tools/make_case_tables.py > src/chat/case_tables.inc
"""
import sys
import unicodedata

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(mapped):
    """Code points whose mapping is one other code point, as [first, last, step, delta]."""
    rows = []
    for c in CODE_POINTS:
        image = mapped(chr(c))
        if len(image) != 1 or ord(image) == c:
            continue
        delta = ord(image) - c
        if rows and rows[-1][3] == delta:
            first, last, step, _ = rows[-1]
            if (first == last and c - last in (1, 2)) or c - last == step:
                rows[-1] = [first, c, c - last, delta]
                continue
        rows.append([c, c, 1, delta])
    return rows


def print_table(kind, name, rows):
    print(f"constexpr {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(str(x) for x in row) + "},"
        if len(line) + len(cell) > 118:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};")


def padded(text):
    points = [ord(c) for c in text]
    return points + [0] * (3 - len(points))


def main():
    print(f"// Case mappings of Unicode {unicodedata.unidata_version}. Made by tools/make_case_tables.py.")
    print("// clang-format off")
    print_table("CaseRange", "kUpperRanges", ranges(str.upper))
    print_table("CaseRange", "kLowerRanges", ranges(str.lower))
    print("// Code points whose upper or title form is several code points, or whose title form is not the upper form.")
    special = [[c] + padded(chr(c).upper()) + padded(chr(c).title())
               for c in CODE_POINTS if len(chr(c).upper()) > 1 or chr(c).title() != chr(c).upper()]
    print_table("SpecialCase", "kSpecialCases", special)
    print("// clang-format on")


if __name__ == "__main__":
    sys.exit(main())
