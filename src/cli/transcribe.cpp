// `carat transcribe`: speech to text, with timestamps.
#include <algorithm>

#include "audio/audio_encoder.h"
#include "audio/config.h"
#include "base/error.h"
#include "chat/speech_prompt.h"
#include "chat/transcript.h"
#include "cli/media_files.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/recording.h"
#include "cli/responder.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "media/speech_pieces.h"

namespace carat {

namespace {

constexpr std::size_t kCarriedWords = 12;  // of the piece before, told to the model
// Nobody says more: at three words a second and two tokens a word. What goes on longer is a model that repeats itself.
constexpr double kMaxTokensPerSecond = 12;
constexpr std::size_t kMaxTokensMore = 32;

struct TranscribeOptions {
  std::string model;
  std::string file;
  std::string mmproj;
  std::string language;
  std::string translate;
  std::string format = "text";
  std::string raw;  // of samples without a header
  std::size_t rate = kSoundRate;
  std::size_t channels = 1;
  ComputeFlags compute;
};

std::optional<PcmFormat> raw_format(const TranscribeOptions& options) {
  if (options.raw.empty()) return std::nullopt;
  const PcmType type = options.raw == "s16le" ? PcmType::kS16 : options.raw == "s32le" ? PcmType::kS32 : PcmType::kF32;
  return PcmFormat{type, options.rate, options.channels};
}

// The pieces of a recording one after another, each as soon as it has come in.
class PieceReader {
 public:
  explicit PieceReader(Recording& recording) : recording_(recording) {}

  // Forgets the piece before and reads up to the end of the next; false where there is none.
  bool next() {
    begin_ += piece_;
    sound_.erase(sound_.begin(), sound_.begin() + static_cast<std::ptrdiff_t>(piece_));
    while (is_open_ && sound_.size() < kMaxSoundSamples + kPieceLookAhead) is_open_ = recording_.read_more(sound_);
    piece_ = first_piece(sound_, kMaxSoundSamples);
    return piece_ > 0;
  }
  std::span<const float> samples() const { return std::span(sound_).first(piece_); }
  // Samples from the recording's beginning.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return begin_ + piece_; }

 private:
  Recording& recording_;
  bool is_open_ = true;
  std::vector<float> sound_;  // from begin_ on
  std::size_t begin_ = 0;
  std::size_t piece_ = 0;
};

// What is said in one piece.
SpeechText transcribe_piece(Responder& responder, const AudioEncoder& encoder, std::span<const float> sound,
                            const SpeechTask& task, std::string_view previous_words,
                            const std::function<bool()>& is_cancelled) {
  const Session& session = responder.session();
  if (!has_sound(sound)) return {};
  const auto soft = std::make_shared<const SoftTokens>(encoder.encode(session.media_compute(), sound, nullptr));
  const json::array messages{json::object{
      {"role", "user"},
      {"content", json::array{json::object{{"type", "text"}, {"text", speech_prompt(task, previous_words)}},
                              json::object{{"type", "audio"}}}}}};
  AnswerOptions answer;
  answer.sampling.temperature = 0;  // as the models were measured
  const double seconds = static_cast<double>(sound.size()) / kSoundRate;
  const auto once = static_cast<std::size_t>(seconds * kMaxTokensPerSecond) + kMaxTokensMore;
  answer.max_tokens = task.translation.empty() ? once : 2 * once;
  return parse_speech_answer(task, responder.reply(messages, {{soft}, {}}, {}, answer, {}, is_cancelled).content);
}

// Writes a transcript as it grows: subtitles and plain text piece by piece, JSON at the end.
class TranscriptWriter {
 public:
  explicit TranscriptWriter(std::string format) : format_(std::move(format)) {
    if (format_ == "vtt") write_stdout(kVttHeader);
  }

