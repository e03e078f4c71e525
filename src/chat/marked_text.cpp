#include "chat/marked_text.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace carat {
namespace {

// The run that holds the byte at offset.
std::vector<MarkedText::Run>::const_iterator run_at(const std::vector<MarkedText::Run>& runs, std::size_t offset) {
  return std::upper_bound(runs.begin(), runs.end(), offset,
                          [](std::size_t value, const MarkedText::Run& run) { return value < run.end; });
}

}  // namespace

MarkedText::MarkedText(std::string bytes, bool is_trusted) : bytes_(std::move(bytes)) {
  if (!bytes_.empty()) runs_.push_back({bytes_.size(), is_trusted});
}

bool MarkedText::is_trusted_at(std::size_t offset) const {
  assert(offset < size());
  return run_at(runs_, offset)->is_trusted;
}

void MarkedText::append(std::string_view bytes, bool is_trusted) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().is_trusted == is_trusted) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), is_trusted});
  }
}

void MarkedText::append(const MarkedText& text, std::size_t begin, std::size_t end) {
  assert(&text != this && begin <= end && end <= text.size());
  for (auto run = run_at(text.runs_, begin); begin < end; ++run) {
    const std::size_t run_end = std::min(run->end, end);
    append(text.view().substr(begin, run_end - begin), run->is_trusted);
    begin = run_end;
  }
}

MarkedText MarkedText::part(std::size_t begin, std::size_t end) const {
  MarkedText result;
  result.append(*this, begin, end);
  return result;
}

}  // namespace carat
