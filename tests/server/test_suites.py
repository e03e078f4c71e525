"""The clients' own tests of their resources, against the server: they check every reply against typed models."""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "carat" / "suites"
SUITES = {
    "openai-3.51.0": "1cc9b80eb0f1dc15fa45fbc122ba2c99b7e5302548060c01db5719fa6181a6a9",
    "anthropic-2.10.0": "6f3ffbdc6eb0a09a197be2eabdc62b8395a13d692710b8cdfa0393a80b355585",
}


def suite(name):
    """The folder with a client's source, fetched once and held against its hash."""
    folder = CACHE / name
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / f"{name}.tar.gz"
    if not archive.is_file():
        package, version = name.rsplit("-", 1)
        done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps",
                               "--no-build-isolation", "--no-binary", ":all:", "-d", CACHE, f"{package}=={version}"],
                              capture_output=True, encoding="utf-8")
        if not archive.is_file():
            pytest.skip(f"NOTICE: {name} can't be fetched: {done.stderr.strip().splitlines()[-1:]}")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SUITES[name], f"{archive} is damaged"
    with tarfile.open(archive) as file:
        file.extractall(CACHE, filter="data")
    return folder


class SuiteRun:
    """Files of a suite, being run."""

    def __init__(self, name, url, files, *options):
        folder = suite(name)
        environment = {**os.environ, "TEST_API_BASE_URL": url, "PYTHONPATH": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "-rfE", "--tb=line",
             "-k", "not aiohttp", *options, *(f"tests/api_resources/{file}" for file in files)],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")

    def result(self):
        """How many cases passed, the names of those that didn't, and what was printed."""
        output, _ = self.process.communicate(timeout=600)
        passed = re.search(r"(\d+) passed", output)
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
        return int(passed[1]) if passed else 0, failed, output


@pytest.fixture(scope="module")
def runs(scripted):
    """The parts of both suites, all at once: the clients' own work is most of it."""
    url = f"{scripted.url}/v1"
    others = ["test_completions.py", "test_models.py", "test_embeddings.py", "audio/test_transcriptions.py",
              "test_responses.py"]
    return {"openai": [SuiteRun("openai-3.51.0", url, ["chat/test_completions.py"]),
                       SuiteRun("openai-3.51.0", url, others)],
            "anthropic": [SuiteRun("anthropic-2.10.0", scripted.url, ["test_messages.py", "test_models.py"], "-p",
                                   "tests._alias_httpx")]}


# What this server doesn't have: stored completions and responses; and where a strict client contradicts itself: it asks
# for embeddings in base64, and then expects numbers.
ABSENT = re.compile(r"chat/.*(list|retrieve|update|delete)|test_responses.*(retrieve|delete|cancel|compact)|"
                    r"test_embeddings.*strict")


def test_openai_resources(runs):
    """K-01."""
    parts = [run.result() for run in runs["openai"]]
    output = "".join(output[-4000:] for _, _, output in parts)
    unexpected = [case for _, failed, _ in parts for case in failed if not ABSENT.search(case)]
    assert not unexpected, "\n".join(unexpected) + output
    assert sum(passed for passed, _, _ in parts) >= 210, output


def test_anthropic_resources(runs):
    """K-03."""
    passed, failed, output = runs["anthropic"][0].result()
    assert not failed, output[-4000:]
    assert passed >= 88, output[-4000:]
