"""How the program is built and run, and that docs/security.md tells the truth about how that is tested."""

import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import CARAT

TOP = pathlib.Path(__file__).resolve().parents[2]


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments, CARAT], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs binutils")
def test_the_program_is_built_hardened():
    """S-39 and the flags of issue 9: PIE, RELRO with all symbols bound at the start, no executable stack, canaries,
    checked string functions, and no search path for libraries of its own."""
    assert re.search(r"Type:\s+DYN", readelf("-h"))
    segments = readelf("-l")
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK\s.*\sRW\s", segments) and not re.search(r"LOAD\s.*\sRWE\s", segments)
    dynamic = readelf("-d")
    assert "BIND_NOW" in dynamic and "PIE" in dynamic
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    symbols = readelf("--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__(memcpy|sprintf|snprintf|read|printf|fdelt|vsnprintf)_chk", symbols)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_the_unit_is_confined():
    """U-34: exposure at most 2.0 by systemd's own reckoning."""
    unit = TOP / "packaging" / "carat.service"
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", str(unit)], capture_output=True, text=True)
    level = re.search(r"Overall exposure level for carat\.service: ([\d.]+)", done.stdout)
    assert level, done.stdout[-500:] + done.stderr
    assert float(level[1]) <= 2.0, done.stdout


def rows():
    for line in (TOP / "docs" / "security.md").read_text().splitlines():
        if match := re.match(r"\| ([SF]-\d\d) .*?\| (.*) \|$", line):
            yield match[1], re.findall(r"`([^`]+)`", match[2])


def test_every_check_and_fault_has_a_row():
    names = [name for name, _ in rows()]
    assert names == [f"S-{i:02}" for i in (*range(1, 18), *range(20, 40))] + [f"F-{i:02}" for i in range(1, 21)]


def test_every_test_that_a_row_names_exists():
    suites = set()
    for path in (TOP / "src").rglob("*_test.cpp"):
        suites |= set(re.findall(r"^TEST(?:_F|_P)?\((\w+), *(\w+)\)", path.read_text(), re.MULTILINE))
    functions = {(path.name, name) for path in (TOP / "tests").rglob("test_*.py")
                 for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    for row, tests in rows():
        named = 0
        for test in tests:
            if match := re.fullmatch(r"(test_\w+\.py): (test_\w+)", test):
                assert (match[1], match[2]) in functions, (row, test)
                named += 1
            elif match := re.fullmatch(r"(\w+)\.(\w+)", test):
                assert (match[1], match[2]) in suites, (row, test)
                named += 1
        assert named > 0 or row in ("F-15", "F-20"), row
