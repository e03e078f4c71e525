// SequenceMemory: the pages of keys and values that sequences share, and the prefixes that are found again in them.
#pragma once

#include <cstddef>

#include "decoder/kv_cache.h"
#include "decoder/page_pool.h"
#include "engine/pending_answer.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"

namespace carat {

// Used by the engine's thread only.
class SequenceMemory {
 public:
  // budget_bytes: of all keys and values. config must outlive this.
  SequenceMemory(const DecoderConfig& config, const KvCacheOptions& kv, std::size_t budget_bytes);
  SequenceMemory(const SequenceMemory&) = delete;  // the pool calls back
  SequenceMemory& operator=(const SequenceMemory&) = delete;

  KvCache new_cache() { return {config_, kv_, pool_}; }
  // Whether a sequence of so many tokens fits beside those that run; what only the prefix cache holds would go.
  bool fits(std::size_t tokens) const;

  // Takes over what is cached of the sequence's tokens; nothing where memory runs out.
  PrefixCache::Match adopt_prefix(const PendingAnswer& answer, Sequence& sequence);
  // Puts what is computed of the sequence into the prefix cache. is_at_end: its end is a border between turns.
  void remember(const PendingAnswer& answer, const Sequence& sequence, bool is_at_end);

  std::size_t used_bytes() const { return pool_.used_bytes(); }
  std::size_t cached_bytes() const { return prefixes_.bytes(); }  // that no sequence holds

 private:
  PrefixCache::Match find_prefix(const PendingAnswer& answer, const Sequence& sequence);

  const DecoderConfig& config_;
  KvCacheOptions kv_;
  PagePool pool_;
  PrefixCache prefixes_;
};

}  // namespace carat
