#include "decoder/kv_cache.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "tensor/dtype.h"

namespace carat {
namespace {

std::size_t pages_for(std::size_t positions) {
  return (positions + kPageTokens - 1) / kPageTokens;
}

KvPages layout(const DecoderConfig& config, const LayerConfig& layer, const KvCacheOptions& options) {
  KvPages pages;
  pages.dtype = layer.is_sliding ? options.sliding_type : options.global_type;
  pages.kv_heads = layer.kv_heads;
  pages.head_dim = layer.head_dim;
  const std::size_t pairs = config.rope_of(layer).size();
  const std::size_t block = pages.dtype == DType::kQ8_0 ? 32 : 1;
  if (layer.is_k_eq_v && config.has_value_norm && pairs < layer.head_dim / 2 && pairs % block == 0) {
    pages.stored_pairs = pairs;
  }
  return pages;
}

// The first position that the row at `position` sees on sliding layers.
std::size_t window_begin(const DecoderConfig& config, std::size_t position) {
  return position - std::min(position, std::max<std::size_t>(config.window, 1) - 1);
}

}  // namespace

KvCache::KvCache(const DecoderConfig& config, const KvCacheOptions& options, PagePool& pool)
    : config_(&config), options_(options), pool_(&pool), offsets_(config.layers.size()), pages_(config.layers.size()) {
  for (const LayerConfig& layer : config.layers) {
    if (!layer.owns_kv()) continue;
    Kind& kind = kind_of(layer);
    offsets_[layer.index] = kind.block_bytes;
    kind.block_bytes += layout(config, layer, options).page_bytes();
  }
}

void KvCache::require_type(const DecoderConfig& config, DType type) {
  constexpr std::array kTypes{DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0};
  if (std::ranges::find(kTypes, type) == kTypes.end()) {
    throw Error(ErrorKind::kBadInput,
                str("a key/value cache of type ", dtype_info(type).name, ", expected f32, f16, bf16 or q8_0."));
  }
  for (const LayerConfig& layer : config.layers) {
    if (layer.head_dim % dtype_info(type).block_values == 0) continue;
    throw Error(ErrorKind::kBadInput, str("a key/value cache of type ", dtype_info(type).name, " holds blocks of ",
                                          dtype_info(type).block_values, " values, but heads of layer ", layer.index,
                                          " have ", layer.head_dim, ". Use --kv-type f16."));
  }
}

std::size_t KvCache::bytes_needed(const DecoderConfig& config, const KvCacheOptions& options) {
  // Blocks begin at multiples of kPageTokens, a window anywhere: one more may be needed than fit its length.
  const std::size_t window = config.window + options.chunk + options.slack + kPageTokens;
  std::size_t bytes = 0;
  for (const LayerConfig& layer : config.layers) {
    if (!layer.owns_kv()) continue;
    const std::size_t positions = layer.is_sliding ? std::min(options.context, window) : options.context;
    bytes += pages_for(positions) * layout(config, layer, options).page_bytes();
  }
  return bytes;
}

void KvCache::set_block(Kind& kind, std::size_t page, KvBlockRef block) {
  if (kind.blocks.size() <= page) kind.blocks.resize(page + 1);
  for (const LayerConfig& layer : config_->layers) {
    if (!layer.owns_kv() || &kind_of(layer) != &kind) continue;
    std::vector<std::byte*>& pages = pages_[layer.index];
    if (pages.size() <= page) pages.resize(page + 1);
    pages[page] = block == nullptr ? nullptr : block->memory.data() + offsets_[layer.index];
  }
  kind.blocks[page] = std::move(block);
}

// Slots of the page before `slot` are kept, those from there on may be written afterwards.
void KvCache::make_writable(Kind& kind, std::size_t page, std::size_t slot) {
  const KvBlockRef held = page < kind.blocks.size() ? kind.blocks[page] : nullptr;
  const auto is_shared = [&held] { return held.use_count() > 2; };  // the kind's own reference and `held`
  if (held != nullptr && (!is_shared() || held->filled == slot)) return;
  KvBlockRef fresh;
  try {
    fresh = pool_->allocate(kind.block_bytes);
  } catch (const Error&) {
    if (held == nullptr) throw;
    pool_->release(*held);  // what nobody shares any more needs no copy
    if (is_shared()) throw;
    return;
  }
  if (slot != 0) {
    // Not memcpy: there are no bytes, and null for them, where no layer is of the kind.
    std::copy_n(held->memory.data(), kind.block_bytes, fresh->memory.data());
    fresh->filled = slot;
  }
  set_block(kind, page, std::move(fresh));
}

void KvCache::drop_before(std::size_t position) {
  for (std::size_t page = 0; page < std::min(sliding_.blocks.size(), position / kPageTokens); ++page) {
    if (sliding_.blocks[page] != nullptr) set_block(sliding_, page, nullptr);
  }
}

void KvCache::make_room(std::size_t begin, std::size_t end) {
  const std::size_t needed = window_begin(*config_, begin);
  drop_before(needed - std::min(needed, options_.slack));
  for (std::size_t page = begin / kPageTokens; page < pages_for(end); ++page) {
    const std::size_t first = page * kPageTokens;
    const std::size_t slot = begin > first ? begin - first : 0;
    for (Kind* kind : {&sliding_, &global_}) {
      make_writable(*kind, page, slot);
      kind->blocks[page]->filled = std::min(kPageTokens, end - first);
    }
  }
}

KvPages KvCache::pages(std::size_t layer) const {
  const LayerConfig& source = config_->layers[config_->layers[layer].kv_source];
  KvPages pages = layout(*config_, source, options_);
  pages.pages = pages_[source.index];
  return pages;
}

std::size_t KvCache::first_held() const {
  if (sliding_.block_bytes == 0) return 0;
  const auto first = std::ranges::find_if(sliding_.blocks, [](const KvBlockRef& block) { return block != nullptr; });
  return static_cast<std::size_t>(first - sliding_.blocks.begin()) * kPageTokens;
}

KvCache::Blocks KvCache::blocks(std::size_t page) const {
  const auto at = [page](const Kind& kind) { return page < kind.blocks.size() ? kind.blocks[page] : nullptr; };
  return {at(sliding_), at(global_)};
}

void KvCache::adopt(const Blocks& blocks) {
  const std::size_t page = global_.blocks.size();
  set_block(sliding_, page, blocks.sliding);
  set_block(global_, page, blocks.global);
}

void KvCache::clear() {
  for (Kind* kind : {&sliding_, &global_}) kind->blocks.clear();
  for (std::vector<std::byte*>& pages : pages_) pages.clear();
}

}  // namespace carat
