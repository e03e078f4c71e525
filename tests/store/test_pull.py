"""carat pull against a server that fails in every way: what gets a model's name is always whole."""

import base64
import fcntl
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from hub_server import COMMIT, Server, git_sha1  # noqa: E402

TESTS = pathlib.Path(__file__).resolve().parent.parent
CARAT = pathlib.Path(os.environ.get("CARAT", TESTS.parent / "build" / "release" / "bin" / "carat")).resolve()
RANDOM = random.Random(7)
# Three ranges of 8 MiB, the last one short.
MODEL = RANDOM.randbytes(17 << 20)
PROJECTOR = RANDOM.randbytes(100_000)
REPOSITORY = "google/gemma-4-E2B-it-qat-q4_0-gguf"
FILES = {REPOSITORY: {"README.md": b"# A model\n", "gemma-4-E2B_q4_0-it.gguf": MODEL, "mmproj-F16.gguf": PROJECTOR}}


@pytest.fixture
def server():
    server = Server(files=dict(FILES))
    yield server
    server.close()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def environment(server, home, **more):
    kept = {key: os.environ[key] for key in ("PATH", "ASAN_OPTIONS") if key in os.environ}
    return kept | {"HOME": str(home), "HF_ENDPOINT": server.url, "CARAT_OLLAMA_ENDPOINT": server.url,
                   "CARAT_KAGGLE_ENDPOINT": server.url, "CARAT_DATA": str(home / "no-data")} | more


def carat(server, home, *arguments, timeout=60, preexec_fn=None, **more):
    return subprocess.run([CARAT, *map(str, arguments)], env=environment(server, home, **more), capture_output=True,
                          text=True, timeout=timeout, preexec_fn=preexec_fn, stdin=subprocess.DEVNULL)


def pull(server, home, name="gemma4:e2b", *options, **more):
    return carat(server, home, "pull", name, "--retry-wait", "0.01", *options, **more)


def pulled(server, home, *arguments, **more):
    """The path that a pull which has to succeed prints."""
    done = pull(server, home, *arguments, **more)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.strip())


def cache(home):
    return home / ".cache" / "huggingface" / "hub"


def check_nothing_wrong(home):
    """Whatever has a final name in the cache holds what the name says."""
    for blob in cache(home).glob("models--*/blobs/*"):
        if blob.name.endswith((".carat-part", ".carat-state")):
            continue
        data = blob.read_bytes()
        assert blob.name in (hashlib.sha256(data).hexdigest(), git_sha1(data)), blob
    for link in cache(home).glob("models--*/snapshots/*/*"):
        assert link.exists(), f"{link} leads nowhere"


def test_two_lines_to_a_model(server, home):
    path = pulled(server, home)
    assert path.read_bytes() == MODEL
    assert path.parent.joinpath("mmproj-F16.gguf").read_bytes() == PROJECTOR
    assert path == cache(home) / f"models--{REPOSITORY.replace('/', '--')}" / "snapshots" / COMMIT / path.name
    assert (path.parent.parent.parent / "refs" / "main").read_text() == COMMIT
    listed = json.loads(carat(server, home, "list", "--json").stdout)
    assert [(model["name"], model["bytes"]) for model in listed] == [("gemma4:e2b", len(MODEL))]

    before = server.requests["data"]
    assert pulled(server, home) == path
    assert server.requests["data"] == before, "what is here is not fetched again"

    assert carat(server, home, "cp", "gemma4:e2b", "mine").returncode == 0
    for command in (["show"], *(["debug", verb, "--jsonl", "-"] for verb in ("tokenize", "detokenize", "render", "parse"))):
        shown = carat(server, home, *command, "mine")
        assert shown.returncode == 7 and str(path) in shown.stderr, "the path is right, though the bytes are no model"
    assert carat(server, home, "rm", "mine").returncode == 0
    assert carat(server, home, "rm", "gemma4:e2b").returncode == 0
    assert carat(server, home, "list", "--json").stdout == "[]\n"
    assert not list(cache(home).glob("models--*"))


