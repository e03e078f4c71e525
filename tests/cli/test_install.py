"""What `cmake --install` puts into a package, and that all of it works wherever the package is unpacked."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import CARAT, output_of

BUILD = CARAT.parent.parent
TOP = pathlib.Path(__file__).resolve().parents[2]
DEMO = TOP / "demo" / "model" / "demo.gguf"
pytestmark = pytest.mark.skipif(
    not shutil.which("cmake") or not (BUILD / "packaging" / "man" / "carat.1").exists(),
    reason="needs cmake, and a program in a folder where everything was built")


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A package of /usr, not yet where it will be."""
    folder = tmp_path_factory.mktemp("staged")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], env=os.environ | {"DESTDIR": str(folder)},
                   check=True, capture_output=True, timeout=120)
    return folder / "usr"


def run(program, *arguments, **more):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **more}
    return subprocess.run([program, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)


def test_the_package_has_all_its_parts(staged):
    files = {str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file()}
    verbs = re.findall(r"^\\fBcarat ([\w-]+)\\fR", output_of("man"), re.MULTILINE)
    assert "run" in verbs
    pages = {"share/man/man1/carat.1"} | {f"share/man/man1/carat-{verb}.1" for verb in verbs}
    assert files == pages | {
        "bin/carat", "lib/systemd/system/carat.service",
        "share/bash-completion/completions/carat", "share/zsh/site-functions/_carat",
        "share/fish/vendor_completions.d/carat.fish",
        "share/doc/carat/LICENSE", "share/doc/carat/xgrammar-licence.txt", "share/doc/carat/demo-model.md",
    } | ({"share/carat/demo.gguf"} if DEMO.exists() else set())


def test_the_program_finds_what_comes_with_it(staged, tmp_path):
    program = staged / "bin" / "carat"
    assert run(program, "--version").stdout == output_of("--version")
    (tmp_path / "carat").symlink_to(program)  # as in a folder of the PATH
    there = str(staged / "share" / "carat" / "demo.gguf")
    for name in (program, tmp_path / "carat"):
        done = run(name, "pull", "demo")
        if DEMO.exists():
            assert (done.returncode, done.stdout) == (0, there + "\n"), done.stderr
        else:
            assert done.returncode == 3 and there in done.stderr and "CARAT_DATA" in done.stderr
    (tmp_path / "demo.gguf").touch()
    assert run(program, "pull", "demo", CARAT_DATA=str(tmp_path)).stdout == f"{tmp_path}/demo.gguf\n"


def test_the_unit_starts_the_installed_program(staged, tmp_path):
    unit = (staged / "lib/systemd/system/carat.service").read_text()
    assert unit == (TOP / "packaging" / "carat.service").read_text()
    subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path / "opt"], check=True, capture_output=True,
                   timeout=120)
    moved = (tmp_path / "opt/lib/systemd/system/carat.service").read_text()
    assert f"ExecStart={tmp_path}/opt/bin/carat serve" in moved and "/usr/bin/carat" not in moved


def test_licences_of_what_is_linked_in_are_there(staged):
    text = (staged / "share/doc/carat/xgrammar-licence.txt").read_text()
    for words in ("XGrammar Contributors", "Apache License", "Cybozu Labs", "THIS SOFTWARE IS PROVIDED"):
        assert words in text, words


def test_nothing_tells_of_the_machine_it_was_built_on(staged):
    for path in staged.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(TOP).encode() not in content and str(BUILD).encode() not in content, path
