// What `carat run` is asked for.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/answer.h"
#include "cli/media_files.h"
#include "cli/options.h"

namespace carat {

// The form of the answer, as it stands on the command line; at most one of them.
struct FormatFlags {
  std::string format;  // "json" or the file of a schema
  std::string regex;
  std::string grammar;  // a file
  std::vector<std::string> choices;
};

// The tools that the model may call.
struct ToolFlags {
  std::string file;
  std::vector<std::string> mcp_commands;
  bool is_confirmed = false;  // --yes
  std::size_t max_rounds = 20;
  std::size_t timeout_seconds = 60;
};

struct RunOptions {
  std::string model;
  std::string assistant;
  std::optional<std::string> prompt;
  std::string system;
  std::string think = "off";
  std::string color = "auto";
  MediaFlags media;
  AnswerOptions answer;
  FormatFlags form;
  ToolFlags tools;
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
