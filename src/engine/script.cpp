#include "engine/script.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "chat/chat_template.h"
#include "engine/byte_tokenizer.h"
#include "engine/step_runner.h"
#include "media/audio.h"
#include "media/image.h"
#include "model/media_tokens.h"

namespace carat {
namespace {

constexpr std::size_t kContext = 32768;
constexpr std::size_t kMaxContext = std::size_t{1} << 20;
constexpr std::size_t kMaxMilliseconds = 60'000;
constexpr std::size_t kHidden = 64;  // numbers of an embedding

struct ScriptAnswer {
  std::string if_text;
  std::optional<bool> if_tools, if_tool_response, if_thinking;
  std::vector<std::int32_t> tokens;  // of the output, the token that ends it included
  std::optional<std::size_t> step_ms;
  std::optional<std::size_t> error_after;  // tokens
  std::string error;
};

struct Script {
  std::string name = "scripted";
  std::size_t context = kContext;
  std::size_t step_ms = 0;
  std::size_t prompt_ms_per_token = 0;
  bool takes_any_media = false;
  std::vector<ScriptAnswer> answers;
};

// The output in tokens' pieces: control tokens, and words with the white space before them.
std::vector<std::string> split_output(std::string_view output) {
  constexpr std::size_t kMaxWord = 64;
  constexpr std::string_view kSpaces = " \t\r\n";
  std::vector<std::string> pieces;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) pieces.push_back(std::exchange(word, {}));
  };
  bool has_letters = false;
  for (std::size_t i = 0; i < output.size();) {
    const auto* control =
        std::ranges::find_if(kControlPieces, [&](std::string_view name) { return output.substr(i).starts_with(name); });
    if (control != kControlPieces.end()) {
      end_word();
      has_letters = false;
      pieces.emplace_back(*control);
      i += control->size();
      continue;
    }
    const bool is_space = kSpaces.find(output[i]) != std::string_view::npos;
    const bool begins_character = (static_cast<unsigned char>(output[i]) & 0xC0) != 0x80;
    if ((is_space && has_letters) || (begins_character && word.size() >= kMaxWord)) {
      end_word();
      has_letters = false;
    }
    has_letters = has_letters || !is_space;
    word += output[i++];
  }
  end_word();
  return pieces;
}

std::size_t milliseconds(const json::object& object, std::string_view key, std::string_view where) {
  const std::int64_t value = find_integer(object, key, where).value_or(0);
  if (value < 0 || static_cast<std::size_t>(value) > kMaxMilliseconds) {
    throw Error(ErrorKind::kBadFile, str(where, ": ", key, " is ", value, ", expected 0 to ", kMaxMilliseconds, "."));
  }
  return static_cast<std::size_t>(value);
}

// A script and the vocabulary made for it.
class ScriptReader {
 public:
  ScriptReader(const json::value& document, std::string_view where) : where_(where) {
    if (!document.is_object()) refuse("is no JSON object");
    read(document.get_object());
  }

  Script take_script() { return std::move(script_); }
  Tokenizer tokenizer() const { return byte_tokenizer(words_); }

 private:
  [[noreturn]] void refuse(std::string_view why) const {
    throw Error(ErrorKind::kBadFile, str(where_, ": ", why, "."));
  }

  // A control token by its name, or a word, which is added when it is new.
  std::int32_t token(const std::string& piece) {
    const auto* control = std::ranges::find(kControlPieces, piece);
    if (control != kControlPieces.end()) return static_cast<std::int32_t>(control - kControlPieces.begin());
    const auto next = static_cast<std::int32_t>(kFirstWord + words_.size());
    const auto [found, is_new] = ids_.try_emplace(piece, next);
    if (is_new) words_.push_back(piece);
    return found->second;
  }

  void read(const json::object& object) {
    if (const auto name = find_string(object, "name", where_)) script_.name = *name;
    const std::int64_t context = find_integer(object, "context", where_).value_or(kContext);
    if (context < 2 || static_cast<std::size_t>(context) > kMaxContext) {
      refuse(str("context is ", context, ", expected 2 to ", kMaxContext));
    }
    script_.context = static_cast<std::size_t>(context);
    script_.step_ms = milliseconds(object, "step_ms", where_);
    script_.prompt_ms_per_token = milliseconds(object, "prompt_ms_per_token", where_);
    script_.takes_any_media = find_boolean(object, "takes_any_media", where_).value_or(false);
    const json::array* answers = find_array(object, "answers", where_);
    if (answers == nullptr || answers->empty()) refuse("has no \"answers\", expected a list of at least one");
    for (std::size_t i = 0; i < answers->size(); ++i) {
      const std::string where = str(where_, ": answers[", i, "]");
      const json::object* answer = (*answers)[i].if_object();
      if (answer == nullptr) throw Error(ErrorKind::kBadFile, str(where, " is no object."));
      script_.answers.push_back(read_answer(*answer, where));
    }
  }

