// What `carat run` is asked for.
#pragma once

#include <optional>
#include <string>

#include "cli/answer.h"
#include "cli/media_files.h"
#include "cli/options.h"

namespace carat {

struct RunOptions {
  std::string model;
  std::optional<std::string> prompt;
  std::string system;
  std::string think = "off";
  std::string color = "auto";
  MediaFlags media;
  AnswerOptions answer;
  ComputeFlags compute;
  bool is_raw = false;
  bool has_stats = false;
  bool is_json = false;
  bool is_json_lines = false;  // --jsonl
  bool is_buffered = false;    // --no-stream
  bool shows_thinking = false;
  bool folds_thinking = false;
  bool is_wrapped = true;
  bool has_history = true;
};

}  // namespace carat
