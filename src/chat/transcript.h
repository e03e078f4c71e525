// Transcript: what was said when, and the formats it is written in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace carat {

struct TranscriptSegment {
  double begin = 0;  // seconds
  double end = 0;
  std::string text;
  std::string translation;  // empty where none was asked for
};

struct Transcript {
  std::string language;     // as asked for; empty: the one that is spoken
  std::string translation;  // into which language; empty: none
  double duration = 0;      // seconds
  std::vector<TranscriptSegment> segments;
};

// Of a segment or of all: the translation where there is one, otherwise what was said.
const std::string& shown_text(const TranscriptSegment& segment);
std::string shown_text(const Transcript& transcript);

// {"text", "duration", "segments": [{"id", "start", "end", "text"}]}, with "language", "translation" and each segment's
// "transcript" where they were asked for.
json::object transcript_json(const Transcript& transcript);
// A segment as SubRip (number from 1 on) or WebVTT writes it, with the empty line behind it. WebVTT files begin with
// kVttHeader.
std::string srt_cue(std::size_t number, const TranscriptSegment& segment);
std::string vtt_cue(const TranscriptSegment& segment);
inline constexpr std::string_view kVttHeader = "WEBVTT\n\n";

}  // namespace carat