  ScriptAnswer read_answer(const json::object& object, const std::string& where) {
    ScriptAnswer answer;
    answer.if_text = find_string(object, "if_text", where).value_or("");
    answer.if_tools = find_boolean(object, "if_tools", where);
    answer.if_tool_response = find_boolean(object, "if_tool_response", where);
    answer.if_thinking = find_boolean(object, "if_thinking", where);
    if (find_member(object, "step_ms") != nullptr) answer.step_ms = milliseconds(object, "step_ms", where);
    const std::vector<std::string> pieces = split_output(find_string(object, "output", where).value_or(""));
    for (const std::string& piece : pieces) answer.tokens.push_back(token(piece));
    const bool awaits_tool = !pieces.empty() && pieces.back() == "<tool_call|>";
    answer.tokens.push_back(token(awaits_tool ? "<|tool_response>" : "<turn|>"));
    if (const json::object* error = find_object(object, "error", where)) {
      answer.error_after =
          static_cast<std::size_t>(std::max<std::int64_t>(0, find_integer(*error, "after", where).value_or(0)));
      answer.error = find_string(*error, "message", where).value_or("the script says so");
    }
    return answer;
  }

  std::string where_;
  Script script_;
  std::vector<std::string> words_;
  std::map<std::string, std::int32_t> ids_;  // of the words
};

class ScriptRunner final : public StepRunner {
 public:
  ScriptRunner(Script script, Tokenizer tokenizer)
      : script_(std::move(script)), tokenizer_(std::move(tokenizer)), pool_(1) {
    config_.vocab = tokenizer_.vocab().size();
    config_.context_length = script_.context;
    config_.hidden = kHidden;
    info_.name = script_.name;
    info_.architecture = "script";
    info_.trained_context = script_.context;
    info_.vocab = config_.vocab;
    info_.embedding_size = kHidden;
    info_.has_template = true;
    info_.sees_images = true;
    info_.hears_audio = true;
    info_.takes_any_media = script_.takes_any_media;
    info_.chat_template = builtin_template("gemma4");
    info_.template_revision = template_revision(info_.chat_template);
  }

  const DecoderConfig& config() const override { return config_; }
  const Tokenizer& tokenizer() const override { return tokenizer_; }
  const ModelInfo& info() const override { return info_; }
  bool is_intact() const override { return true; }
  // Files are looked at, so that damaged ones are refused; what is in them doesn't matter.
  SharedSoftTokens encode(const MediaPart& part, const std::string& where) override {
    constexpr std::size_t kSoftTokens = 4;
    const auto bytes = std::as_bytes(std::span(part.bytes));
    if (script_.takes_any_media) return std::make_shared<const SoftTokens>(part.kind, kSoftTokens, 0);
    if (part.kind == MediaKind::kImage) {
      decode_image(bytes, where);
    } else if (part.kind == MediaKind::kAudio) {
      decode_sound(bytes, where);
    } else {
      throw Error(ErrorKind::kUnsupported, str(where, ": films are not taken here."));
    }
    return std::make_shared<const SoftTokens>(part.kind, kSoftTokens, 0);
  }
  MediaTokenIds media_tokens() const override { return find_media_tokens(tokenizer_.vocab()); }

  ThreadPool& pool() override { return pool_; }

  void forward(const Batch& batch, std::span<const TokenHistory> histories,
               const std::function<bool()>& should_stop) override {
    next_.clear();
    now_.clear();
    std::size_t wait_ms = 0;
    for (const BatchRow& row : batch.rows) {
      const TokenHistory& history = histories[row.sequence];
      if (row.position < history.prompt) wait_ms += script_.prompt_ms_per_token;
      if (!row.wants_logits) continue;
      now_.push_back(row.token);
      const ScriptAnswer& answer = answer_to(history.tokens.first(history.prompt));
      wait_ms = std::max(wait_ms, answer.step_ms.value_or(script_.step_ms));
      const bool is_in_answer = row.position + 1 >= history.prompt;
      const std::size_t said = is_in_answer ? row.position + 1 - history.prompt : 0;
      if (is_in_answer && answer.error_after && said >= *answer.error_after) {
        throw Error(ErrorKind::kOutOfMemory, answer.error);
      }
      const std::vector<std::int32_t>& tokens = answer.tokens;
      next_.push_back({tokens[said % tokens.size()], tokens[(said + 1) % tokens.size()]});
    }
    wait(wait_ms, should_stop);
  }

