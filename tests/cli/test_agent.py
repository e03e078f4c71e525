"""Tools on the command line: commands and a real MCP server, called by a model with random weights that is made to begin a
call and held to a right one by the grammar."""

import json
import os
import pathlib
import pty
import select
import shlex
import sys
import time

import pytest
from conftest import CARAT, run_carat
from test_chat import Terminal

TOOL_CALL = 48  # the token <|tool_call>
SERVER = pathlib.Path(__file__).with_name("mcp_server.py")
# The model opens a call wherever it may, but not within 20 tokens after one: then it ends its turn (token 106).
CALLING = ["--temperature", 0, "--logit-bias", f"{TOOL_CALL}=90", "--logit-bias", "106=60", "--frequency-penalty", 50,
           "--repeat-last-n", 20, "--max-tokens", 200]
PARAMETERS = {"type": "object", "properties": {"what": {"type": "integer", "minimum": 0, "maximum": 99}},
              "required": ["what"]}


def tools_file(folder, command, **fields):
    path = folder / "tools.json"
    path.write_text(json.dumps([{"name": "mark", "description": "Leaves a mark", "command": command,
                                 "parameters": PARAMETERS, **fields}]))
    return path


def events_of(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_command_is_called_and_its_result_goes_back(chat_model, tmp_path):
    tools = tools_file(tmp_path, ["tee", "-a", str(tmp_path / "mark")])
    done = run_carat("run", chat_model, "Hi", "--tools", tools, "--yes", "--jsonl", "--max-tool-rounds", 2, *CALLING)
    events = events_of(done)
    calls = [event for event in events if event["type"] == "tool_call"]
    results = [event for event in events if event["type"] == "tool_result"]
    assert calls and len(calls) == len(results)
    for call, result in zip(calls, results, strict=True):
        assert call["name"] == "mark" and 0 <= call["arguments"]["what"] <= 99
        assert json.loads(result["text"]) == call["arguments"] and not result["is_error"]
    assert len((tmp_path / "mark").read_text().splitlines()) == len(calls)
    assert "still calls tools after 2 rounds" in done.stderr
    assert events[-1]["type"] == "done"


def test_without_a_terminal_nothing_is_called(chat_model, tmp_path):
    tools = tools_file(tmp_path, ["touch", str(tmp_path / "mark")])
    done = run_carat("run", chat_model, "Hi", "--tools", tools, *CALLING, start_new_session=True)
    assert done.returncode == 4 and "--yes" in done.stderr
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("answer, is_called", [("y", True), ("n", False), ("a", True), ("", False)])
def test_calls_are_confirmed_at_the_terminal(chat_model, tmp_path, answer, is_called):
    tools = tools_file(tmp_path, ["touch", str(tmp_path / "mark")])
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(CARAT, [str(CARAT), "run", str(chat_model), "Hi", "--tools", str(tools), "--max-tool-rounds", "1",
                         *map(str, CALLING)])
    shown, has_answered, deadline = "", 0, time.monotonic() + 100
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data.decode(errors="replace")
        if shown.count("from now on: ") > has_answered:
            has_answered += 1
            os.write(terminal, (answer + "\n").encode())
    os.waitpid(pid, 0)
    assert "The model wants to call mark {\"what\":" in shown
    assert (tmp_path / "mark").exists() == is_called


def test_tools_in_a_chat(chat_model, tmp_path):
    tools = tools_file(tmp_path, ["tee", "-a", str(tmp_path / "mark")])
    chat = Terminal("run", chat_model, "--max-tool-rounds", 2, *CALLING, home=tmp_path)
    try:
        chat.wait_for(">>> ")
        assert "no tools" in chat.say("/tools")
        assert "carat: /no/such/file" in chat.say("/tools /no/such/file")
        assert "mark: Leaves a mark" in chat.say(f"/tools {tools}")
        chat.type("Hi\r")
        chat.wait_for("from now on: ")
        chat.type("n\r")
        chat.wait_for("did not allow|from now on: |still calls")
        chat.type("a\r")
        chat.wait_for("still calls tools after 2 rounds")
        chat.wait_for(">>> ")
        chat.say(f"/save {tmp_path / 'chat.json'}")
        messages = json.loads((tmp_path / "chat.json").read_text())["messages"]
        roles = [message["role"] for message in messages]
        assert roles[:2] == ["user", "assistant"] and roles.count("tool") >= 2 and messages[1]["tool_calls"]
        assert "1 messages are loaded" not in chat.say(f"/load {tmp_path / 'chat.json'}")
        chat.say("/undo")
        assert "nothing to undo" in chat.say("/undo")
        assert "no tools" in chat.say("/tools off")
    finally:
        chat.close()
    assert json.loads((tmp_path / "mark").read_text().splitlines()[0].rstrip())


def test_failures_go_to_the_model(chat_model, tmp_path):
    tools = tools_file(tmp_path, ["sleep", "30"], timeout_seconds=1)
    done = run_carat("run", chat_model, "Hi", "--tools", tools, "--yes", "--jsonl", "--max-tool-rounds", 1, *CALLING)
    results = [event for event in events_of(done) if event["type"] == "tool_result"]
    assert results and all("longer than 1 s" in result["text"] and result["is_error"] for result in results)


def server_command(*arguments):
    return shlex.join([sys.executable, str(SERVER), *map(str, arguments)])


def test_an_mcp_server_is_called(chat_model, tmp_path):
    file = tmp_path / "notes"
    done = run_carat("run", chat_model, "Hi", "--mcp", server_command(file), "--yes", "--jsonl", "--max-tool-rounds", 1,
                     "--tool-timeout", 30, *CALLING)
    events = events_of(done)
    results = [event for event in events if event["type"] == "tool_result"]
    assert results
    for result in results:
        if result["name"] == "note":
            assert result["text"].startswith("noted ") and not result["is_error"]
            assert result["text"].split()[-1] in file.read_text().split()
        elif result["name"] == "fail":
            assert "on purpose" in result["text"] and result["is_error"]


def test_an_mcp_server_that_does_not_speak(chat_model):
    done = run_carat("run", chat_model, "Hi", "--mcp", "sleep 60", "--yes", "--tool-timeout", 1)
    assert done.returncode == 4 and "did not answer \"initialize\" within 1 s" in done.stderr
    done = run_carat("run", chat_model, "Hi", "--mcp", "/no/such/server", "--yes")
    assert "could not be started" in done.stderr


@pytest.mark.parametrize("content, words", [
    ("{}", "expected a list of tools"),
    ('[{"name": "a", "command": "rm -rf /"}]', "No shell reads it"),
    ('[{"name": "a b", "command": ["true"]}]', "is not made of letters"),
    ('[{"name": "a", "command": ["true"]}, {"name": "a", "command": ["true"]}]', "two tools"),
])
def test_mistakes_in_the_file_are_named(chat_model, tmp_path, content, words):
    path = tmp_path / "tools.json"
    path.write_text(content)
    done = run_carat("run", chat_model, "Hi", "--tools", path, "--yes")
    assert done.returncode == 4 and words in done.stderr, done.stderr