@pytest.mark.parametrize("fault", ["cut", "reset", "wrong range", "longer", 500, 502, 503, 429, 408, "loop"])
def test_faults_that_pass(server, home, fault):
    left = [4]

    def faults(kind, path):
        if kind == "data" and left[0] > 0:
            left[0] -= 1
            return fault
        return None

    server.faults = faults
    assert pulled(server, home).read_bytes() == MODEL
    check_nothing_wrong(home)


@pytest.mark.parametrize("fault,code,words", [(401, 6, "HF_TOKEN"), (403, 6, "accept its terms"), (404, 6, "Check the name"),
                                              (500, 6, "try again later"), (429, 6, "asked too often"),
                                              ("cut", 6, "localhost"), ("loop", 6, "more than 5 redirects"),
                                              ("wrong range", 6, "something else than was asked for"),
                                              ("long", 6, "something else than was asked for"),
                                              ("wrong bytes", 7, "hash")])
def test_faults_that_stay(server, home, fault, code, words):
    server.faults = lambda kind, path: fault if kind == "data" or isinstance(fault, int) or fault == "long" else None
    done = pull(server, home, "gemma4:e2b", "--retries", 2)
    assert done.returncode == code, done.stderr
    assert words in done.stderr and "secret" not in done.stderr
    assert server.requests["data"] < 200, "it gives up"
    assert carat(server, home, "list", "--json").stdout == "[]\n", "nothing half-done is seen"
    check_nothing_wrong(home)
    server.faults = lambda kind, path: None
    assert pulled(server, home).read_bytes() == MODEL


def test_a_server_without_ranges(server, home):
    server.faults = lambda kind, path: "no ranges"
    assert pulled(server, home).read_bytes() == MODEL


def test_wrong_bytes_once(server, home):
    wrong = [True]

    def faults(kind, path):
        if kind == "data" and wrong[0]:
            wrong[0] = False
            return "wrong bytes"
        return None

    server.faults = faults
    assert pulled(server, home).read_bytes() == MODEL


@pytest.mark.parametrize("seed", range(4))
def test_two_hundred_random_faults(seed, server, home):
    """The share of requests that fail is large; in the end every pull is whole. Fifty faults from each seed."""
    chance = random.Random(seed)
    kinds = ["cut", "reset", "wrong range", "longer", "slow", 500, 503, 429, 408, "wrong bytes", "loop"]
    count = [0]

    def faults(kind, path):
        if count[0] < 50 and chance.random() < 0.6:
            count[0] += 1
            fault = chance.choice(kinds)
            return fault if kind == "data" or isinstance(fault, int) or fault == "reset" else None
        return None

    server.faults = faults
    rounds = 0
    while count[0] < 50 or rounds == 0:
        pull(server, home, "gemma4:e2b", "--retries", 5)
        check_nothing_wrong(home)
        carat(server, home, "rm", "gemma4:e2b")
        rounds += 1
        assert rounds < 50
    server.faults = lambda kind, path: None
    assert pulled(server, home).read_bytes() == MODEL
    check_nothing_wrong(home)