  // A direction for each token (as far as they go): texts are alike that have words in common.
  MatView<const float> hidden(std::size_t first, std::size_t rows) override {
    hidden_.assign(rows * kHidden, 0.0F);
    for (std::size_t row = 0; row < rows; ++row) {
      hidden_[row * kHidden + static_cast<std::size_t>(now_[first + row]) % kHidden] = 1;
    }
    return {hidden_.data(), rows, kHidden};
  }

  MatView<float> logits(std::size_t first, std::size_t rows) override {
    // So far apart that no temperature in use draws another than the best that is allowed.
    constexpr float kScripted = 300;
    constexpr float kEnd = 200;
    constexpr float kAfterwards = 100;  // where the end is banned, the script goes on from its beginning
    logits_.resize(rows * config_.vocab);
    std::ranges::fill(logits_, 0.0F);
    const MatView<float> out(logits_.data(), rows, config_.vocab);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::span<float> values = out.row(row);
      for (const std::int32_t end : tokenizer_.vocab().ends()) values[static_cast<std::size_t>(end)] = kEnd;
      const auto& [now, afterwards] = next_[first + row];
      values[static_cast<std::size_t>(afterwards)] =
          std::max(kAfterwards, values[static_cast<std::size_t>(afterwards)]);
      values[static_cast<std::size_t>(now)] = kScripted;
    }
    return out;
  }

 private:
  struct NextTokens {
    std::int32_t now;
    std::int32_t afterwards;
  };

  // Found again by the prompt's tokens: a step asks for every sequence.
  const ScriptAnswer& answer_to(std::span<const std::int32_t> prompt) {
    constexpr std::size_t kMostRemembered = 4096;
    const std::string_view bytes(reinterpret_cast<const char*>(prompt.data()), prompt.size_bytes());
    const std::size_t hash = std::hash<std::string_view>()(bytes);
    const auto found = answers_.find(hash);
    if (found != answers_.end()) return script_.answers[found->second];
    if (answers_.size() == kMostRemembered) answers_.clear();
    const std::string text = tokenizer_.decode(prompt);
    std::size_t index = 0;
    while (index + 1 < script_.answers.size() && !holds(script_.answers[index], text)) ++index;
    answers_.emplace(hash, index);
    return script_.answers[index];
  }

  static bool holds(const ScriptAnswer& answer, std::string_view prompt) {
    const std::size_t user = prompt.rfind("<|turn>user");
    const std::string_view question = user == std::string_view::npos ? prompt : prompt.substr(user);
    const auto agrees = [](std::optional<bool> wanted, bool is) { return !wanted || *wanted == is; };
    return question.find(answer.if_text) != std::string_view::npos &&
           agrees(answer.if_tools, prompt.find("<|tool>") != std::string_view::npos) &&
           agrees(answer.if_tool_response, prompt.ends_with("<tool_response|>")) &&
           agrees(answer.if_thinking, prompt.find("<|think|>") != std::string_view::npos);
  }

  static void wait(std::size_t wait_ms, const std::function<bool()>& should_stop) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point end = Clock::now() + std::chrono::milliseconds(wait_ms);
    while (Clock::now() < end) {
      if (should_stop && should_stop()) throw Error(ErrorKind::kCancelled, "stopped while waiting");
      const auto left = end - Clock::now();
      std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::milliseconds(5)));
    }
  }

  Script script_;
  Tokenizer tokenizer_;
  DecoderConfig config_;
  ModelInfo info_;
  ThreadPool pool_;
  std::vector<NextTokens> next_;   // of the rows that wanted logits
  std::vector<std::int32_t> now_;  // the tokens in these rows
  std::vector<float> hidden_;
  std::vector<float> logits_;
  std::unordered_map<std::size_t, std::size_t> answers_;  // by hash of a prompt
};

}  // namespace

std::shared_ptr<Answerer> make_scripted_answerer(const json::value& script, std::string_view where,
                                                 EngineOptions options) {
  ScriptReader reader(script, where);
  auto runner = std::make_unique<ScriptRunner>(reader.take_script(), reader.tokenizer());
  if (options.context == 0) options.context = runner->config().context_length;
  // A script says itself what it answers.
  if (!options.constraints) {
    options.constraints = [](const Request&, const Tokenizer&) { return std::unique_ptr<TokenConstraint>(); };
  }
  return std::make_shared<Engine>(std::move(runner), std::move(options));
}

std::shared_ptr<Answerer> make_scripted_answerer(const std::filesystem::path& script, EngineOptions options) {
  return make_scripted_answerer(parse_json_file(script), script.string(), std::move(options));
}

}  // namespace carat
