#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/float16.h"
#include "kernels/cpu.h"
#include "tensor/quantize.h"

namespace carat {
namespace {

struct Shape {
  std::size_t heads = 4;
  std::size_t kv_heads = 2;
  std::size_t head_dim = 32;
  DType dtype = DType::kF32;
};

// Pages of random keys and values, with the values as floats beside them.
class TestCache {
 public:
  TestCache(const Shape& shape, std::size_t page_count, std::mt19937& random) : shape_(shape) {
    view.dtype = shape.dtype;
    view.kv_heads = shape.kv_heads;
    view.head_dim = shape.head_dim;
    for (std::size_t i = 0; i < page_count; ++i) memory_.emplace_back(view.page_bytes(), "test");
    for (const auto& page : memory_) pages_.push_back(page.data());
    view.pages = pages_;
    std::normal_distribution<float> normal;
    for (std::size_t p = 0; p < page_count * kPageTokens; ++p) {
      for (std::size_t h = 0; h < shape.kv_heads; ++h) {
        for (std::byte* at : {view.key(p, h), view.value(p, h)}) {
          for (std::size_t d = 0; d < shape.head_dim; ++d) store(at, d, normal(random));
        }
      }
    }
  }

  float load(const std::byte* at, std::size_t i) const {
    if (shape_.dtype == DType::kF16) return to_float(reinterpret_cast<const F16*>(at)[i]);
    if (shape_.dtype == DType::kBF16) return to_float(reinterpret_cast<const BF16*>(at)[i]);
    return reinterpret_cast<const float*>(at)[i];
  }

  KvPages view;

 private:
  void store(std::byte* at, std::size_t i, float x) const {
    if (shape_.dtype == DType::kF16) {
      reinterpret_cast<F16*>(at)[i] = to_f16(x);
    } else if (shape_.dtype == DType::kBF16) {
      reinterpret_cast<BF16*>(at)[i] = to_bf16(x);
    } else {
      reinterpret_cast<float*>(at)[i] = x;
    }
  }

  Shape shape_;
  std::vector<AlignedBuffer<std::byte>> memory_;
  std::vector<std::byte*> pages_;
};

// softmax(scale q K^T) V of one row and head, in double.
std::vector<double> plain_attention(const Shape& shape, const TestCache& cache, std::span<const float> q, float scale,
                                    const KeySpan& span, std::size_t head) {
  const std::size_t kv_head = head / (shape.heads / shape.kv_heads);
  std::vector<double> scores;
  double max = -INFINITY;
  for (std::size_t p = span.first; p < span.end; ++p) {
    double score = 0;
    for (std::size_t d = 0; d < shape.head_dim; ++d) score += double{q[d]} * cache.load(cache.view.key(p, kv_head), d);
    scores.push_back(score * scale);
    max = std::max(max, scores.back());
  }
  double sum = 0;
  std::vector<double> out(shape.head_dim, 0.0);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double weight = std::exp(scores[i] - max);
    sum += weight;
    for (std::size_t d = 0; d < shape.head_dim; ++d) {
      out[d] += weight * cache.load(cache.view.value(span.first + i, kv_head), d);
    }
  }
  for (double& x : out) x /= sum;
  return out;
}

// Rows that attend to spans of all kinds, causal ones as they come in prompts and odd ones.
std::vector<KeySpan> odd_spans(std::size_t rows, std::size_t held, std::mt19937& random) {
  std::vector<KeySpan> spans;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t end = 1 + random() % held;
    spans.push_back({random() % end, end});
  }
  return spans;
}

