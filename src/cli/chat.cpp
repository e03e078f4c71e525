#include "cli/chat.h"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/unicode.h"
#include "cli/answer_printer.h"
#include "cli/clipboard.h"
#include "cli/line_editor.h"
#include "cli/media_in_text.h"
#include "cli/path_completion.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "store/atomic_file.h"

namespace carat {

namespace {

// Text of one line from what stands behind a command.
std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

void say(std::string_view text) {
  write_stderr(text);
  if (!text.ends_with('\n')) write_stderr("\n");
}

class Chat {
 public:
  Chat(std::unique_ptr<Responder> responder, const ModelOpener& open_model, const RunOptions& options,
       std::unique_ptr<Tools> tools);
  void run();

 private:
  // What the tab key completes behind a command.
  enum class Completes { kNothing, kPaths, kSettings, kThink, kTools };
  struct Command {
    std::string name;  // "/set"
    std::string arguments;
    Completes completes;
    std::string what;
    void (Chat::*action)(const std::string& argument);
  };
  static const std::vector<Command>& commands();
  static std::vector<std::string> command_names();
  static std::vector<std::string> completions(const std::string& typed);

  void handle(const std::string& message);
  void do_command(const std::string& line);
  void add_message(const std::string& text);
  std::string take_media(const std::string& text);
  void answer();
  Reply ask_model(const ReplySink& sink);
  bool drop_last_answer();

  void help(const std::string& argument);
  void bye(const std::string& argument);
  void clear(const std::string& argument);
  void regenerate(const std::string& argument);
  void undo(const std::string& argument);
  void set_system(const std::string& argument);
  void set(const std::string& argument);
  void show(const std::string& argument);
  void think(const std::string& argument);
  void stats(const std::string& argument);
  void save(const std::string& argument);
  void load(const std::string& argument);
  void attach_file(const std::string& argument);
  void attach_image(const std::string& argument);
  void attach_audio(const std::string& argument);
  void attach_video(const std::string& argument);
  std::size_t attach_medium(const MediaFile& file);
  void attach_and_say(const MediaFile& file);
  void change_tools(const std::string& argument);
  void change_model(const std::string& argument);
  void copy(const std::string& argument);
  void thoughts(const std::string& argument);

