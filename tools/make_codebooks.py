#!/usr/bin/env python3
"""Writes src/tensor/codebooks.cpp from the grids of the PyPI package gguf.

    pip install gguf==0.19.0
    python3 tools/make_codebooks.py > src/tensor/codebooks.cpp

The package's quants.py holds a grid as hexadecimal text: per entry two bytes, which hold eight 2-bit or four 4-bit
digits, the first digit lowest. Those two bytes, as a number, are an entry of ours (see src/tensor/codebooks.h).
"""

import importlib.metadata
import sys

import numpy as np
from gguf import quants

NAMES = ["IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"]
ENTRIES_PER_LINE = 14


def check_digits(name, grid, entries):
    """The digits of our entries, looked up in the package's values, must give the package's own unpacked grid."""
    values = np.array(grid.grid_map, dtype=np.float32)
    length = grid.grid_shape[1]
    width = 16 // length
    digits = (entries.reshape(-1, 1) >> (width * np.arange(length))) & ((1 << width) - 1)
    grid.init_grid()
    if not np.array_equal(values[digits], grid.grid.reshape(grid.grid_shape)):
        sys.exit(f"{name}: entries do not decode to the package's grid")


def check_signs():
    """codebooks.h computes the eighth sign bit as a parity instead of storing the package's table."""
    for seven, eight in enumerate(quants.IQ2_XXS.ksigns):
        if eight != seven | (seven.bit_count() % 2) << 7:
            sys.exit(f"ksigns[{seven}] is not {seven} and its parity")


def main():
    check_signs()
    version = importlib.metadata.version("gguf")
    print(f"// Written by tools/make_codebooks.py from quants.py of gguf {version} (PyPI, MIT licence)")
    print('#include "tensor/codebooks.h"')
    print()
    print("namespace carat {")
    print()
    print("// clang-format off: as the script writes it")
    for name in NAMES:
        grid = getattr(quants, name)
        entries = np.frombuffer(bytes.fromhex(grid.grid_hex.decode()), dtype="<u2")
        check_digits(name, grid, entries)
        print(f"const std::array<std::uint16_t, {len(entries)}> kCodebook{name}{{")
        for first in range(0, len(entries), ENTRIES_PER_LINE):
            print("    " + " ".join(f"0x{entry:04x}," for entry in entries[first : first + ENTRIES_PER_LINE]))
        print("};")
        print()
    print("// clang-format on")
    print()
    print("}  // namespace carat")


main()