TEST(Attention, EqualsThePlainSoftmaxForOddShapesAndSpans) {
  std::mt19937 random(8);
  const Shape shapes[] = {{4, 2, 32, DType::kF32},
                          {8, 1, 256, DType::kF16},
                          {3, 3, 16, DType::kBF16},
                          {32, 4, 64, DType::kF16},
                          {8, 1, 512, DType::kF32}};
  ThreadPool pool(3);
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    Attention attention(*kernels, pool);
    for (const Shape& shape : shapes) {
      const TestCache cache(shape, 3, random);
      for (const std::size_t rows : {1U, 2U, 7U, 70U}) {
        SCOPED_TRACE(std::string(kernels->name) + ", head_dim " + std::to_string(shape.head_dim) + ", rows " +
                     std::to_string(rows));
        const std::vector<KeySpan> spans = odd_spans(rows, 3 * kPageTokens, random);
        const std::size_t width = shape.heads * shape.head_dim;
        std::normal_distribution<float> normal;
        std::vector<float> q(rows * width);
        for (float& x : q) x = normal(random);
        const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim));
        std::vector<float> out(rows * width);
        const AttentionSegment segment{cache.view, 0, rows};
        attention({q.data(), rows, width}, scale, spans, {&segment, 1}, {out.data(), rows, width});
        for (std::size_t row = 0; row < rows; row += 1 + rows / 8) {
          for (std::size_t head = 0; head < shape.heads; ++head) {
            const std::size_t at = row * width + head * shape.head_dim;
            const auto expected =
                plain_attention(shape, cache, std::span(q).subspan(at, shape.head_dim), scale, spans[row], head);
            // Scores of some units carry head_dim roundings each, and so do their exponentials; values are near 1.
            for (std::size_t d = 0; d < shape.head_dim; ++d) ASSERT_NEAR(out[at + d], expected[d], 2e-5) << d;
          }
        }
      }
    }
  }
}

TEST(Attention, ARowDependsNeitherOnItsBatchNorOnThreads) {
  std::mt19937 random(9);
  const Shape shape{8, 2, 64, DType::kF16};
  const TestCache cache(shape, 4, random);
  constexpr std::size_t kRows = 50;
  const std::size_t width = shape.heads * shape.head_dim;
  std::vector<float> q(kRows * width);
  std::normal_distribution<float> normal;
  for (float& x : q) x = normal(random);
  const std::vector<KeySpan> spans = odd_spans(kRows, 4 * kPageTokens, random);
  std::vector<float> together(kRows * width);
  ThreadPool pool(1);
  Attention whole(select_kernels(), pool);
  const AttentionSegment segment{cache.view, 0, kRows};
  whole({q.data(), kRows, width}, 1, spans, {&segment, 1}, {together.data(), kRows, width});
  for (const std::size_t threads : {1U, 2U, 4U}) {
    ThreadPool other_pool(threads);
    Attention attention(select_kernels(), other_pool);
    for (const std::size_t batch : {1U, 3U, 20U}) {
      std::vector<float> out(kRows * width);
      for (std::size_t row = 0; row < kRows; row += batch) {
        const std::size_t rows = std::min(batch, kRows - row);
        const AttentionSegment part{cache.view, 0, rows};
        attention({q.data() + row * width, rows, width}, 1, std::span(spans).subspan(row, rows), {&part, 1},
                  {out.data() + row * width, rows, width});
      }
      ASSERT_EQ(out, together) << threads << " threads, batches of " << batch;
    }
  }
}

TEST(Attention, ReadsARingAsItReadsAList) {
  std::mt19937 random(10);
  const Shape shape{2, 1, 32, DType::kF32};
  const TestCache ring(shape, 2, random);  // positions 512 .. 1023 lie where 0 .. 511 did
  std::vector<float> q(64, 0.1F);
  ThreadPool pool(2);
  Attention attention(select_kernels(), pool);
  std::vector<float> early(64);
  std::vector<float> late(64);
  const AttentionSegment segment{ring.view, 0, 1};
  const KeySpan first{100, 400};
  const KeySpan second{612, 912};
  attention({q.data(), 1, 64}, 1, {&first, 1}, {&segment, 1}, {early.data(), 1, 64});
  attention({q.data(), 1, 64}, 1, {&second, 1}, {&segment, 1}, {late.data(), 1, 64});
  EXPECT_EQ(early, late);
}

// Pages of one sequence whose rows are written by hand.
struct OwnPages {
  explicit OwnPages(KvPages layout) : view(layout), memory(layout.page_bytes(), "test"), page(memory.data()) {
    view.pages = {&page, 1};
  }
  KvPages view;
  AlignedBuffer<std::byte> memory;
  std::byte* page;
};

KvPages pages_of(DType dtype, std::size_t head_dim, std::size_t stored_pairs) {
  KvPages pages;
  pages.dtype = dtype;
  pages.kv_heads = 2;
  pages.head_dim = head_dim;
  pages.stored_pairs = stored_pairs;
  return pages;
}

