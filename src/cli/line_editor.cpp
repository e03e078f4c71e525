#include "cli/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <optional>
#include <utility>

#include "base/unicode.h"
#include "cli/terminal.h"

namespace carat {

namespace {

constexpr std::string_view kFence = "\"\"\"";
constexpr std::string_view kPasteOn = "\x1b[?2004h";
constexpr std::string_view kPasteOff = "\x1b[?2004l";
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";
constexpr int kHistoryLines = 1000;

std::string narrow(std::wstring_view text) {
  std::string out;
  std::mbstate_t state{};
  for (const wchar_t c : text) {
    char bytes[16];  // MB_LEN_MAX
    const std::size_t length = std::wcrtomb(bytes, c, &state);
    if (length != static_cast<std::size_t>(-1)) out.append(bytes, length);
  }
  return out;
}

}  // namespace

bool MessageAssembler::add_line(std::string_view line) {
  if (!is_open_ && line.starts_with(kFence)) {
    is_fenced_ = true;
    line.remove_prefix(kFence.size());
  }
  if (is_open_) text_ += '\n';
  is_open_ = false;
  if (is_fenced_) {
    is_open_ = !line.ends_with(kFence);
    if (!is_open_) line.remove_suffix(kFence.size());
  } else if (line.ends_with('\\')) {
    is_open_ = true;
    line.remove_suffix(1);
  }
  text_ += line;
  return !is_open_;
}

std::string MessageAssembler::take() {
  is_open_ = false;
  is_fenced_ = false;
  return std::exchange(text_, {});
}

struct LineEditor::Impl {
  const InterruptGuard& guard;
  std::filesystem::path history_file;
  std::vector<std::string> completions;
  std::string prompt{};
  std::string interrupted_text{};  // what was typed when Ctrl-C came
  EditLine* editor = nullptr;
  History* history = nullptr;

  static Impl& of(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<Impl*>(data);
  }

  std::optional<char> read_byte();
  int read_character(wchar_t* out);
  unsigned char paste();
  unsigned char complete();
  void remember(const std::string& line);
};

// nullopt at the end of input and when Ctrl-C came (the guard tells which).
std::optional<char> LineEditor::Impl::read_byte() {
  while (!guard.is_interrupted()) {
    char byte = 0;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count == 1) return byte;
    if (count == 0 || errno != EINTR) return std::nullopt;
    el_resize(editor);  // SIGWINCH, if it wasn't Ctrl-C
  }
  return std::nullopt;
}

// libedit's own reader swallows the first Ctrl-C. Returns 1 for a character, 0 at the end of input, -1 on Ctrl-C.
int LineEditor::Impl::read_character(wchar_t* out) {
  std::string bytes;
  while (true) {
    const std::optional<char> byte = read_byte();
    if (!byte && !guard.is_interrupted()) return 0;
    if (!byte) {
      const LineInfo* line = el_line(editor);
      interrupted_text.assign(line->buffer, line->lastchar);
      return -1;
    }
    bytes += *byte;
    if (utf8_character_length(bytes) != 0) break;
    if (!is_utf8_prefix(bytes)) bytes.clear();  // not UTF-8: nothing that could be shown or sent
  }
  std::mbstate_t state{};
  return std::mbrtowc(out, bytes.data(), bytes.size(), &state) <= bytes.size() ? 1 : 0;
}

