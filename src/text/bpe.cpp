#include "text/bpe.h"

#include <algorithm>
#include <functional>

#include "base/unicode.h"

namespace carat {
namespace {

constexpr std::uint32_t kNone = 0xffffffffU;

// A token of the text so far, in a list by position. Its index never changes: a merge keeps the left symbol.
struct Symbol {
  std::int32_t id;
  std::uint32_t previous;
  std::uint32_t next;
  MergeTable::Found merge;  // with the next symbol; no rank at the list's end and once it is out of the list
};

// The work on one stretch of text after the other.
class Merging {
 public:
  explicit Merging(const MergeTable& merges) : merges_(merges) {}

  void append(std::int32_t id) {
    const auto i = static_cast<std::uint32_t>(symbols_.size());
    symbols_.push_back({id, i == 0 ? kNone : i - 1, kNone, {}});
    if (i > 0) symbols_[i - 1].next = i;
  }

  // Merges what was appended since the last call and appends the result to ids.
  void finish(std::vector<std::int32_t>& ids) {
    if (symbols_.empty()) return;
    for (std::uint32_t i = 0; i < symbols_.size(); ++i) queue_merge(i);
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
      const std::uint64_t top = queue_.back();
      queue_.pop_back();
      const auto left = static_cast<std::uint32_t>(top);
      if (key(left) == top) merge(left);  // else a neighbour has changed since
    }
    for (std::uint32_t i = 0; i != kNone; i = symbols_[i].next) ids.push_back(symbols_[i].id);
    symbols_.clear();
  }

 private:
  std::uint64_t key(std::uint32_t left) const { return std::uint64_t{symbols_[left].merge.rank} << 32 | left; }

  // Brings a symbol's merge up to date and, where there is one, queues it.
  void queue_merge(std::uint32_t left) {
    Symbol& symbol = symbols_[left];
    symbol.merge = symbol.next == kNone ? MergeTable::Found{} : merges_.find(symbol.id, symbols_[symbol.next].id);
    if (symbol.merge.rank == MergeTable::kNoRank) return;
    queue_.push_back(key(left));
    std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
  }

  void merge(std::uint32_t left) {
    Symbol& symbol = symbols_[left];
    Symbol& gone = symbols_[symbol.next];
    symbol.id = symbol.merge.merged;
    symbol.next = gone.next;
    if (gone.next != kNone) symbols_[gone.next].previous = left;
    gone.merge = {};
    queue_merge(left);
    if (symbol.previous != kNone) queue_merge(symbol.previous);
  }

  const MergeTable& merges_;
  std::vector<Symbol> symbols_;
  std::vector<std::uint64_t> queue_;  // a heap; the smallest key is the merge to do next
};

}  // namespace

Bpe::Bpe(const Vocab& vocab, MergeTable merges) : merges_(std::move(merges)) {
  for (std::size_t i = 0; i < ascii_ids_.size(); ++i) {
    const char c = static_cast<char>(i);
    ascii_ids_[i] = vocab.find({&c, 1}).value_or(vocab.byte_id(static_cast<std::uint8_t>(i)));
  }
}

void Bpe::encode(const Vocab& vocab, std::string_view text, std::vector<std::int32_t>& ids) const {
  Merging merging(merges_);
  char last = '\0';  // byte of the character before
  while (!text.empty()) {
    if (!merges_.may_cross(last, text[0])) merging.finish(ids);
    const auto first = static_cast<unsigned char>(text[0]);
    const std::size_t n = first < 0x80 ? 1 : utf8_character_length(text);
    if (n == 1) {
      merging.append(ascii_ids_[first]);
    } else if (const auto id = vocab.find(text.substr(0, n))) {
      merging.append(*id);
    } else {
      for (const char c : text.substr(0, n)) merging.append(vocab.byte_id(static_cast<std::uint8_t>(c)));
    }
    last = text[n - 1];
    text.remove_prefix(n);
  }
  merging.finish(ids);
}

}  // namespace carat
