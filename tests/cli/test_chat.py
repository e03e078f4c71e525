"""The interactive chat, at a pseudo-terminal."""

import base64
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import stat
import struct
import termios
import time

import pytest
from conftest import CARAT, GOLDEN, TESTS, saying

HELLO = 9259  # the token "Hello"
BLANK_HELLO = 26352  # the token " Hello"
ESCAPE = 265  # the byte 1B
PICTURE = GOLDEN / "media" / "images" / "photo.jpg"
SOUND = GOLDEN / "media" / "audio" / "short.wav"
CTRL_C, CTRL_D = "\x03", "\x04"
OPEN_THOUGHT = "{{ '<|channel>thought\\n' }}"  # behind a template: all that follows is thought


class Terminal:
    """carat at a terminal of its own: what is typed goes in, what is shown is waited for."""

    def __init__(self, *arguments, home, **environment):
        variables = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8", **environment}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(CARAT, [str(CARAT), *map(str, arguments)], variables)
        self.shown = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, pattern, timeout=60):
        """Waits until the pattern is shown; returns what was shown up to its end, and forgets it."""
        deadline = time.monotonic() + timeout
        while not (match := re.search(pattern, self.shown)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come: {self.shown!r}"
            if select.select([self.terminal], [], [], left)[0] and not self.read():
                raise AssertionError(f"carat ended before {pattern!r}: {self.shown!r}")
        text, self.shown = self.shown[:match.end()], self.shown[match.end():]
        return text

    def read(self):
        try:
            data = os.read(self.terminal, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)

    def say(self, line):
        """Types a line at the prompt and returns what comes up to the next prompt."""
        self.type(line + "\r")
        return self.wait_for(r"\n(?:\x1b\[[0-9;?]*[a-zA-Z])*>>> ")

    def code(self, timeout=30):
        """The exit code, once it has ended."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 0.05)[0]:
                self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"carat did not end: {self.shown!r}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture
def terminal(chat_model, tmp_path):
    """A function that starts a chat in which the model says Hello twice, or what the arguments make it say."""
    opened = []

    def start(*arguments, model=chat_model, **environment):
        if not arguments:
            arguments = ["--max-tokens", 2, *saying(HELLO)]
        opened.append(Terminal("run", model, *arguments, home=tmp_path, **environment))
        opened[-1].wait_for(">>> ")
        return opened[-1]

    yield start
    for chat in opened:
        chat.close()


def saved(chat, tmp_path):
    chat.say(f"/save {tmp_path / 'chat.json'}")
    return json.loads((tmp_path / "chat.json").read_text())


def test_answers_and_leaves_at_the_end_of_input(terminal):
    chat = terminal()
    assert "HelloHello" in chat.say("hi")
    assert "HelloHello" in chat.say("again")
    chat.type(CTRL_D)
    assert chat.code() == 0


def test_an_assistant_changes_no_answer(terminal, media_model, assistant, tmp_path):
    """Over two turns, of which the first ended with guesses that nobody took."""
    said = []
    for more in ([], ["--assistant", assistant]):
        chat = terminal("--max-tokens", 30, "--seed", 3, "--ignore-eos", *more, model=media_model)
        chat.say("hi")
        chat.say("and then?")
        said.append(saved(chat, tmp_path)["messages"])
    assert said[0] == said[1] and len(said[0]) == 4


def test_bye(terminal):
    chat = terminal()
    chat.type("/bye\r")
    assert chat.code() == 0


def test_ctrl_c_stops_the_answer_only(terminal, tmp_path):
    chat = terminal("--ignore-eos", "--ctx", 131072, *saying(HELLO))
    chat.type("hi\r")
    chat.wait_for("HelloHello")
    begin = time.monotonic()
    chat.type(CTRL_C)
    chat.wait_for(r"\(stopped\)")
    assert time.monotonic() - begin < 2  # a token of this model takes milliseconds; the rest is for busy machines
    chat.wait_for(">>> ")
    messages = saved(chat, tmp_path)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[1]["content"].startswith("HelloHello")  # the part that came is kept
    chat.type(CTRL_D)
    assert chat.code() == 0


def test_ctrl_c_at_the_prompt(terminal):
    chat = terminal()
    chat.type("half a message")
    chat.wait_for("half a message")
    chat.type(CTRL_C)  # takes back what was typed, and no more
    assert "To leave" not in chat.wait_for(">>> ")
    chat.type(CTRL_C)
    chat.wait_for("To leave")
    chat.wait_for(">>> ")
    assert "HelloHello" in chat.say("hi")
    chat.type(CTRL_C)
    chat.wait_for("To leave")
    chat.wait_for(">>> ")
    chat.type(CTRL_C)
    assert chat.code() == 0


def test_sigterm_leaves_the_terminal_in_order(terminal):
    chat = terminal()
    assert not termios.tcgetattr(chat.terminal)[3] & termios.ICANON  # editing
    os.kill(chat.pid, signal.SIGTERM)
    assert chat.code() == 143
    assert termios.tcgetattr(chat.terminal)[3] & termios.ICANON


def test_long_messages(terminal, tmp_path):
    chat = terminal()
    for line in ('"""first', "second", 'third"""'):
        chat.type(line + "\r")
        chat.wait_for(r"\.\.\. |HelloHello")
    chat.wait_for(">>> ")
    chat.type("one\\\r")
    chat.wait_for(r"\.\.\. ")
    chat.say("two")
    chat.say("\x1b[200~pasted\r\nin one\x07 piece\n/bye\n\x1b[201~")
    contents = [message["content"] for message in saved(chat, tmp_path)["messages"] if message["role"] == "user"]
    assert contents == ["first\nsecond\nthird", "one\ntwo", "pasted\nin one piece\n/bye"]


def test_editing_is_by_characters(terminal, tmp_path):
    chat = terminal()
    chat.say("gr\u00fcn\u00e9\x7f \u6f22\u5b57\U0001F600\x7f")  # with backspaces
    assert saved(chat, tmp_path)["messages"][0]["content"] == "gr\u00fcn \u6f22\u5b57"


def test_commands(terminal, tmp_path):
    chat = terminal()
    help_text = chat.say("/help")
    for command in ("/bye", "/clear", "/regen", "/undo", "/system", "/set", "/show", "/think", "/stats", "/save", "/load"):
        assert command in help_text
    assert "Did you mean /regen?" in chat.say("/regn")
    assert "no message" in chat.say("/regen")
    chat.say("hi")
    assert "HelloHello" in chat.say("/regen")
    assert len(saved(chat, tmp_path)["messages"]) == 2
    chat.say("second")
    chat.say("/undo")
    assert len(saved(chat, tmp_path)["messages"]) == 2
    chat.say("/system Be brief.")
    assert saved(chat, tmp_path)["system"] == "Be brief."
    chat.say("/set top-k 7")
    shown = chat.say("/show")
    assert re.search(r"top-k +7\r", shown) and "Be brief." in shown and re.search(r"messages +2\r", shown)
    assert "number" in chat.say("/set top-k many")
    assert "top_p" in chat.say("/set top-p 3")
    assert "there are temperature" in chat.say("/set warmth 3")
    chat.say("/think on")
    assert re.search(r"think +on\r", chat.say("/show"))
    assert "tokens/s" in chat.say("/stats")
    chat.say("/clear")
    assert saved(chat, tmp_path)["messages"] == []
    (tmp_path / "old.json").write_text(json.dumps({"messages": [{"role": "user", "content": "hi"},
                                                                {"role": "assistant", "content": "Hello"}]}))
    chat.say(f"/load {tmp_path / 'old.json'}")
    chat.say("and?")
    assert len(saved(chat, tmp_path)["messages"]) == 4
    (tmp_path / "bad.json").write_text("{\"messages\": [3]}")
    assert "no conversation" in chat.say(f"/load {tmp_path / 'bad.json'}")
    assert "carat: " in chat.say("/load /no/such/file")


def test_kill_while_a_conversation_is_saved(chat_model, tmp_path):
    """A saved conversation is the old one or the new one, never half of one, whenever the chat is killed."""
    path, chance = tmp_path / "chat.json", random.Random(8)
    words = "what was said " * 200
    long = {"system": "", "messages": [{"role": "user", "content": f"{i} {words}"} for i in range(4000)]}
    (tmp_path / "long.json").write_text(json.dumps(long))
    old = {"system": "old", "messages": []}
    begin, seconds = 0, 0.3
    for i in range(int(os.environ.get("CARAT_KILLS", 6)) + 1):
        path.write_text(json.dumps(old))
        chat = Terminal("run", chat_model, "--max-tokens", 2, *saying(HELLO), home=tmp_path)
        chat.wait_for(">>> ")
        chat.say(f"/load {tmp_path / 'long.json'}")
        begin = time.monotonic()
        chat.type(f"/save {path}\r")
        if i == 0:  # how long it takes
            chat.wait_for("4000 messages are saved")
            seconds = time.monotonic() - begin
            assert json.loads(path.read_text()) == long
        else:
            time.sleep(chance.uniform(0, 1.2) * seconds)
        chat.close()  # kill -9
        assert json.loads(path.read_text()) in (old, long)


def test_tab_completes_commands(terminal):
    chat = terminal()
    chat.type("/by\t\r")
    assert chat.code() == 0


def test_tab_completes_what_a_command_takes(terminal, tmp_path):
    (tmp_path / "saved chats").mkdir()
    (tmp_path / "saved chats" / "first.json").write_text(json.dumps({"messages": [{"role": "user", "content": "hi"}]}))
    chat = terminal()
    chat.type("/lo\t~/sav\tf\t\r")  # HOME is tmp_path
    chat.wait_for("1 messages are loaded")
    chat.wait_for(">>> ")
    chat.type("/set temp\t0.5\r")
    chat.wait_for(">>> ")
    assert re.search(r"temperature +0.5\r", chat.say("/show"))
    chat.type("/think unf\t\r")
    chat.wait_for(">>> ")
    chat.type("/s\t")  # several: they are listed
    listed = chat.wait_for("/stats")
    assert "/set" in listed and "/show" in listed
    chat.type(CTRL_C)
    chat.wait_for(">>> ")


def test_an_editor_changes_the_message(terminal, tmp_path):
    editor = tmp_path / "my editor"
    editor.write_text(r"""#!/bin/sh
stat -c %a "$2" > "$HOME/mode"
cat "$2" > "$HOME/before"
printf 'zw\303\266lf\nBoxk\303\244mpfer\n' > "$2"
""")
    editor.chmod(0o755)
    chat = terminal(EDITOR=f"'{editor}' --wait", TMPDIR=str(tmp_path))
    chat.type("eins \u00fc zwei\x1b[D\x1b[D\x07")  # with the cursor within the line
    chat.wait_for("Boxk\u00e4mpfer")
    chat.say("!")
    assert saved(chat, tmp_path)["messages"][0]["content"] == "zw\u00f6lf\nBoxk\u00e4mpfer!"
    assert (tmp_path / "before").read_text() == "eins \u00fc zwei\n"
    assert (tmp_path / "mode").read_text() == "600\n"
    assert not list(tmp_path.glob("carat-message-*"))


def test_an_editor_that_fails_changes_nothing(terminal, tmp_path):
    chat = terminal(EDITOR="/no/such/editor")
    chat.type("as it was\x07")
    chat.wait_for("Set EDITOR")
    chat.say("")
    assert saved(chat, tmp_path)["messages"][0]["content"] == "as it was"


def test_file_goes_with_the_next_message(terminal, tmp_path):
    (tmp_path / "notes.txt").write_text("- milk\n- eggs")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    chat = terminal()
    assert "14 bytes" in chat.say("/file ~/notes.txt")
    chat.say("what is there?")
    chat.say("and now?")
    contents = [message["content"] for message in saved(chat, tmp_path)["messages"] if message["role"] == "user"]
    assert contents == ["notes.txt:\n```\n- milk\n- eggs\n```\n\nwhat is there?", "and now?"]
    assert "no UTF-8 text" in chat.say(f"/file {tmp_path / 'latin.txt'}")
    assert "carat: " in chat.say("/file /no/such/file")


def test_media_go_with_the_next_message(terminal, media_model, tmp_path):
    (tmp_path / "my picture.png").symlink_to(PICTURE)
    (tmp_path / "short.wav").symlink_to(SOUND)
    (tmp_path / "broken.png").write_text("no picture")
    chat = terminal(model=media_model)
    assert "tokens) goes with" in chat.say("/image ~/my picture.png 70")
    assert "(8 tokens) goes with" in chat.say("/audio ~/short.wav")
    assert "HelloHello" in chat.say("look and listen")
    parts = saved(chat, tmp_path)["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image", "text", "audio"] and parts[0]["budget"] == "70"
    assert "carat: " in chat.say("/image ~/broken.png")
    assert "carat: " in chat.say("/video ~/none.mp4")
    assert "(130 tokens) goes with" in chat.say("/image ~/my picture.png auto")

    chat.say("/clear")
    answer = chat.say(f"what is in '~/my picture.png' and {str(tmp_path)}/my\\ picture.png, file://{tmp_path}/short.wav?")
    assert answer.count("is sent along") == 3 and "HelloHello" in answer
    parts = saved(chat, tmp_path)["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image", "image", "text", "audio"]
    assert parts[2]["text"] == "what is in  and , ?"
    assert "1 tokens" not in chat.say(f"{tmp_path}/short.wav")  # begins with a slash and is no command
    assert len(saved(chat, tmp_path)["messages"]) == 4

    chat.say("/clear")
    for text in ("what of ~/broken.png", "and /no/such/file.jpg"):
        answer = chat.say(text)
        assert "It is sent as text" in answer and "HelloHello" in answer
    assert [message["content"] for message in saved(chat, tmp_path)["messages"][::2]] == ["what of ~/broken.png",
                                                                                          "and /no/such/file.jpg"]


def test_a_model_without_eyes_says_so(terminal, tmp_path):
    chat = terminal()
    assert "can't see" in chat.say(f"/image {PICTURE}")
    answer = chat.say(f"what is in {PICTURE}?")
    assert "can't see" in answer and "It is sent as text" in answer and "HelloHello" in answer


def test_copy(terminal, tmp_path):
    copied = "\x1b]52;c;" + base64.b64encode(b"HelloHello").decode() + "\x07"
    chat = terminal()
    assert "no answer" in chat.say("/copy")
    chat.say("hi")
    assert copied in chat.say("/copy")
    program = tmp_path / "wl-copy"
    program.write_text('#!/bin/sh\ncat > "$HOME/clipboard"\n')
    program.chmod(0o755)
    desktop = terminal(WAYLAND_DISPLAY="wayland-0", PATH=f"{tmp_path}:{os.environ['PATH']}")
    desktop.say("hi")
    assert copied not in desktop.say("/copy")
    assert (tmp_path / "clipboard").read_text() == "HelloHello"


def test_another_model_goes_on_with_the_conversation(terminal, chat_model, tmp_path):
    (tmp_path / "other").symlink_to(chat_model)
    chat = terminal()
    chat.say("hi")
    assert "Going on with" in chat.say("/model ~/other")
    assert "/other" in chat.say("/show")
    assert "HelloHello" in chat.say("again")
    assert len(saved(chat, tmp_path)["messages"]) == 4
    assert "carat: /no/such/model" in chat.say("/model /no/such/model")
    assert "HelloHello" in chat.say("/regen")  # the one before is still there


def test_lines_are_broken_between_words(terminal, chat_model):
    arguments = ["--max-tokens", 12, *saying(BLANK_HELLO)]
    chat = terminal(*arguments)
    chat.resize(24, 40)
    chat.say("hi")
    answer = chat.say("hi")
    # The seventh word is rubbed out where it does not fit and stands on the next line.
    assert "Hello Hello Hello Hello Hello Hello Hel\x1b[3D\x1b[K\r\nHello Hello Hello Hello Hello Hello\r\n" in answer
    free = terminal(*arguments, "--no-wrap")
    free.resize(24, 40)
    assert "Hello" + " Hello" * 11 in free.say("hi")


def test_a_full_context_is_told_and_survived(terminal):
    chat = terminal("--ctx", 64, "--max-tokens", 2, *saying(HELLO))
    assert "the context holds 64" in chat.say("word " * 60)
    assert "HelloHello" in chat.say("hi")


def test_history(terminal, tmp_path):
    chat = terminal()
    chat.say("remember this")
    chat.type("\x1b[A")  # up
    chat.wait_for("remember this")
    chat.type("\r")
    chat.wait_for("HelloHello")
    chat.wait_for(">>> ")
    chat.type(CTRL_D)
    chat.code()
    file = tmp_path / ".local" / "state" / "carat" / "history"
    assert "remember" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = terminal()
    again.type("\x12remem")  # Ctrl-R searches
    again.wait_for("remember this")


def test_no_history(terminal, tmp_path):
    chat = terminal("--no-history", "--max-tokens", 2, *saying(HELLO))
    chat.say("secret")
    chat.type(CTRL_D)
    chat.code()
    assert not (tmp_path / ".local").exists()


def test_control_sequences_of_the_model_are_not_shown(terminal, chat_model, tmp_path):
    chat = terminal("--max-tokens", 3, *saying(ESCAPE))
    answer = chat.say("hi")
    assert "\x1b" not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", answer)  # but for those of the line editor


def test_thoughts_are_dimmed(terminal, chat_model, tmp_path):
    folder = tmp_path / "thinker"
    folder.mkdir()
    for file in chat_model.iterdir():
        if file.name != "chat_template.jinja":
            (folder / file.name).symlink_to(file)
    template = (TESTS / "data" / "gemma4-chat-template.jinja").read_text() + OPEN_THOUGHT
    (folder / "chat_template.jinja").write_text(template)
    arguments = ["--max-tokens", 2, *saying(HELLO)]
    assert "\x1b[2mHello" in terminal(*arguments, model=folder).say("hi")
    assert "\x1b[2m" not in terminal(*arguments, model=folder, NO_COLOR="1").say("hi")
    assert "\x1b[2m" not in terminal(*arguments, "--color", "never", model=folder).say("hi")
    chat = terminal("--max-tokens", 3, *saying(BLANK_HELLO), "--fold-thinking", "--color", "never", model=folder)
    folded = chat.say("hi")
    assert "(thoughts: 3 words)" in folded and "Hello" not in folded
    assert "Hello Hello Hello" in chat.say("/thoughts")
    chat.say("/think unfold")
    assert "Hello Hello Hello" in chat.say("hi")
    chat.say("/clear")
    assert "no thoughts" in chat.say("/thoughts")


def test_one_answer_at_a_terminal(chat_model, tmp_path):
    shell = Terminal("run", chat_model, "hi", "--max-tokens", 2, *saying(HELLO), home=tmp_path)
    assert shell.wait_for("HelloHello\r\n")
    assert shell.code() == 0
    shell.close()


def test_a_base_model_continues_text(gemma3, terminal):
    chat = terminal("--max-tokens", 8, "--temperature", 0, model=gemma3)
    assert "Rome" in chat.say("The capital of France is Paris, and the capital of Italy is")
