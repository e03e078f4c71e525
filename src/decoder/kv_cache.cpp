#include "decoder/kv_cache.h"

#include <algorithm>

namespace carat {
namespace {

std::size_t pages_for(std::size_t positions) {
  return (positions + kPageTokens - 1) / kPageTokens;
}

KvPages layout(const LayerConfig& layer, const KvCacheOptions& options) {
  KvPages pages;
  pages.dtype = layer.is_sliding ? options.sliding_type : options.global_type;
  pages.kv_heads = layer.kv_heads;
  pages.head_dim = layer.head_dim;
  return pages;
}

// Pages of a ring: the window and a chunk that is written before it is attended to; never more than the context.
std::size_t ring_pages(const DecoderConfig& config, const KvCacheOptions& options) {
  return pages_for(std::min(options.context, config.window + options.chunk));
}

}  // namespace

KvCache::KvCache(const DecoderConfig& config, const KvCacheOptions& options)
    : config_(config), options_(options), layers_(config.layers.size()) {
  for (const LayerConfig& layer : config.layers) {
    if (!layer.owns_kv() || !layer.is_sliding) continue;
    for (std::size_t i = 0; i < ring_pages(config, options); ++i) add_page(layer.index);
  }
}

std::size_t KvCache::bytes_needed(const DecoderConfig& config, const KvCacheOptions& options) {
  std::size_t bytes = 0;
  for (const LayerConfig& layer : config.layers) {
    if (!layer.owns_kv()) continue;
    const std::size_t pages = layer.is_sliding ? ring_pages(config, options) : pages_for(options.context);
    bytes += pages * layout(layer, options).page_bytes();
  }
  return bytes;
}

void KvCache::add_page(std::size_t layer) {
  Layer& owner = layers_[layer];
  AlignedBuffer<std::byte> page(layout(config_.layers[layer], options_).page_bytes(), "key/value cache");
  owner.pages.reserve(owner.pages.size() + 1);
  owner.memory.push_back(std::move(page));
  owner.pages.push_back(owner.memory.back().data());
}

void KvCache::grow_to(std::size_t length) {
  for (const LayerConfig& layer : config_.layers) {
    if (!layer.owns_kv() || layer.is_sliding) continue;
    while (layers_[layer.index].pages.size() < pages_for(length)) add_page(layer.index);
  }
}

KvPages KvCache::pages(std::size_t layer) const {
  const LayerConfig& source = config_.layers[config_.layers[layer].kv_source];
  KvPages pages = layout(source, options_);
  pages.pages = layers_[source.index].pages;
  return pages;
}

std::size_t KvCache::first_held(std::size_t length) const {
  const bool has_ring = std::ranges::any_of(config_.layers, [](const LayerConfig& l) { return l.is_sliding; });
  const std::size_t ring = ring_pages(config_, options_) * kPageTokens;
  return has_ring && length > ring ? length - ring : 0;
}

}  // namespace carat
