#include "engine/encode_segments.h"

namespace carat {

std::vector<std::int32_t> encode_segments(const Tokenizer& tokenizer, const MarkedText& prompt) {
  std::vector<std::int32_t> ids;
  const std::string_view text = prompt.view();
  std::size_t done = 0;  // everything before it is in ids
  const auto encode_up_to = [&](std::size_t end) {
    const std::vector<std::int32_t> more = tokenizer.encode(text.substr(done, end - done), {.parse_special = false});
    ids.insert(ids.end(), more.begin(), more.end());
    done = end;
  };

  std::size_t begin = 0;
  for (const MarkedText::Run& run : prompt.runs()) {
    const std::string_view trusted = run.is_trusted ? text.substr(0, run.end) : std::string_view();
    while (const auto token = tokenizer.added_tokens().find(trusted, begin)) {
      encode_up_to(token->begin);
      ids.push_back(token->id);
      done = begin = token->begin + token->size;
    }
    begin = run.end;
  }
  encode_up_to(text.size());
  return ids;
}

}  // namespace carat