  void add(const TranscriptSegment& segment) {
    if (shown_text(segment).empty()) return;
    ++cues_;
    if (format_ == "srt") write_stdout(srt_cue(cues_, segment));
    if (format_ == "vtt") write_stdout(vtt_cue(segment));
    if (format_ == "text") write_stdout(shown_text(segment) + "\n");
  }
  void finish(const Transcript& transcript) const {
    if (format_ == "json") write_stdout(json::serialize(transcript_json(transcript)) + "\n");
  }

 private:
  std::string format_;
  std::size_t cues_ = 0;
};

void run_transcribe(const TranscribeOptions& options) {
  Transcript transcript;
  if (!options.language.empty()) transcript.language = language_name(options.language);
  if (!options.translate.empty()) transcript.translation = language_name(options.translate);
  const SpeechTask task{transcript.language, transcript.translation};
  Recording recording(options.file, raw_format(options));
  const auto model = Model::load(options.model, {.mmproj = options.mmproj});
  const AudioEncoder& encoder = model->require_audio();
  Responder responder(model, compute_options(options.compute), session_options(options.compute));
  if (!responder.has_template()) {
    throw Error(ErrorKind::kUnsupported, str(model->path().string(),
                                             ": is a base model, which can't be asked to transcribe. Take an "
                                             "instruction-tuned one, whose name ends in -it."));
  }

  TranscriptWriter writer(options.format);
  ProgressBar progress("transcribing", false, ProgressBar::Unit::kSeconds);
  std::string previous_words;
  PieceReader piece(recording);
  while (piece.next()) {
    const std::size_t length = recording.length().value_or(piece.end());
    progress.update(piece.begin() / kSoundRate, length / kSoundRate);
    SpeechText said = transcribe_piece(responder, encoder, piece.samples(), task, previous_words,
                                       [&] { return progress.is_interrupted(); });
    progress.update(piece.end() / kSoundRate, length / kSoundRate);  // ends here where it was interrupted
    progress.clear();
    previous_words = last_words(said.transcript, kCarriedWords);
    transcript.duration = static_cast<double>(piece.end()) / kSoundRate;
    TranscriptSegment segment{static_cast<double>(piece.begin()) / kSoundRate, transcript.duration,
                              std::move(said.transcript), std::move(said.translation)};
    writer.add(segment);
    transcript.segments.push_back(std::move(segment));
  }
  writer.finish(transcript);
}

}  // namespace

void define_transcribe(Command root, Action& action) {
  auto options = std::make_shared<TranscribeOptions>();
  const Command verb =
      root.add_verb("transcribe", "Write down what is said, in a recording of up to an hour or into a microphone",
                    "carat transcribe model.gguf talk.mp3 --language German --format srt > talk.srt");
  add_model(verb, options->model);
  verb.option("FILE", options->file,
              "A WAV, FLAC, OGG, MP3 or AIFF file; - for standard input, where bare samples and "
              "WAV are written down as they come in")
      .required()
      .value("FILE");
  add_mmproj(verb, options->mmproj);
  verb.option("--language", options->language, "What is spoken, by name or code (default: the model finds out)")
      .value("NAME");
  verb.option("--translate", options->translate, "Translate into this language").value("NAME");
  verb.option("--format", options->format, "How to write it; times are those of pieces of up to 30 s")
      .one_of({"text", "json", "srt", "vtt"})
      .with_default();
  constexpr const char* kGroup = "Samples without a header";
  verb.option("--raw", options->raw, "FILE holds bare samples of this type, little-endian")
      .one_of({"s16le", "s32le", "f32le"})
      .group(kGroup);
  verb.option("--rate", options->rate, "Samples a second, with --raw")
      .range(4'000, 192'000)
      .value("HZ")
      .with_default()
      .group(kGroup);
  add_count(verb, "--channels", options->channels, 1, 8, "Channels, interleaved, with --raw").group(kGroup);
  add_compute_flags(verb, options->compute);
  set_model_action(verb, action, options, run_transcribe);
}

}  // namespace carat
