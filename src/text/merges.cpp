#include "text/merges.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

// Tokens ordered by who goes first: rank[id], the same for equal scores. Tokens that no merge may make have kNoRank.
std::vector<std::uint32_t> ranks_of_scores(const Vocab& vocab, std::span<const float> scores) {
  std::vector<std::uint32_t> ranks(vocab.size(), MergeTable::kNoRank);
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < vocab.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    if (vocab.type(id) == TokenType::kUserDefined) ranks[i] = 0;
    if (vocab.type(id) == TokenType::kNormal) order.push_back(id);
  }
  const auto score = [&](std::int32_t id) { return scores[static_cast<std::size_t>(id)]; };
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return score(a) > score(b); });
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || score(order[i]) != score(order[i - 1])) ++rank;
    ranks[static_cast<std::size_t>(order[i])] = rank;
  }
  return ranks;
}

}  // namespace

MergeList::MergeList(const Vocab& vocab, std::string_view where, std::size_t size) : vocab_(vocab), where_(where) {
  merges_.reserve(size);
}

std::int32_t MergeList::token(std::string_view text) const {
  const auto id = vocab_.find(text);
  if (!id) {
    throw Error(ErrorKind::kBadFile, str(where_, ": merge ", merges_.size(), " needs \"", printable(text),
                                         "\", which is no token. Download the file again."));
  }
  return *id;
}

void MergeList::add(std::string_view left, std::string_view right) {
  text_.clear();
  append_with_spaces(left, text_);
  const std::size_t middle = text_.size();
  append_with_spaces(right, text_);
  const std::string_view text = text_;
  merges_.push_back({token(text.substr(0, middle)), token(text.substr(middle)), token(text),
                     static_cast<std::uint32_t>(merges_.size())});
}

void MergeList::add(std::string_view pair) {
  const std::size_t space = pair.find(' ');
  if (space == std::string_view::npos || pair.find(' ', space + 1) != std::string_view::npos) {
    throw Error(ErrorKind::kBadFile, str(where_, ": merge ", merges_.size(), " is \"", printable(pair),
                                         "\", expected two tokens and one space between. Download the file again."));
  }
  add(pair.substr(0, space), pair.substr(space + 1));
}

std::vector<Merge> merges_from_scores(const Vocab& vocab, std::span<const float> scores) {
  const std::vector<std::uint32_t> ranks = ranks_of_scores(vocab, scores);
  std::vector<Merge> merges;
  for (std::size_t i = 0; i < vocab.size(); ++i) {
    if (ranks[i] == MergeTable::kNoRank) continue;
    const auto id = static_cast<std::int32_t>(i);
    const std::string_view piece = vocab.piece(id);
    for (std::size_t n = utf8_character_length(piece); n < piece.size(); n += utf8_character_length(piece.substr(n))) {
      const auto left = vocab.find(piece.substr(0, n));
      if (!left) continue;
      const auto right = vocab.find(piece.substr(n));
      if (right) merges.push_back({*left, *right, id, ranks[i]});
    }
  }
  return merges;
}

MergeTable::MergeTable(std::vector<Merge> merges, const Vocab& vocab, std::string_view where) {
  const auto key = [](const Merge& merge) { return std::tie(merge.left, merge.right); };
  std::sort(merges.begin(), merges.end(), [&](const Merge& a, const Merge& b) { return key(a) < key(b); });
  const auto twice = std::adjacent_find(merges.begin(), merges.end(),
                                        [&](const Merge& a, const Merge& b) { return key(a) == key(b); });
  if (twice != merges.end()) {
    throw Error(ErrorKind::kBadFile,
                str(where, ": the merge of \"", printable(vocab.piece(twice->left)), "\" and \"",
                    printable(vocab.piece(twice->right)), "\" is listed twice. Download the file again."));
  }
  entries_.reserve(merges.size());
  begins_.assign(vocab.size() + 1, 0);
  crossings_.assign(crossing('\xff', '\xff') + 1, false);
  for (const Merge& merge : merges) {
    entries_.push_back({merge.right, {merge.rank, merge.merged}});
    ++begins_[static_cast<std::size_t>(merge.left) + 1];
    crossings_[crossing(vocab.piece(merge.left).back(), vocab.piece(merge.right).front())] = true;
  }
  for (std::size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
}

MergeTable::Found MergeTable::find(std::int32_t left, std::int32_t right) const {
  const auto row = static_cast<std::size_t>(left);
  const std::span entries = std::span(entries_).subspan(begins_[row], begins_[row + 1] - begins_[row]);
  const auto entry = std::lower_bound(entries.begin(), entries.end(), right,
                                      [](const Entry& a, std::int32_t id) { return a.right < id; });
  return entry != entries.end() && entry->right == right ? entry->found : Found{};
}

}  // namespace carat
