#include "decoder/attention_block.h"

#include <cstring>
#include <vector>

#include "base/row_parts.h"
#include "tensor/dtype.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

void store(const KernelTable& kernels, DType dtype, std::span<const float> x, std::byte* out) {
  if (dtype == DType::kF16) {
    kernels.to_f16(x.data(), x.size(), reinterpret_cast<std::uint16_t*>(out));
  } else if (dtype == DType::kBF16) {
    kernels.to_bf16(x.data(), x.size(), reinterpret_cast<std::uint16_t*>(out));
  } else if (dtype == DType::kQ8_0) {
    quantize_row(dtype, x, {out, *row_bytes(dtype, x.size())});
  } else {
    std::memcpy(out, x.data(), x.size_bytes());
  }
}

// Norms and turns one head: [head_dim], in place.
void norm_and_rotate(const KernelTable& kernels, const Vector& weight, float eps, std::span<const float> cos,
                     std::span<const float> sin, std::span<float> head) {
  kernels.rms_norm(head.data(), weight.data(), eps, head.size(), head.data());
  kernels.rope(cos.data(), sin.data(), cos.size(), head.size() / 2, head.data());
}

// Stores one head's key, or of a K = V layer's the elements that turn; k: [head_dim].
void store_key(const KernelTable& kernels, const KvPages& kv, std::span<const float> k, std::byte* out) {
  if (kv.stored_pairs == 0) return store(kernels, kv.dtype, k, out);
  store(kernels, kv.dtype, k.first(kv.stored_pairs), out);
  store(kernels, kv.dtype, k.subspan(k.size() / 2, kv.stored_pairs), out + kv.bytes(kv.stored_pairs));
}

// Multiplies the elements that don't turn by the keys' norm weight, which the values they meet lack. q: [head_dim].
void fold_key_norm(const KernelTable& kernels, const KvPages& kv, const Vector& key_norm, std::span<float> q) {
  if (kv.stored_pairs == 0) return;
  const std::size_t half = q.size() / 2;
  for (const std::size_t first : {kv.stored_pairs, half + kv.stored_pairs}) {
    kernels.mul(key_norm.data() + first, half - kv.stored_pairs, q.data() + first);
  }
}

}  // namespace

void attention_block(const Compute& compute, const DecoderConfig& config, const LayerConfig& layer,
                     const AttentionWeights& weights, const Step& step, MatView<const float> x, MatView<float> out,
                     Scratch& scratch) {
  const std::size_t rows = x.rows();
  const std::size_t head_dim = layer.head_dim;
  const MatView<float> query = scratch.query.mat(rows, config.heads * head_dim);
  const MatView<float> key = scratch.key.mat(rows, layer.kv_heads * head_dim);
  const MatView<float> value = scratch.value.mat(rows, layer.kv_heads * head_dim);

  std::vector<Product> products{{weights.query, query}};
  if (layer.owns_kv()) {
    products.push_back({weights.key, key});
    if (!layer.is_k_eq_v) products.push_back({weights.value, value});
  }
  {
    const Timed timed(compute.profile, Operation::kProjections, layer.kind());
    compute.matmul(x, products);
  }

  std::vector<AttentionSegment> segments;
  for (const SequenceRows& sequence : step.sequences) {
    segments.push_back({sequence.cache->pages(layer.kv_source), sequence.first_row, sequence.rows});
  }

  const KernelTable& kernels = compute.kernels;
  const RopeRows& rope = step.rope_of(layer);
  const auto prepare_query = [&](const KvPages& kv, std::size_t row, std::size_t head) {
    const std::span<float> q = query.row(row).subspan(head * head_dim, head_dim);
    norm_and_rotate(kernels, weights.query_norm, config.rms_eps, rope.cos.row(row), rope.sin.row(row), q);
    fold_key_norm(kernels, kv, step.key_layers[layer.kv_source].attention.key_norm, q);
  };
  const auto prepare_key_and_value = [&](const KvPages& kv, std::size_t row, std::size_t head) {
    const std::size_t position = step.rows[row].position;
    const std::span<float> k = key.row(row).subspan(head * head_dim, head_dim);
    const std::span<float> v = value.row(row).subspan(head * head_dim, head_dim);
    if (layer.is_k_eq_v) std::memcpy(v.data(), k.data(), k.size_bytes());  // the key before norm and rotation
    if (config.has_value_norm) kernels.rms_norm(v.data(), nullptr, config.rms_eps, head_dim, v.data());
    norm_and_rotate(kernels, weights.key_norm, config.rms_eps, rope.cos.row(row), rope.sin.row(row), k);
    store_key(kernels, kv, k, kv.key(position, head));
    store(kernels, kv.dtype, v, kv.value(position, head));
  };
  {
    const Timed timed(compute.profile, Operation::kPositions, layer.kind());
    const std::size_t group = config.heads / layer.kv_heads;
    for (const AttentionSegment& segment : segments) {
      // A single row's heads go to the threads that projected them and that attend with them, and stay in their caches.
      const auto prepare = [&](const IndexRange& part, const IndexRange& heads) {
        for (std::size_t row = segment.first_row + part.first; row < segment.first_row + part.end; ++row) {
          for (std::size_t head = heads.first; head < heads.end; ++head) {
            for (std::size_t i = 0; i < group; ++i) prepare_query(segment.kv, row, head * group + i);
            if (layer.owns_kv()) prepare_key_and_value(segment.kv, row, head);
          }
        }
      };
      for_row_parts(compute.pool, segment.rows, {layer.kv_heads, 1, (group + 2) * head_dim}, prepare);
    }
  }
  {
    const Timed timed(compute.profile, Operation::kAttention, layer.kind());
    compute.attention(query, config.attention_scale, step.spans_of(layer), segments, query);
  }
  const Timed timed(compute.profile, Operation::kProjections, layer.kind());
  compute.matmul(query, weights.output, out);
}

}  // namespace carat