// Keys that are their values times a weight, but for the pairs that turn: stored once, read the same.
TEST(Attention, KeysThatAreValuesNeedNotBeStored) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  constexpr std::size_t kDim = 64;
  constexpr std::size_t kPairs = 8;
  constexpr std::size_t kHeld = 100;
  const auto turns = [](std::size_t d) { return d % (kDim / 2) < kPairs; };
  const OwnPages whole(pages_of(DType::kF32, kDim, 0));
  const OwnPages less(pages_of(DType::kF32, kDim, kPairs));
  EXPECT_LT(less.view.page_bytes(), whole.view.page_bytes());
  std::vector<float> weight(kDim);
  for (float& w : weight) w = 1 + 0.2F * normal(random);
  for (std::size_t p = 0; p < kHeld; ++p) {
    for (std::size_t head = 0; head < 2; ++head) {
      auto* key = reinterpret_cast<float*>(whole.view.key(p, head));
      auto* value = reinterpret_cast<float*>(whole.view.value(p, head));
      auto* stored = reinterpret_cast<float*>(less.view.key(p, head));
      for (std::size_t d = 0; d < kDim; ++d) {
        value[d] = normal(random);
        key[d] = turns(d) ? normal(random) : value[d] * weight[d];
        if (turns(d)) stored[d < kDim / 2 ? d : kPairs + d - kDim / 2] = key[d];
      }
      std::copy_n(value, kDim, reinterpret_cast<float*>(less.view.value(p, head)));
    }
  }
  std::vector<float> q(4 * kDim);
  for (float& x : q) x = normal(random);
  std::vector<float> folded = q;
  for (std::size_t i = 0; i < q.size(); ++i) folded[i] *= turns(i % kDim) ? 1.0F : weight[i % kDim];
  ThreadPool pool(2);
  Attention attention(select_kernels(), pool);
  const KeySpan span{3, kHeld};
  std::vector<float> expected(q.size());
  std::vector<float> actual(q.size());
  const AttentionSegment whole_segment{whole.view, 0, 1};
  const AttentionSegment less_segment{less.view, 0, 1};
  attention({q.data(), 1, q.size()}, 0.1F, {&span, 1}, {&whole_segment, 1}, {expected.data(), 1, q.size()});
  attention({folded.data(), 1, q.size()}, 0.1F, {&span, 1}, {&less_segment, 1}, {actual.data(), 1, q.size()});
  // The weight is rounded into the key or into the query: 64 terms of a few units, as above.
  for (std::size_t i = 0; i < q.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 2e-5) << i;
}

// 8-bit keys and values count as what they decode to, on every instruction set.
TEST(Attention, ReadsEightBitKeysAndValuesAsTheNumbersTheyStandFor) {
  std::mt19937 random(12);
  std::normal_distribution<float> normal;
  constexpr std::size_t kDim = 64;
  constexpr std::size_t kHeld = 130;
  const OwnPages codes(pages_of(DType::kQ8_0, kDim, 0));
  const OwnPages floats(pages_of(DType::kF32, kDim, 0));
  for (std::size_t p = 0; p < kHeld; ++p) {
    for (std::size_t head = 0; head < 2; ++head) {
      std::vector<float> x(kDim);
      for (const bool is_key : {true, false}) {
        for (float& value : x) value = normal(random);
        std::byte* const to = is_key ? codes.view.key(p, head) : codes.view.value(p, head);
        const std::span<std::byte> row{to, codes.view.bytes(kDim)};
        quantize_row(DType::kQ8_0, x, row);
        std::byte* const as_floats = is_key ? floats.view.key(p, head) : floats.view.value(p, head);
        dequantize_row(DType::kQ8_0, row, {reinterpret_cast<float*>(as_floats), kDim});
      }
    }
  }
  std::vector<float> q(4 * kDim);
  for (float& x : q) x = normal(random);
  ThreadPool pool(2);
  const KeySpan span{0, kHeld};
  for (const KernelTable* kernels : all_kernels()) {
    if ((kernels->needs & ~cpu_features()) != 0) continue;
    Attention attention(*kernels, pool);
    std::vector<float> expected(q.size());
    std::vector<float> actual(q.size());
    const AttentionSegment float_segment{floats.view, 0, 1};
    const AttentionSegment code_segment{codes.view, 0, 1};
    attention({q.data(), 1, q.size()}, 0.1F, {&span, 1}, {&float_segment, 1}, {expected.data(), 1, q.size()});
    attention({q.data(), 1, q.size()}, 0.1F, {&span, 1}, {&code_segment, 1}, {actual.data(), 1, q.size()});
    EXPECT_EQ(actual, expected) << kernels->name;
  }
}

}  // namespace
}  // namespace carat
