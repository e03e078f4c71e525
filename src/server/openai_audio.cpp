#include "server/openai_audio.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>

#include "chat/speech_prompt.h"
#include "chat/transcript.h"
#include "media/audio.h"
#include "media/speech_pieces.h"
#include "server/dialect.h"

namespace carat {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{25} << 20;
constexpr std::size_t kMaxPieceSamples = 30 * kSoundRate;  // what the model hears at once
constexpr std::string_view kFormats[] = {"json", "text", "srt", "vtt", "verbose_json"};

struct AudioOptions {
  std::string format = "json";
  SpeechTask task;
  double temperature = 0;
  std::vector<TranscriptSegment> segments;  // of the call's requests; their texts are still to come
};

// Mono samples as a WAV file with 16 bits a sample: how a piece goes to the engine.
std::string wav_file(std::span<const float> samples) {
  constexpr std::uint32_t kSampleBytes = 2;
  constexpr float kFullScale = 32767;
  std::string file;
  const auto add = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file += static_cast<char>(value >> (8 * i) & 0xffU);
  };
  const auto data_bytes = static_cast<std::uint32_t>(samples.size()) * kSampleBytes;
  file += "RIFF";
  add(36 + data_bytes, 4);
  file += "WAVEfmt ";
  add(16, 4);
  add(1, 2);  // PCM
  add(1, 2);  // one channel
  add(kSoundRate, 4);
  add(kSoundRate * kSampleBytes, 4);
  add(kSampleBytes, 2);
  add(8 * kSampleBytes, 2);
  file += "data";
  add(data_bytes, 4);
  for (const float sample : samples) {
    add(static_cast<std::uint32_t>(static_cast<std::int32_t>(std::clamp(sample, -1.0F, 1.0F) * kFullScale)), 2);
  }
  return file;
}

class AudioFormat : public AnswerFormat {
 public:
  explicit AudioFormat(AudioOptions options) : options_(std::move(options)) {}

  std::string_view stream_type() const override { return "text/event-stream; charset=utf-8"; }

  // Pieces are answered side by side, and told in their order: a piece's text as soon as those before it are complete.
  std::string event(std::size_t request, const Event& event) override {
    if (const auto* content = std::get_if<ContentText>(&event.body)) answers_[request] += content->text;
    const auto* done = std::get_if<Done>(&event.body);
    if (done == nullptr) return {};
    add(usage_, done->usage);
    is_complete_[request] = true;
    std::string out;
    for (; told_ < is_complete_.size() && is_complete_[told_]; ++told_) {
      std::string delta = text_.empty() ? "" : " ";
      delta += piece_text(answers_[told_]);
      text_ += delta;
      out += sse_data({{"type", "transcript.text.delta"}, {"delta", delta}});
    }
    return out;
  }

  std::string end() override {
    return sse_data({{"type", "transcript.text.done"}, {"text", text_}, {"usage", usage_json()}}) + "data: [DONE]\n\n";
  }

  std::string stream_error(const ApiError& error, std::string_view request_id) override {
    return sse_data(error_json(Dialect::kOpenAi, error, request_id));
  }

  ServerResponse whole(std::span<WholeAnswer> answers) override {
    for (std::size_t i = 0; i < answers.size(); ++i) {
      options_.segments[i].text = piece_text(answers[i].choices.front().content);
      add(usage_, answers[i].usage);
    }
    std::string text;
    std::string cues;
    for (std::size_t i = 0; i < options_.segments.size(); ++i) {
      const TranscriptSegment& segment = options_.segments[i];
      if (!text.empty()) text += ' ';
      text += segment.text;
      cues += options_.format == "srt" ? srt_cue(i + 1, segment) : vtt_cue(segment);
    }
    ServerResponse response;
    response.content_type = "text/plain; charset=utf-8";
    if (options_.format == "text") {
      response.body = text + "\n";
    } else if (options_.format == "srt") {
      response.body = cues;
    } else if (options_.format == "vtt") {
      response.body = std::string(kVttHeader) + cues;
    } else {
      response.content_type = "application/json";
      json::object body{{"text", text}, {"usage", usage_json()}};
      if (options_.format == "verbose_json") add_details(body);
      response.body = json::serialize(body);
    }
    return response;
  }

 private:
  std::string piece_text(std::string_view answer) const {
    SpeechText text = parse_speech_answer(options_.task, answer);
    return options_.task.translation.empty() ? std::move(text.transcript) : std::move(text.translation);
  }

  static void add(Usage& sum, const Usage& usage) {
    sum.prompt_tokens += usage.prompt_tokens;
    sum.audio_tokens += usage.audio_tokens;
    sum.completion_tokens += usage.completion_tokens;
  }

  json::object usage_json() const {
    return {{"type", "tokens"},
            {"input_tokens", usage_.prompt_tokens},
            {"input_token_details",
             {{"audio_tokens", usage_.audio_tokens}, {"text_tokens", usage_.prompt_tokens - usage_.audio_tokens}}},
            {"output_tokens", usage_.completion_tokens},
            {"total_tokens", usage_.prompt_tokens + usage_.completion_tokens}};
  }

