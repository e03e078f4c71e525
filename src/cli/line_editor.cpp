#include "cli/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/unicode.h"
#include "cli/subprocess.h"
#include "cli/terminal.h"

namespace carat {

namespace {

constexpr std::string_view kFence = "\"\"\"";
constexpr std::string_view kPasteOn = "\x1b[?2004h";
constexpr std::string_view kPasteOff = "\x1b[?2004l";
constexpr std::wstring_view kPasteEnd = L"\x1b[201~";
constexpr int kHistoryLines = 1000;
constexpr std::size_t kShownCompletions = 60;

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

// Line ends as line feeds, no control characters but these and tabs, none at the end.
std::string clean_text(std::string_view text) {
  std::string clean;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r') {
      clean += '\n';
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
    } else if (static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\t') {
      clean += c;
    }
  }
  while (clean.ends_with('\n')) clean.pop_back();
  return clean;
}

// A file of the person's own for a message to be edited in; gone with this object.
class MessageFile {
 public:
  MessageFile() {
    const char* folder = std::getenv("TMPDIR");
    path_ = str(folder != nullptr && *folder == '/' ? folder : "/tmp", "/carat-message-XXXXXX.md");
    const int file = ::mkstemps(path_.data(), 3);  // mode 0600
    if (file < 0) {
      path_.clear();
    } else {
      ::close(file);
    }
  }
  ~MessageFile() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }
  MessageFile(const MessageFile&) = delete;
  MessageFile& operator=(const MessageFile&) = delete;

  const std::string& path() const { return path_; }  // empty where none could be made
  void write(std::string_view text) const { std::ofstream(path_) << text << '\n'; }
  std::string read() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

// As other programs read these variables: a shell splits the value, so that it may hold options.
std::vector<std::string> editor_command(const std::string& file) {
  for (const char* variable : {"VISUAL", "EDITOR"}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value != '\0') return {"sh", "-c", str(value, " \"$1\""), "sh", file};
  }
  return {"vi", file};
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
  Completer completer;
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
  unsigned char edit_in_program();
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
  return el_insertstr(editor, clean_text(narrow(text)).c_str()) == 0 ? CC_REFRESH : CC_ERROR;
}

unsigned char LineEditor::Impl::complete() {
  const LineInfo* line = el_line(editor);
  const std::string typed(line->buffer, line->cursor);
  const std::vector<std::string> found = completer(typed);
  if (found.empty()) return CC_REFRESH_BEEP;
  std::string common = found.front();
  for (const std::string& candidate : found) {
    while (!candidate.starts_with(common)) common.pop_back();
  }
  while (!is_valid_utf8(common)) common.pop_back();  // candidates may differ within a character
  if (common.size() > typed.size()) {
    return el_insertstr(editor, common.c_str() + typed.size()) == 0 ? CC_REFRESH : CC_ERROR;
  }
  if (found.size() == 1) return CC_REFRESH_BEEP;
  // Nothing to add: show the choice, without what they share up to a blank or slash.
  const std::size_t shared = typed.find_last_of(" /", typed.size() > 1 ? typed.size() - 1 : 0);
  const std::size_t skipped = shared == std::string::npos || shared == 0 ? 0 : shared + 1;
  std::string list = "\n";
  for (std::size_t i = 0; i < found.size() && i < kShownCompletions; ++i) list += found[i].substr(skipped) + "  ";
  if (found.size() > kShownCompletions) list += str("and ", found.size() - kShownCompletions, " more");
  write_stdout(list + "\n");
  return CC_REDISPLAY;
}

unsigned char LineEditor::Impl::edit_in_program() {
  const LineInfo* line = el_line(editor);
  const MessageFile file;
  if (file.path().empty()) return CC_ERROR;
  file.write(std::string_view(line->buffer, static_cast<std::size_t>(line->lastchar - line->buffer)));
  if (stdout_is_terminal()) write_stdout(str(kPasteOff, "\n"));
  el_set(editor, EL_PREP_TERM, 0);
  const std::vector<std::string> command = editor_command(file.path());
  const std::optional<int> code = run_program(command);
  el_set(editor, EL_PREP_TERM, 1);
  if (stdout_is_terminal()) write_stdout(kPasteOn);
  if (code != 0) {
    write_stderr("The editor did not end well; the message is as it was. Set EDITOR to the one you like.\n");
    return CC_REDISPLAY;
  }
  const std::string text = clean_text(file.read());
  if (!is_valid_utf8(text)) {
    write_stderr("The edited message is not UTF-8; it is as it was.\n");
    return CC_REDISPLAY;
  }
  const LineInfoW* wide = el_wline(editor);  // positions are in characters
  el_cursor(editor, static_cast<int>(wide->lastchar - wide->cursor));
  el_deletestr(editor, static_cast<int>(wide->lastchar - wide->buffer));
  if (!text.empty() && el_insertstr(editor, text.c_str()) != 0) return CC_ERROR;
  return CC_REDISPLAY;
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

LineEditor::LineEditor(const InterruptGuard& guard, std::filesystem::path history_file, Completer completer)
    : impl_(new Impl{guard, std::move(history_file), std::move(completer)}) {
  // libedit and wcwidth follow the locale; text is UTF-8 whatever the environment says.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) {
    static_cast<void>(std::setlocale(LC_CTYPE, "C.UTF-8"));  // glibc always has it
  }
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
      editor, EL_ADDFN, "carat-complete", "Complete what is typed",
      +[](EditLine* self, int) { return Impl::of(self).complete(); });
  el_set(
      editor, EL_ADDFN, "carat-editor", "Open the message in an editor",
      +[](EditLine* self, int) { return Impl::of(self).edit_in_program(); });
  el_set(editor, EL_BIND, "\x1b[200~", "carat-paste", nullptr);
  el_set(editor, EL_BIND, "^I", "carat-complete", nullptr);
  el_set(editor, EL_BIND, "^G", "carat-editor", nullptr);
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