// Between ESC[200~ and ESC[201~ all is text: line feeds don't end the message, control characters do nothing.
unsigned char LineEditor::Impl::paste() {
  std::wstring text;
  while (!text.ends_with(kPasteEnd)) {
    wchar_t c = 0;
    if (read_character(&c) != 1) return CC_EOF;
    text += c;
  }
  text.resize(text.size() - kPasteEnd.size());
  std::wstring clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == L'\r') {
      clean += L'\n';
      if (i + 1 < text.size() && text[i + 1] == L'\n') ++i;
    } else if (text[i] >= L' ' || text[i] == L'\n' || text[i] == L'\t') {
      clean += text[i];
    }
  }
  while (clean.ends_with(L'\n')) clean.pop_back();
  return el_insertstr(editor, narrow(clean).c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

unsigned char LineEditor::Impl::complete() {
  const LineInfo* line = el_line(editor);
  const std::string_view typed(line->buffer, static_cast<std::size_t>(line->cursor - line->buffer));
  std::string common;
  bool is_found = false;
  for (const std::string& word : completions) {
    if (typed.empty() || !word.starts_with(typed)) continue;
    if (!is_found) common = word;
    while (!word.starts_with(common)) common.pop_back();
    is_found = true;
  }
  if (common.size() <= typed.size()) return CC_REFRESH_BEEP;
  return el_insertstr(editor, common.c_str() + typed.size()) == 0 ? CC_REFRESH : CC_ERROR;
}

void LineEditor::Impl::remember(const std::string& line) {
  if (line.empty()) return;
  HistEvent event{};
  ::history(history, &event, H_ENTER, line.c_str());
  if (history_file.empty()) return;
  // Beside the file and then in its place, so that two chats at once leave a whole one. libedit sets mode 0600.
  const std::string fresh = history_file.string() + "." + std::to_string(::getpid());
  std::error_code ignored;
  if (::history(history, &event, H_SAVE, fresh.c_str()) >= 0) {
    std::filesystem::rename(fresh, history_file, ignored);
  }
}

LineEditor::LineEditor(const InterruptGuard& guard, std::filesystem::path history_file,
                       std::vector<std::string> completions)
    : impl_(new Impl{guard, std::move(history_file), std::move(completions)}) {
  // libedit and wcwidth follow the locale; text is UTF-8 whatever the environment says.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
  struct sigaction on_resize {};
  on_resize.sa_handler = [](int) {};  // only to make read() return
  ::sigaction(SIGWINCH, &on_resize, nullptr);

  Impl& impl = *impl_;
  HistEvent event{};
  impl.history = ::history_init();
  ::history(impl.history, &event, H_SETSIZE, kHistoryLines);
  ::history(impl.history, &event, H_SETUNIQUE, 1);
  if (!impl.history_file.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(impl.history_file.parent_path(), ignored);
    ::history(impl.history, &event, H_LOAD, impl.history_file.c_str());
  }

  EditLine* editor = el_init("carat", stdin, stdout, stderr);
  impl.editor = editor;
  el_set(editor, EL_CLIENTDATA, &impl);
  el_set(editor, EL_SIGNAL, 0);
  el_set(
      editor, EL_PROMPT, +[](EditLine* self) { return Impl::of(self).prompt.data(); });
  el_set(
      editor, EL_GETCFN, +[](EditLine* self, wchar_t* out) { return Impl::of(self).read_character(out); });
  el_set(editor, EL_HIST, ::history, impl.history);
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_SETTY, "-d", "-icrnl", "-inlcr",
         nullptr);  // so that CR LF in a pasted text can be told from two line ends
  el_set(
      editor, EL_ADDFN, "carat-paste", "Insert pasted text",
      +[](EditLine* self, int) { return Impl::of(self).paste(); });
  el_set(
      editor, EL_ADDFN, "carat-complete", "Complete a command",
      +[](EditLine* self, int) { return Impl::of(self).complete(); });
  el_set(editor, EL_BIND, "\x1b[200~", "carat-paste", nullptr);
  el_set(editor, EL_BIND, "^I", "carat-complete", nullptr);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_set(editor, EL_BIND, "\x1b[1~", "ed-move-to-beg", nullptr);
  el_set(editor, EL_BIND, "\x1b[4~", "ed-move-to-end", nullptr);
  el_set(editor, EL_BIND, "\x1b[3~", "ed-delete-next-char", nullptr);
  el_set(editor, EL_BIND, "\x1b[1;5C", "em-next-word", nullptr);
  el_set(editor, EL_BIND, "\x1b[1;5D", "ed-prev-word", nullptr);
}

LineEditor::~LineEditor() {
  el_end(impl_->editor);
  ::history_end(impl_->history);
}

LineResult LineEditor::read_line(std::string_view prompt) {
  Impl& impl = *impl_;
  impl.prompt = prompt;
  el_set(impl.editor, EL_PREP_TERM, 1);  // before the prompt is seen: a Ctrl-D typed in between would get lost
  if (stdout_is_terminal()) write_stdout(kPasteOn);
  int count = 0;
  const char* line = el_gets(impl.editor, &count);
  if (stdout_is_terminal()) write_stdout(kPasteOff);
  if (impl.guard.is_interrupted()) return {LineResult::Event::kInterrupt, std::exchange(impl.interrupted_text, {})};
  if (line == nullptr || count <= 0) return {LineResult::Event::kEnd, {}};
  std::string text(line, static_cast<std::size_t>(count));
  if (text.ends_with('\n')) text.pop_back();
  impl.remember(text);
  return {LineResult::Event::kLine, std::move(text)};
}

LineResult LineEditor::read_message(std::string_view prompt, std::string_view continuation_prompt) {
  MessageAssembler message;
  while (true) {
    LineResult line = read_line(message.is_open() ? continuation_prompt : prompt);
    if (line.event == LineResult::Event::kInterrupt && message.is_open()) line.text = message.take() + line.text;
    if (line.event != LineResult::Event::kLine) return line;
    if (message.add_line(line.text)) return {LineResult::Event::kLine, message.take()};
  }
}

std::filesystem::path default_history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return std::filesystem::path(state) / "carat" / "history";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') return {};
  return std::filesystem::path(home) / ".local" / "state" / "carat" / "history";
}

}  // namespace carat
