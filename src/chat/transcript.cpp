#include "chat/transcript.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace carat {
namespace {

// "01:02:03,456"
std::string clock_text(double seconds, char point) {
  const auto ms = static_cast<unsigned long long>(std::llround(std::max(0.0, seconds) * 1000));
  char text[40];
  [[maybe_unused]] const int length = std::snprintf(text, sizeof(text), "%02llu:%02llu:%02llu%c%03llu", ms / 3'600'000,
                                                    ms / 60'000 % 60, ms / 1000 % 60, point, ms % 1000);
  return text;
}

// A cue ends at an empty line, and "-->" would begin another.
std::string cue_text(std::string text) {
  for (std::size_t at = 0; (at = text.find("\n\n", at)) != std::string::npos;) text.erase(at, 1);
  for (std::size_t at = 0; (at = text.find("-->", at)) != std::string::npos;) text.replace(at, 3, "->");
  return text;
}

std::string vtt_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

double rounded_to_ms(double seconds) {
  return std::round(seconds * 1000) / 1000;
}

}  // namespace

const std::string& shown_text(const TranscriptSegment& segment) {
  return segment.translation.empty() ? segment.text : segment.translation;
}

std::string shown_text(const Transcript& transcript) {
  std::string text;
  for (const TranscriptSegment& segment : transcript.segments) {
    if (shown_text(segment).empty()) continue;
    if (!text.empty()) text += ' ';
    text += shown_text(segment);
  }
  return text;
}

json::object transcript_json(const Transcript& transcript) {
  json::array segments;
  for (const TranscriptSegment& segment : transcript.segments) {
    json::object entry{{"id", segments.size()},
                       {"start", rounded_to_ms(segment.begin)},
                       {"end", rounded_to_ms(segment.end)},
                       {"text", shown_text(segment)}};
    if (!transcript.translation.empty()) entry["transcript"] = segment.text;
    segments.push_back(std::move(entry));
  }
  json::object object{{"text", shown_text(transcript)}, {"duration", rounded_to_ms(transcript.duration)}};
  if (!transcript.language.empty()) object["language"] = transcript.language;
  if (!transcript.translation.empty()) object["translation"] = transcript.translation;
  object["segments"] = std::move(segments);
  return object;
}

std::string srt_cue(std::size_t number, const TranscriptSegment& segment) {
  return str(number, "\n", clock_text(segment.begin, ','), " --> ", clock_text(segment.end, ','), "\n",
             cue_text(shown_text(segment)), "\n\n");
}

std::string vtt_cue(const TranscriptSegment& segment) {
  return str(clock_text(segment.begin, '.'), " --> ", clock_text(segment.end, '.'), "\n",
             vtt_escaped(cue_text(shown_text(segment))), "\n\n");
}

}  // namespace carat