  // A segment for each piece: the model says what, not when.
  void add_details(json::object& body) const {
    const bool is_translation = !options_.task.translation.empty();
    body["task"] = is_translation ? "translate" : "transcribe";
    body["language"] = is_translation ? options_.task.translation : options_.task.language;
    body["duration"] = options_.segments.back().end;
    json::array segments;
    for (const TranscriptSegment& segment : options_.segments) {
      segments.push_back({{"id", segments.size()},
                          {"seek", 0},
                          {"start", segment.begin},
                          {"end", segment.end},
                          {"text", segment.text},
                          {"tokens", json::array()},
                          {"temperature", options_.temperature},
                          {"avg_logprob", 0.0},
                          {"compression_ratio", 1.0},
                          {"no_speech_prob", 0.0}});
    }
    body["segments"] = std::move(segments);
  }

  AudioOptions options_;
  std::vector<std::string> answers_ = std::vector<std::string>(options_.segments.size());  // of a stream
  std::vector<bool> is_complete_ = std::vector<bool>(options_.segments.size());
  std::size_t told_ = 0;
  std::string text_;
  Usage usage_;
};

Request piece_request(const AudioOptions& options, std::string text, std::string file) {
  Request request;
  request.sampling.temperature = options.temperature;
  Message message;
  message.content.emplace_back(TextPart{std::move(text)});
  MediaPart media;
  media.kind = MediaKind::kAudio;
  media.bytes = std::move(file);
  message.content.emplace_back(std::move(media));  // Gemma wants sound behind the words about it
  Conversation conversation;
  conversation.messages.push_back(std::move(message));
  conversation.thinking.is_enabled = false;
  request.prompt = std::move(conversation);
  return request;
}

}  // namespace

std::string form_value(const std::vector<FormPart>& form, std::string_view name) {
  const auto found = std::ranges::find(form, name, &FormPart::name);
  return found != form.end() ? found->value : "";
}

Call parse_openai_audio(const std::vector<FormPart>& form, bool is_translation, bool is_opaque) {
  const auto field = [&](std::string_view name) { return form_value(form, name); };
  const auto file = std::ranges::find(form, "file", &FormPart::name);
  if (file == form.end()) throw ApiError(400, "missing_required_parameter", "file is required.", "file");
  if (file->value.empty()) throw ApiError(400, "invalid_audio", "file is empty.", "file");
  if (file->value.size() > kMaxFileBytes) {
    throw ApiError(413, "request_too_large",
                   str("file has ", file->value.size(), " bytes, the limit is ", kMaxFileBytes, "."), "file");
  }
  const std::string model = field("model");
  if (model.empty()) throw ApiError(400, "missing_required_parameter", "model is required.", "model");
  AudioOptions options;
  if (const std::string format = field("response_format"); !format.empty()) options.format = format;
  if (std::ranges::find(kFormats, options.format) == std::end(kFormats)) {
    throw ApiError(400, "invalid_value", "response_format must be json, text, srt, vtt or verbose_json.",
                   "response_format");
  }
  if (const std::string temperature = field("temperature"); !temperature.empty()) {
    const char* end = temperature.data() + temperature.size();
    const auto read = std::from_chars(temperature.data(), end, options.temperature);
    if (read.ec != std::errc() || read.ptr != end || !(options.temperature >= 0 && options.temperature <= 2)) {
      throw ApiError(400, "invalid_value", "temperature must be a number from 0 to 2.", "temperature");
    }
  }
  const std::string stream = field("stream");
  if (!stream.empty() && stream != "true" && stream != "false") {
    throw ApiError(400, "invalid_type", "stream must be true or false.", "stream");
  }
  if (const std::string language = field("language"); !language.empty())
    options.task.language = language_name(language);
  if (is_translation) options.task.translation = "English";

  std::string prompt = speech_prompt(options.task, "");
  if (const std::string hint = field("prompt"); !hint.empty()) prompt += str("\n\nContext: ", hint);
  Call call;
  call.is_streaming = stream == "true";
  if (is_opaque) {
    options.segments.emplace_back();
    call.requests.push_back(piece_request(options, prompt, file->value));
  } else {
    const std::vector<float> sound = decode_sound(std::as_bytes(std::span(file->value)), "file");
    for (const SoundPiece& piece : cut_at_silences(sound, kMaxPieceSamples)) {
      const double rate = kSoundRate;
      options.segments.push_back(
          {static_cast<double>(piece.begin) / rate, static_cast<double>(piece.end) / rate, "", ""});
      const auto samples = std::span(sound).subspan(piece.begin, piece.end - piece.begin);
      call.requests.push_back(piece_request(options, prompt, wav_file(samples)));
    }
  }
  for (Request& request : call.requests) request.model = model;
  call.format = std::make_unique<AudioFormat>(std::move(options));
  return call;
}

}  // namespace carat
