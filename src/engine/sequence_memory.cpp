#include "engine/sequence_memory.h"

#include <algorithm>
#include <new>
#include <vector>

namespace carat {

SequenceMemory::SequenceMemory(const DecoderConfig& config, const KvCacheOptions& kv, std::size_t budget_bytes)
    : config_(config), kv_(kv), pool_(budget_bytes), prefixes_(config) {
  pool_.set_reclaim([this](std::size_t) { return prefixes_.reclaim(); });
  pool_.set_release([this](const KvBlock& block) { prefixes_.forget(block); });
}

bool SequenceMemory::fits(std::size_t tokens) const {
  KvCacheOptions kv = kv_;
  kv.context = std::min(kv.context, tokens + kPageTokens);
  const std::size_t held = pool_.used_bytes() - prefixes_.bytes();
  return held + KvCache::bytes_needed(config_, kv) <= pool_.budget_bytes();
}

PrefixCache::Match SequenceMemory::adopt_prefix(const PendingAnswer& answer, Sequence& sequence) {
  const Request& request = answer.request;
  PrefixCache::Match match;
  if (!request.uses_prefix_cache || request.prompt_logprobs || request.wants_embedding) {
    match.miss = CacheMiss::kOff;
    return match;
  }
  try {
    match = find_prefix(answer, sequence);
    for (const KvCache::Blocks& blocks : match.blocks) sequence.cache.adopt(blocks);
    sequence.computed = match.tokens;
  } catch (const std::bad_alloc&) {
    sequence.cache.clear();
    match = {};
  }
  return match;
}

PrefixCache::Match SequenceMemory::find_prefix(const PendingAnswer& answer, const Sequence& sequence) {
  const std::string& salt = answer.request.cache_salt;
  std::size_t most = sequence.tokens().size() - 1;
  PrefixCache::Match match = prefixes_.find(salt, sequence.keys(), most);
  for (const PromptMedium& medium : answer.prompt.media) {
    if (!medium.is_whole || match.tokens <= medium.span.first || match.tokens >= medium.span.end()) continue;
    most = medium.span.first;  // not within a picture that is seen whole
    match = prefixes_.find(salt, sequence.keys(), most);
    break;
  }
  return match;
}

void SequenceMemory::remember(const PendingAnswer& answer, const Sequence& sequence, bool is_at_end) {
  if (!answer.request.uses_prefix_cache) return;
  try {
    std::vector<std::size_t> borders = answer.prompt.borders;
    if (is_at_end) borders.push_back(sequence.computed);
    prefixes_.insert(answer.request.cache_salt, sequence.keys(), sequence.computed, borders, sequence.cache);
  } catch (const std::bad_alloc&) {
    return;  // then it is computed again
  }
}

}  // namespace carat