  std::unique_ptr<Responder> responder_;
  ModelOpener open_model_;
  RunOptions options_;
  std::unique_ptr<Tools> tools_;  // null: none
  InterruptGuard guard_;
  LineEditor editor_;
  json::array messages_;  // without the system message
  std::string attached_;  // files that go with the next message, ready to stand before it
  std::vector<MediaFile> attached_media_;
  std::string last_thoughts_;
  AnswerStats last_stats_;
  bool is_leaving_ = false;
};

const std::vector<Chat::Command>& Chat::commands() {
  static const std::vector<Command> list{
      {"/help", "", Completes::kNothing, "this list", &Chat::help},
      {"/bye", "", Completes::kNothing, "leave (Ctrl-D does too)", &Chat::bye},
      {"/clear", "", Completes::kNothing, "forget the conversation", &Chat::clear},
      {"/regen", "", Completes::kNothing, "answer the last message again", &Chat::regenerate},
      {"/undo", "", Completes::kNothing, "forget the last message and its answer", &Chat::undo},
      {"/file", "FILE", Completes::kPaths, "send a text file along with the next message", &Chat::attach_file},
      {"/image", "FILE [N|auto]", Completes::kPaths, "send a picture along, of at most N soft tokens",
       &Chat::attach_image},
      {"/audio", "FILE", Completes::kPaths, "send a sound along", &Chat::attach_audio},
      {"/video", "FILE", Completes::kPaths, "send a film or a folder of pictures along", &Chat::attach_video},
      {"/copy", "", Completes::kNothing, "put the last answer into the clipboard", &Chat::copy},
      {"/tools", "[FILE|off]", Completes::kTools, "list what the model may call; let it call other tools, or none",
       &Chat::change_tools},
      {"/system", "TEXT", Completes::kNothing, "set the system message; without TEXT: remove it", &Chat::set_system},
      {"/model", "MODEL", Completes::kPaths, "go on with another model", &Chat::change_model},
      {"/set", "NAME VALUE", Completes::kSettings, "set a sampling parameter; /show lists them", &Chat::set},
      {"/show", "", Completes::kNothing, "model, settings and length of the conversation", &Chat::show},
      {"/think", "on|off", Completes::kThink, "let the model think before it answers", &Chat::think},
      {"/think", "fold|unfold", Completes::kThink, "show thoughts as one line, or as they are", &Chat::think},
      {"/thoughts", "", Completes::kNothing, "show what was thought before the last answer", &Chat::thoughts},
      {"/stats", "", Completes::kNothing, "speed of the last answer, memory", &Chat::stats},
      {"/save", "FILE", Completes::kPaths, "write the conversation as JSON", &Chat::save},
      {"/load", "FILE", Completes::kPaths, "go on with a saved conversation", &Chat::load},
  };
  return list;
}

std::vector<std::string> Chat::command_names() {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.push_back(command.name);
  return names;
}

// A command's name, or behind its name what it takes.
std::vector<std::string> Chat::completions(const std::string& typed) {
  std::vector<std::string> found;
  const auto offer = [&](std::string candidate) {
    if (candidate.starts_with(typed) && std::find(found.begin(), found.end(), candidate) == found.end()) {
      found.push_back(std::move(candidate));
    }
  };
  const std::size_t blank = typed.find(' ');
  if (!typed.starts_with('/')) return found;
  if (blank == std::string::npos) {
    for (const Command& command : commands()) offer(command.name + (command.arguments.empty() ? "" : " "));
    return found;
  }
  const std::string head = typed.substr(0, blank + 1);
  for (const Command& command : commands()) {
    if (head != command.name + " ") continue;
    if (command.completes == Completes::kTools) offer(head + "off");
    if (command.completes == Completes::kPaths || command.completes == Completes::kTools) {
      for (const std::string& path : complete_path(typed.substr(blank + 1))) offer(head + path);
    } else if (command.completes == Completes::kThink) {
      for (const char* choice : {"on", "off", "fold", "unfold"}) offer(head + choice);
    } else if (command.completes == Completes::kSettings) {
      for (const std::string_view name : sampling_param_names()) offer(str(head, name, " "));
    }
  }
  return found;
}

Chat::Chat(std::unique_ptr<Responder> responder, const ModelOpener& open_model, const RunOptions& options,
           std::unique_ptr<Tools> tools)
    : responder_(std::move(responder)),
      open_model_(open_model),
      options_(options),
      tools_(std::move(tools)),
      editor_(guard_, options.has_history ? default_history_file() : std::filesystem::path(), completions) {}

void Chat::run() {
  say(responder_->has_template() ? "Type a message, or /help. Ctrl-C stops an answer, Ctrl-D leaves."
                                 : "This is a base model: it continues what you type. /help lists commands.");
  bool was_interrupted = false;
  while (!is_leaving_) {
    guard_.clear();
    const LineResult input = editor_.read_message(">>> ", "... ");
    if (input.event == LineResult::Event::kEnd) {
      write_stdout("\n");
      return;
    }
    if (input.event == LineResult::Event::kInterrupt) {
      write_stdout("\n");
      if (!input.text.empty()) continue;  // only took back what was typed
      if (was_interrupted) return;
      say("To leave, press Ctrl-C once more or Ctrl-D, or type /bye.");
      was_interrupted = true;
      continue;
    }
    was_interrupted = false;
    try {
      handle(input.text);
    } catch (const Error& error) {
      say(str("carat: ", error.what()));
    }
  }
}

void Chat::handle(const std::string& message) {
  if (trimmed(message).empty()) return;
  // "/home/..." is a path, not a command.
  const std::string first_word = message.substr(0, message.find_first_of(" \t\n"));
  if (first_word.starts_with('/') && first_word.find('/', 1) == std::string::npos &&
      message.find('\n') == std::string::npos) {
    do_command(message);
    return;
  }
  add_message(message);
  answer();
}

// A message of the person's, with what was attached to it.
void Chat::add_message(const std::string& typed) {
  if (!is_valid_utf8(typed)) throw Error(ErrorKind::kBadInput, "the message is not UTF-8.");
  const std::string text = responder_->has_template() && !options_.is_raw ? take_media(typed) : typed;
  messages_.push_back(
      {{"role", "user"},
       {"content", content_with_media(std::exchange(attached_, {}) + text, std::exchange(attached_media_, {}))}});
}

// The text without the paths of pictures, sounds and films in it, which are attached.
std::string Chat::take_media(const std::string& text) {
  std::string rest;
  std::size_t copied = 0;
  for (const MediaInText& medium : find_media(text)) {
    const std::string name = printable(medium.file.path);
    try {
      const std::size_t tokens = attach_medium(medium.file);
      rest += text.substr(copied, medium.begin - copied);
      copied = medium.end;
      say(str(name, " (", tokens, " tokens) is sent along."));
    } catch (const Error& error) {
      say(str("carat: ", error.what(), " It is sent as text."));
    }
  }
  return rest + text.substr(copied);
}

void Chat::do_command(const std::string& line) {
  const std::size_t blank = line.find_first_of(" \t");
  const std::string name = line.substr(0, blank);
  const std::string argument = blank == std::string::npos ? "" : trimmed(line.substr(blank));
  for (const Command& command : commands()) {
    if (command.name != name) continue;
    (this->*command.action)(argument);
    return;
  }
  const auto meant = nearest_name(name, command_names());
  throw Error(ErrorKind::kBadInput, str("there is no command ", printable(name), ". ",
                                        meant ? str("Did you mean ", *meant, "?") : "/help lists them."));
}

// Answers the last message. Where that fails the message is taken back, so that the next one starts clean.
void Chat::answer() {
  const bool is_terminal = stdout_is_terminal();
  AnswerPrinter printer({.is_terminal = is_terminal,
                         .has_color = wants_color(options_.color, is_terminal),
                         .is_wrapped = is_terminal && options_.is_wrapped && terminal_has_control_sequences(),
                         .thoughts = options_.folds_thinking ? ThoughtsView::kFolded : ThoughtsView::kShown});
  const ReplySink sink{[&](std::string_view text) { printer.content(text); },
                       [&](std::string_view text) { printer.thinking(text); }};
  const std::size_t asked = messages_.size();
  try {
    const Reply reply = ask_model(sink);
    printer.finish();
    last_stats_ = reply.answer.stats;
    last_thoughts_ = reply.thinking;
    if (reply.answer.finish_reason == FinishReason::kCancelled) say("(stopped)");
    if (reply.answer.finish_reason == FinishReason::kLength) say("(reached the limit of tokens)");
    if (options_.has_stats) say(stats_text(last_stats_, responder_->session()));
  } catch (const Error&) {
    printer.finish();
    messages_.resize(asked - 1);
    throw;
  }
}

// Appends the model's turns to the conversation: one, or with tools several and the results of calls.
Reply Chat::ask_model(const ReplySink& sink) {
  const auto is_cancelled = [this] { return guard_.is_interrupted(); };
  if (!responder_->has_template() || options_.is_raw) {
    const json::value& content = messages_.back().at("content");
    if (!content.is_string()) throw Error(ErrorKind::kUnsupported, "a base model takes no pictures and sounds.");
    const std::string text(content.get_string());
    Reply reply = responder_->complete(text, options_.is_raw, {}, options_.answer, sink, is_cancelled);
    messages_.push_back({{"role", "assistant"}, {"content", reply.content}});
    return reply;
  }
  json::array messages = messages_;
  if (!options_.system.empty()) {
    messages.insert(messages.begin(), json::object{{"role", "system"}, {"content", options_.system}});
  }
  const LoadedMedia media = responder_->load_media(messages);
  const ReplyOptions how{.thinks = options_.think == "on"};
  if (!tools_) {
    Reply reply = responder_->reply(messages, media, how, options_.answer, sink, is_cancelled);
    messages_.push_back({{"role", "assistant"}, {"content", reply.content}});
    return reply;
  }
  const std::size_t known = messages.size();
  Reply reply = reply_with_tools(*responder_, messages, media, *tools_, options_, how, sink, is_cancelled);
  for (std::size_t i = known; i < messages.size(); ++i) messages_.push_back(messages[i]);
  return reply;
}

// All that came after the person's last message.
bool Chat::drop_last_answer() {
  const std::size_t count = messages_.size();
  while (!messages_.empty() && messages_.back().at("role") != "user") messages_.pop_back();
  return messages_.size() < count;
}

void Chat::help(const std::string&) {
  std::ostringstream out;
  for (const Command& command : commands()) {
    std::string name = command.name + " " + command.arguments;
    name.resize(std::max<std::size_t>(name.size(), 20), ' ');
    out << name << command.what << '\n';
  }
  out << "A message that begins with \"\"\" goes on until a line ends with \"\"\";\n"
         "one that ends with \\ goes on with the next line.\n"
         "Tab completes commands and paths, Ctrl-R searches what was typed before,\n"
         "Ctrl-G opens the message in your editor ($EDITOR).\n";
  say(out.str());
}

void Chat::bye(const std::string&) {
  is_leaving_ = true;
}

void Chat::clear(const std::string&) {
  messages_.clear();
  attached_.clear();
  attached_media_.clear();
  last_thoughts_.clear();
  say("The conversation is forgotten.");
}

void Chat::regenerate(const std::string&) {
  drop_last_answer();
  if (messages_.empty()) throw Error(ErrorKind::kBadInput, "there is no message to answer yet.");
  answer();
}

void Chat::undo(const std::string&) {
  drop_last_answer();
  if (messages_.empty()) throw Error(ErrorKind::kBadInput, "there is nothing to undo.");
  messages_.pop_back();
  say(str("Taken back; ", messages_.size(), " messages are left."));
}

void Chat::set_system(const std::string& argument) {
  options_.system = argument;
  say(argument.empty() ? "There is no system message now." : "The system message is set.");
}

void Chat::set(const std::string& argument) {
  const std::size_t blank = argument.find_first_of(" \t");
  if (blank == std::string::npos) throw Error(ErrorKind::kBadInput, "/set takes a name and a value: /set top-k 20");
  SamplingParams params = options_.answer.sampling;
  set_sampling_param(params, argument.substr(0, blank), trimmed(argument.substr(blank)));
  validate(params, responder_->session().model().config().decoder.vocab);
  options_.answer.sampling = params;
}

void Chat::show(const std::string&) {
  const Session& session = responder_->session();
  say(str("model               ", printable(session.model().path().string(), 4096), "\ncontext             ",
          session.position(), " of ", session.context(), " tokens\nmessages            ", messages_.size(),
          "\nsystem              ", options_.system.empty() ? "none" : printable(options_.system, 1000),
          "\nthink               ", options_.think, options_.folds_thinking ? ", folded" : "", "\n",
          sampling_params_text(options_.answer.sampling)));
}

void Chat::think(const std::string& argument) {
  if (argument == "on" || argument == "off") {
    options_.think = argument;
  } else if (argument == "fold" || argument == "unfold") {
    options_.folds_thinking = argument == "fold";
  } else {
    throw Error(ErrorKind::kBadInput, "/think takes on or off, fold or unfold.");
  }
}

void Chat::thoughts(const std::string&) {
  if (last_thoughts_.empty()) throw Error(ErrorKind::kBadInput, "there were no thoughts before the last answer.");
  const bool is_terminal = stdout_is_terminal();
  AnswerPrinter printer({.is_terminal = is_terminal,
                         .has_color = wants_color(options_.color, is_terminal),
                         .is_wrapped = is_terminal && options_.is_wrapped && terminal_has_control_sequences(),
                         .thoughts = ThoughtsView::kShown});
  printer.thinking(last_thoughts_);
  printer.finish();
}

void Chat::copy(const std::string&) {
  if (messages_.empty() || messages_.back().at("role") != "assistant") {
    throw Error(ErrorKind::kBadInput, "there is no answer to copy yet.");
  }
  copy_to_clipboard(messages_.back().at("content").as_string());
  say("The answer is copied.");
}

void Chat::attach_file(const std::string& argument) {
  if (argument.empty()) throw Error(ErrorKind::kBadInput, "/file takes the name of a file.");
  const std::string path = expand_home(argument);
  std::string text = read_input_file(path);
  if (!is_valid_utf8(text)) {
    throw Error(ErrorKind::kBadInput, str(printable(argument),
                                          ": is no UTF-8 text. Convert it first, for instance "
                                          "with `iconv -f WINDOWS-1252 -t UTF-8`."));
  }
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  attached_ += str(std::filesystem::path(path).filename().string(), ":\n```\n", text, "```\n\n");
  say(str(printable(argument), " (", text.size(), " bytes) goes with the next message."));
}

void Chat::attach_image(const std::string& argument) {
  MediaFile file{MediaKind::kImage, argument};
  // A last word that is a budget is one.
  const std::size_t blank = argument.find_last_of(" \t");
  const std::string last = blank == std::string::npos ? "" : argument.substr(blank + 1);
  if (last == "auto" || (!last.empty() && last.find_first_not_of("0123456789") == std::string::npos)) {
    file.budget = last;
    file.path = trimmed(argument.substr(0, blank));
  }
  attach_and_say(file);
}

void Chat::attach_audio(const std::string& argument) {
  attach_and_say({MediaKind::kAudio, argument});
}

void Chat::attach_video(const std::string& argument) {
  attach_and_say({MediaKind::kVideo, argument});
}

void Chat::attach_and_say(const MediaFile& file) {
  if (file.path.empty()) throw Error(ErrorKind::kBadInput, "the command takes the name of a file.");
  const std::size_t tokens = attach_medium(file);
  say(str(printable(file.path), " (", tokens, " tokens) goes with the next message."));
}

// Encoded at once, so that what is wrong with it shows now; it is not encoded again for the answer. Returns its number
// of soft tokens.
std::size_t Chat::attach_medium(const MediaFile& file) {
  MediaFile found = file;
  found.path = expand_home(file.path);
  const json::array message{json::object{{"content", content_with_media("", {found})}}};
  std::size_t tokens = 0;
  for (const SharedSoftTokens& soft : responder_->load_media(message).soft) tokens += soft->count();
  const std::string note = shrinking_note(responder_->session().model(), found);
  if (!note.empty()) say(note);
  attached_media_.push_back(found);
  return tokens;
}

void Chat::change_tools(const std::string& argument) {
  if (argument == "off") {
    tools_.reset();
  } else if (!argument.empty()) {
    if (!responder_->has_template()) throw Error(ErrorKind::kUnsupported, "a base model knows no tools.");
    ToolFlags flags = options_.tools;
    flags.file = expand_home(argument);
    flags.mcp_commands.clear();
    tools_ = std::make_unique<Tools>(flags, false);  // the old ones stay if this fails
  }
  if (!tools_) return say("The model has no tools. /tools FILE lets it call those of a file, as --tools does.");
  for (const ToolDescription& tool : tools_->toolbox.tools()) {
    say(str(printable(tool.name), tool.description.empty() ? "" : ": ", printable(tool.description, 200)));
  }
}

void Chat::change_model(const std::string& argument) {
  if (argument.empty()) throw Error(ErrorKind::kBadInput, "/model takes a model: a file, a folder or a name.");
  auto responder = open_model_(expand_home(argument));  // the old one stays if this fails
  responder_ = std::move(responder);
  options_.model = argument;
  say(str("Going on with ", printable(argument), "."));
}

void Chat::stats(const std::string&) {
  say(stats_text(last_stats_, responder_->session()));
}

void Chat::save(const std::string& argument) {
  if (argument.empty()) throw Error(ErrorKind::kBadInput, "/save takes the name of a file.");
  // Whole or not at all: what was saved before under the name stays until then.
  constexpr unsigned kOwnersAlone = 0600;
  write_file_atomically(std::filesystem::absolute(expand_home(argument)),
                        json::serialize(json::object{{"system", options_.system}, {"messages", messages_}}) + "\n",
                        kOwnersAlone);
  say(str(messages_.size(), " messages are saved."));
}

void Chat::load(const std::string& argument) {
  if (argument.empty()) throw Error(ErrorKind::kBadInput, "/load takes the name of a file.");
  const std::string where = printable(argument);
  const json::value saved = parse_json(read_input_file(expand_home(argument)), where, ErrorKind::kBadInput);
  const auto bad = [&where] { return Error(ErrorKind::kBadInput, where + ": is no conversation that /save wrote."); };
  const json::object* object = saved.if_object();
  const json::value* messages = object != nullptr ? find_member(*object, "messages") : nullptr;
  if (messages == nullptr || !messages->is_array()) throw bad();
  for (const json::value& message : messages->get_array()) {
    const json::object* entry = message.if_object();
    if (entry == nullptr) throw bad();
    for (const char* key : {"role", "content"}) {
      const json::value* member = find_member(*entry, key);
      if (member == nullptr || !is_message_content(*member)) throw bad();
    }
    if (!entry->at("role").is_string()) throw bad();
  }
  const json::value* system = find_member(*object, "system");
  if (system != nullptr && !system->is_string()) throw bad();
  messages_ = messages->get_array();
  options_.system = system != nullptr ? std::string(system->get_string()) : "";
  say(str(messages_.size(), " messages are loaded."));
}

}  // namespace

void chat(std::unique_ptr<Responder> responder, const ModelOpener& open_model, const RunOptions& options,
          std::unique_ptr<Tools> tools) {
  Chat(std::move(responder), open_model, options, std::move(tools)).run();
}

}  // namespace carat