def kill_after(seconds, *arguments, **options):
    process = subprocess.Popen([CARAT, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               **options)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


# More for a longer look: CARAT_KILLS=100.
KILLS = int(os.environ.get("CARAT_KILLS", 6))


def test_kill_at_random_moments(server, home):
    """Nothing of what a killed pull has fetched is taken for a model, and the next one that is left alone ends whole."""
    server.faults = lambda kind, path: "slow" if kind == "data" else None
    for _ in range(KILLS):
        kill_after(RANDOM.uniform(0.05, 0.6), "pull", "gemma4:e2b", env=environment(server, home))
        check_nothing_wrong(home)
    server.faults = lambda kind, path: None
    assert pulled(server, home).read_bytes() == MODEL
    check_nothing_wrong(home)


def test_it_goes_on_where_it_was(server, home):
    done_ranges = [0]

    def faults(kind, path):
        if kind != "data" or "cdn" not in path:
            return None
        done_ranges[0] += 1
        return None if done_ranges[0] <= 2 else 404

    server.faults = faults
    assert pull(server, home, "gemma4:e2b", "--connections", 1).returncode == 6
    first = server.bytes_sent
    assert first > 8 << 20
    server.faults = lambda kind, path: None
    pulled(server, home)
    assert server.bytes_sent - first < len(MODEL) + len(PROJECTOR) - (8 << 20) + 10_000


def test_several_pulls_share_one_transfer(server, home):
    server.faults = lambda kind, path: "slow" if kind == "data" else None
    processes = [subprocess.Popen([CARAT, "pull", "gemma4:e2b"], env=environment(server, home), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) for _ in range(4)]
    time.sleep(0.5)
    processes[0].kill()
    for process in processes[1:]:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert pathlib.Path(out.strip()).read_bytes() == MODEL
    processes[0].communicate()
    assert server.bytes_sent < 2 * (len(MODEL) + len(PROJECTOR))


def test_a_full_disk_is_told_and_survived(server, home):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = pull(server, home, "gemma4:e2b", preexec_fn=limit)
    assert done.returncode == 5 and "are needed" in done.stderr, done.stderr
    check_nothing_wrong(home)
    assert pulled(server, home).read_bytes() == MODEL


FAIL_CALLS = CARAT.parents[1] / "fail_calls.so"


@pytest.mark.parametrize("percent", [0, 1, 50, 99])
def test_f03_the_disk_is_full_at_any_point(server, home, percent):
    """What is there is kept, and once there is space, the rest is fetched."""
    full = {"LD_PRELOAD": str(FAIL_CALLS), "CARAT_FULL": str(len(MODEL) * percent // 100)}
    done = pull(server, home, "gemma4:e2b", "--connections", 1, **full)
    assert done.returncode == 5 and "disk is full" in done.stderr and "are needed" in done.stderr, done.stderr
    check_nothing_wrong(home)
    assert carat(server, home, "list", "--json").stdout == "[]\n"
    before = server.bytes_sent
    assert pulled(server, home).read_bytes() == MODEL
    if percent == 99:
        assert server.bytes_sent - before < len(MODEL) // 2, "what had come is not fetched again"


@pytest.mark.parametrize("call,error", [("open", 13), ("write", 5), ("pwrite", 5), ("pread", 5), ("fsync", 5),
                                        ("rename", 5), ("symlink", 30), ("ftruncate", 28)])
def test_f02_any_call_may_fail(home, tmp_path, call, error):
    """The nth call of a pull fails, for each n: an error that says so, or a model that is whole all the same."""
    data = RANDOM.randbytes(50_000)
    server = Server(files={REPOSITORY: {"gemma-4-E2B_q4_0-it.gguf": data}})
    mark = tmp_path / "failed"
    failures = 0
    for n in range(1, 60):
        mark.unlink(missing_ok=True)
        done = pull(server, home, "gemma4:e2b", "--retries", 1, LD_PRELOAD=str(FAIL_CALLS),
                    CARAT_FAIL=f"{call}:{n}:{error}", CARAT_FAILED=str(mark))
        assert done.returncode in (0, 1, 4, 5, 6, 7), (n, done.returncode, done.stderr)
        assert done.returncode == 0 or done.stderr.startswith("carat: "), done.stderr
        check_nothing_wrong(home)
        if done.returncode == 0:
            assert pathlib.Path(done.stdout.strip()).read_bytes() == data, (n, done.stderr)
        if not mark.exists():
            break
        # The first is the model's own; those of folders are a wish.
        assert done.returncode != 0 or (call, n) != ("fsync", 1), "what may not be on the disk is told to be here"
        failures += 1
        assert pulled(server, home).read_bytes() == data
        carat(server, home, "rm", "gemma4:e2b")
    assert not mark.exists(), "it goes on for ever"
    assert failures > 0 or call in ("pread", "ftruncate"), "no such call is made"
    server.close()


def test_f06_a_server_that_is_none(home):
    """No such name, nobody there, and no TLS where TLS is spoken."""
    server = Server(files=dict(FILES))
    for url in ("http://no-such-host.invalid", "http://127.0.0.1:1", server.url.replace("http:", "https:")):
        done = pull(server, home, "gemma4:e2b", "--retries", 1, HF_ENDPOINT=url)
        assert done.returncode == 6 and url.split("/")[2].split(":")[0] in done.stderr, done.stderr
    server.close()


def test_f07_a_flipped_bit_is_found_and_mended(server, home):
    """The size is right, a byte is not: verify names it, and a pull brings the right one."""
    path = pulled(server, home)
    blob = path.resolve()
    data = bytearray(MODEL)
    data[5_000_000] ^= 1
    blob.write_bytes(data)
    done = carat(server, home, "verify", "gemma4:e2b", "--json")
    assert done.returncode == 7, done.stderr
    hashes = [check for check in json.loads(done.stdout)["checks"] if check["component"] == "hash"]
    assert [check["ok"] for check in hashes].count(False) == 1
    assert pulled(server, home).read_bytes() == MODEL


def test_s11_digests_from_a_registry_are_no_paths(home, tmp_path):
    """A manifest whose digest is a path, and one whose digest is another file's."""
    server = Server(ollama={("library/evil", "1"): {"application/vnd.ollama.image.model": b"x" * 100}})
    for digest in ("sha256:../../../../evil", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "md5:" + "a" * 32, "../evil", "",
                   "sha256:" + "../evil/".ljust(64, "a")):
        server.digest = digest
        done = pull(server, home, "ollama.com/evil:1", "--retries", 1)
        assert done.returncode == 7 and "no SHA-256" in done.stderr, (digest, done.stderr)
    server.digest = "sha256:" + "a" * 64
    assert pull(server, home, "ollama.com/evil:1", "--retries", 1).returncode == 6
    assert not list(tmp_path.rglob("*evil*")) or all("models--" in str(found) or "ollama" in str(found)
                                                      for found in tmp_path.rglob("*evil*"))
    assert carat(server, home, "list", "--json").stdout == "[]\n"
    server.close()


def test_s17_a_file_that_changes_between_two_pulls(server, home):
    """What is left of a pull that broke off is of no use once the file is another one."""
    done_ranges = [0]

    def faults(kind, path):
        if kind != "data" or "cdn" not in path:
            return None
        done_ranges[0] += 1
        return None if done_ranges[0] <= 2 else 404

    server.faults = faults
    assert pull(server, home, "gemma4:e2b", "--connections", 1).returncode == 6
    server.close()
    other = RANDOM.randbytes(len(MODEL))
    changed = Server(files={REPOSITORY: {**FILES[REPOSITORY], "gemma-4-E2B_q4_0-it.gguf": other}}, commit="f" * 40)
    assert pulled(changed, home).read_bytes() == other
    check_nothing_wrong(home)
    changed.close()


def test_a_broken_blob_is_fetched_again(server, home):
    path = pulled(server, home)
    blob = path.resolve()
    blob.write_bytes(MODEL[:-5])  # as after a crash of the machine
    assert pulled(server, home).read_bytes() == MODEL
    blob.write_bytes(MODEL[:1000] + b"x" + MODEL[1001:])  # as from a failing disk
    done = pull(server, home)
    assert done.returncode == 0 and "is damaged" in done.stderr and path.read_bytes() == MODEL


def test_the_token_stays_with_the_hub(server, home):
    pulled(server, home, HF_TOKEN="hf_secret")
    kinds = {kind: {header for at, header in server.authorizations if at == kind} for kind in ("api", "data")}
    assert kinds["api"] == {"Bearer hf_secret"}
    assert kinds["data"] == {None}, "not sent to another host"
    server.authorizations.clear()
    pulled(server, home / "other", HF_TOKEN="hf_secret", HF_ENDPOINT="http://hub.test", http_proxy=server.url)
    assert {header for _, header in server.authorizations} == {None}, "nor where everyone can read along"


def test_hostile_file_names_go_nowhere(home, tmp_path):
    server = Server(files={"evil/repo": {"../../../../evil.gguf": b"x", "/tmp/evil.gguf": b"x", "a\\b.gguf": b"x",
                                         "good.gguf": b"good"}})
    path = pulled(server, home, "hf.co/evil/repo")
    assert path.name == "good.gguf" and path.read_bytes() == b"good"
    for name in ("../../../../evil.gguf", str(tmp_path / "evil.gguf"), "a\\b.gguf"):
        server.files = {"evil/repo": {name: b"x"}}
        done = pull(server, home / "alone", "hf.co/evil/repo")
        assert done.returncode not in (0, 1) and not done.stdout, (name, done.stderr)
    handle = "evil/repo/other/it"
    server.kaggle = {(handle, 1): {"../../../../evil.gguf": b"x", "good.gguf": b"good"}}
    assert pulled(server, home, f"kaggle.com/{handle}").read_bytes() == b"good"
    server.files, server.commit = {"evil/repo": {"good.gguf": b"good"}}, "../../../../evil.gguf"
    done = pull(server, home / "commit", "hf.co/evil/repo")
    assert done.returncode == 7 and "no commit" in done.stderr, done.stderr
    assert not list(tmp_path.rglob("evil.gguf"))
    server.close()


def test_folders_of_safetensors(home):
    files = {"config.json": b"{}", "model.safetensors": MODEL[:5000], "tokenizer.json": b"[]", "pytorch_model.bin": b"no"}
    server = Server(files={"google/gemma-4-E2B-it": files})
    path = pulled(server, home, "gemma4:e2b-bf16")
    assert sorted(entry.name for entry in path.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert [model["name"] for model in json.loads(carat(server, home, "list", "--json").stdout)] == ["gemma4:e2b-bf16"]
    server.close()


def test_ollama_registry(home):
    server = Server(ollama={("library/gemma3", "270m"): {
        "application/vnd.ollama.image.model": MODEL[:300_000], "application/vnd.ollama.image.projector": PROJECTOR,
        "application/vnd.ollama.image.license": b"terms"}})
    path = pulled(server, home, "ollama.com/gemma3:270m")
    assert path.name == "model.gguf" and path.read_bytes() == MODEL[:300_000]
    assert path.with_name("mmproj.gguf").read_bytes() == PROJECTOR
    assert [m["name"] for m in json.loads(carat(server, home, "list", "--json").stdout)] == ["ollama.com/library/gemma3:270m"]
    assert pull(server, home, "ollama.com/gemma3:9b").returncode == 6
    server.close()


def test_kaggle(home):
    handle = "google/gemma-4/transformers/gemma-4-e2b-it"
    older = {"config.json": b"{}", "model.safetensors": MODEL[:1000]}
    newer = {"config.json": b"{ }", "model.safetensors": MODEL[:9_000_000], "tokenizer.json": b"[]"}
    server = Server(kaggle={(handle, 2): older, (handle, 3): newer})
    key = {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "secret"}

    failing = ["cut", 503, "cut", 500, 408]
    server.faults = lambda kind, path: failing.pop() if kind == "data" and failing else None
    path = pulled(server, home, f"kaggle.com/{handle}", **key)
    assert {entry.name: entry.read_bytes() for entry in path.iterdir()} == newer, "the latest version"
    path.joinpath("model.safetensors").resolve().write_bytes(MODEL[:1000])  # Kaggle has no hashes: its size tells
    path = pulled(server, home, f"kaggle.com/{handle}", **key)
    assert {entry.name: entry.read_bytes() for entry in path.iterdir()} == newer, "whole again"
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    assert {header for _, header in server.authorizations} == {basic}
    path = pulled(server, home, f"kaggle.com/models/{handle}/2", **key)
    assert {entry.name: entry.read_bytes() for entry in path.iterdir()} == older
    server.authorizations.clear()
    assert pull(server, home, f"kaggle.com/{handle}", KAGGLE_API_TOKEN="token").returncode == 0
    assert {header for _, header in server.authorizations} == {"Bearer token"}
    assert pull(server, home, f"kaggle.com/{handle}/9").returncode == 6
    assert pull(server, home, f"kaggle.com/{handle}/x").returncode == 4
    server.close()


def test_removing_what_is_not_here_tells_what_is(server, home):
    done = carat(server, home, "rm", "nosuch")
    assert done.returncode == 3 and "no model is" in done.stderr, done.stderr
    pulled(server, home)
    for name in ("gemma4:e2", "gemma4:e4b"):
        done = carat(server, home, "rm", name)
        assert done.returncode == 3 and 'Did you mean "gemma4:e2b"' in done.stderr, done.stderr
    for command in ("rm", "pull", "show"):
        done = carat(server, home, command, "gem\x1b[31mma")
        assert done.returncode in (3, 4) and "31mma" in done.stderr and "\x1b" not in done.stderr, done.stderr


def test_names_and_exit_codes(server, home):
    for name, code, words in [("gema4:e2b", 3, 'Did you mean "gemma4:e2b"'), ("hf.co/a/../b", 4, "no model's name"),
                              ("hf.co/google/none", 6, "Check the name")]:
        done = pull(server, home, name)
        assert done.returncode == code and words in done.stderr, done.stderr
    missing = carat(server, home, "run", "gemma4:e2b", "hello")
    assert missing.returncode == 3 and "carat pull gemma4:e2b" in missing.stderr
    offline = pull(server, home, "gemma4:e2b", HF_HUB_OFFLINE="1")
    assert offline.returncode == 6 and "HF_HUB_OFFLINE" in offline.stderr


def test_progress_as_json(server, home):
    done = pull(server, home, "gemma4:e2b", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["bytes"] == sum(map(len, FILES[REPOSITORY].values())) - len(FILES[REPOSITORY]["README.md"])
    steps = [line["done"] for line in lines[:-1]]
    assert steps and steps == sorted(steps)


def test_cache_of_the_python_library_is_shared(server, home):
    """What huggingface_hub has fetched is used without a request for data, and the reverse."""
    pytest.importorskip("huggingface_hub")
    script = ("import sys, huggingface_hub as hub; "
              "print(hub.hf_hub_download(sys.argv[1], sys.argv[2], local_files_only=len(sys.argv) > 3))")

    def by_python(name, *more):
        done = subprocess.run([sys.executable, "-c", script, REPOSITORY, name, *more], capture_output=True, text=True,
                              env=environment(server, home, HF_HUB_DISABLE_XET="1"), timeout=60)
        assert done.returncode == 0, done.stderr
        return pathlib.Path(done.stdout.strip())

    names = list(FILES[REPOSITORY])[1:]
    theirs = [by_python(name) for name in names]
    before = server.requests["data"]
    assert pulled(server, home) == theirs[0]
    assert server.requests["data"] == before
    assert carat(server, home, "rm", "gemma4:e2b").returncode == 0
    assert pulled(server, home) == theirs[0]
    before = server.requests["data"]
    assert [by_python(name, "offline") for name in names] == theirs
    assert server.requests["data"] == before


def test_proxies(server, home):
    """Another host's server is asked through the proxy of the environment, this machine's and NO_PROXY's are not."""
    through = {"HF_ENDPOINT": "http://hub.test", "http_proxy": server.url}
    server.faults = lambda kind, path: None
    assert pulled(server, home, **through).read_bytes() == MODEL
    assert server.proxied["hub.test"] > 0
    assert pull(server, home / "other", "gemma4:e2b", "--retries", 0, NO_PROXY="hub.test", **through).returncode == 6
    assert pulled(server, home / "third", http_proxy="http://127.0.0.1:1").read_bytes() == MODEL


def test_certificates(home, tmp_path):
    """A server is believed by the certificates that SSL_CERT_FILE names, and by no others."""
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                           "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2", "-subj",
                           "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], capture_output=True)
    if made.returncode != 0:
        pytest.skip("NOTICE: needs the openssl program")
    server = Server(files=dict(FILES), certificate=(tmp_path / "cert.pem", tmp_path / "key.pem"))
    done = pull(server, home)
    assert done.returncode == 6 and "certificate" in done.stderr, done.stderr
    trust = {"SSL_CERT_FILE": tmp_path / "cert.pem"}
    assert pulled(server, home, **trust).read_bytes() == MODEL
    plain = Server(files=dict(FILES))
    server.content_url = "http://content.test"  # which the proxy would have
    done = pull(server, home / "plain", "gemma4:e2b", "--retries", 1, http_proxy=plain.url, **trust)
    assert done.returncode == 6 and "not HTTPS" in done.stderr and not plain.proxied, done.stderr
    plain.close()
    server.close()


def test_a_small_disk(server, home):
    """A file system with too little room: told before anything is fetched; with room for one file less, too."""
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=70m", "tmpfs", home], capture_output=True).returncode != 0:
        pytest.skip("NOTICE: may not mount a file system")
    try:
        done = pull(server, home)
        assert done.returncode == 5 and "MiB are free" in done.stderr, done.stderr
        assert server.bytes_sent == 0
        subprocess.run(["mount", "-o", "remount,size=90m", home], check=True)
        assert pulled(server, home).read_bytes() == MODEL
    finally:
        subprocess.run(["umount", home], check=True)


def test_prune(server, home):
    """What is removed is what no model needs; not what a pull is at."""
    kept = pulled(server, home)
    blobs = kept.resolve().parent
    (blobs / ("0" * 64)).write_bytes(b"of no model")
    (blobs / ("1" * 64 + ".carat-part")).write_bytes(b"half")
    (blobs / ("2" * 64 + ".carat-part")).write_bytes(b"being fetched")
    locks = cache(home) / ".locks" / blobs.parent.name
    with (locks / ("2" * 64 + ".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dry = carat(server, home, "prune", "--dry-run")
        assert dry.returncode == 0 and "0" * 64 in dry.stdout and "2" * 64 not in dry.stdout
        assert (blobs / ("0" * 64)).exists()
        assert "2" * 64 not in carat(server, home, "prune").stdout
    assert sorted(path.name[0] for path in blobs.iterdir() if path.name[:9] in ("0" * 9, "1" * 9, "2" * 9)) == ["2"]
    assert kept.read_bytes() == MODEL and carat(server, home, "verify", kept).returncode in (0, 7)


def test_doctor(server, home):
    findings = {}
    for arguments in ((), ("--offline",)):
        done = carat(server, home, "doctor", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        findings[arguments] = {entry["subject"]: entry for entry in json.loads(done.stdout)}
    subjects = ["carat", "kernels", "threads", "memory", "open files", "store", "catalogue", "clock", "network"]
    assert list(findings[()]) == subjects and list(findings[("--offline",)]) == subjects
    assert "answers (404)" in findings[()]["network"]["what"]
    assert "not asked" in findings[("--offline",)]["network"]["what"]
    dead = carat(server, home, "doctor", HF_ENDPOINT="http://127.0.0.1:1")
    assert dead.returncode == 0 and "Models can't be pulled" in dead.stdout
    home.mkdir(exist_ok=True)
    (home / "models.json").write_text("{")
    (home / "carat").symlink_to(home)
    broken = carat(server, home, "doctor", "--offline", XDG_CONFIG_HOME=home)
    assert broken.returncode == 1 and re.search(r"^bad +catalogue", broken.stdout, re.M), broken.stdout
