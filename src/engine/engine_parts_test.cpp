// The engine's parts, each by itself: scheduler, stop texts, loops, the fair queue, the prefix cache, pages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>

#include "decoder/slabs.h"
#include "engine/fair_queue.h"
#include "engine/loop_guard.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/scheduler.h"
#include "engine/step_costs.h"
#include "engine/stop_matcher.h"

namespace carat {
namespace {

using Rows = std::vector<std::size_t>;

TEST(PlanStep, APromptAloneGetsWholeSteps) {
  EXPECT_EQ(plan_step(std::vector<Runnable>{{4000, false}}, {256, 16}), Rows{256});
  EXPECT_EQ(plan_step(std::vector<Runnable>{{40, false}}, {256, 16}), Rows{40});
}

TEST(PlanStep, WhoGeneratesHasARowEveryStep) {
  const std::vector<Runnable> sequences{{4000, false}, {1, true}, {1, true}, {300, false}};
  const Rows rows = plan_step(sequences, {256, 16});
  EXPECT_EQ(rows[1], 1U);
  EXPECT_EQ(rows[2], 1U);
  EXPECT_EQ(rows[0] + rows[3], 16U);
  EXPECT_GE(rows[0], 8U);  // the oldest prompt comes on
}

TEST(PlanStep, AShortPromptDoesNotWaitForALongOne) {
  const Rows rows = plan_step(std::vector<Runnable>{{4000, false}, {20, false}}, {256, 16});
  EXPECT_EQ(rows[1], 20U);
  EXPECT_GT(rows[0], 0U);
  EXPECT_LE(rows[0], 16U);
}

TEST(PlanStep, APictureIsNotParted) {
  EXPECT_EQ(plan_step(std::vector<Runnable>{{1, true}, {900, false, 280}}, {1200, 16}), (Rows{1, 280}));
  EXPECT_EQ(plan_step(std::vector<Runnable>{{1, true}, {900, false, 280}}, {256, 16}), (Rows{1, 0}));
}

TEST(PlanStep, RandomOnesKeepTheLimitsAndMoveSomebody) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Runnable> sequences(1 + random() % 12);
    for (Runnable& sequence : sequences) {
      sequence.is_generating = random() % 2 == 0;
      sequence.remaining = sequence.is_generating ? 1 : 1 + random() % 500;
    }
    const StepLimits limits{16 + random() % 256, 1 + random() % 64};
    const Rows rows = plan_step(sequences, limits);
    ASSERT_EQ(rows.size(), sequences.size());
    const std::size_t total = std::accumulate(rows.begin(), rows.end(), std::size_t{0});
    EXPECT_LE(total, limits.rows);
    EXPECT_GT(total, 0U);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_LE(rows[i], sequences[i].remaining);
      EXPECT_TRUE(rows[i] == 1 || !sequences[i].is_generating);
    }
    const auto oldest =
        std::ranges::find_if(sequences, [](const Runnable& sequence) { return !sequence.is_generating; });
    if (oldest != sequences.end()) {
      EXPECT_GT(rows[static_cast<std::size_t>(oldest - sequences.begin())], 0U);
    }
  }
}

TEST(StepCosts, RowsOfPromptsFollowWhatStepsTake) {
  StepCosts costs;
  EXPECT_EQ(costs.rows_beside(256), 32U);
  costs.add(0, 1, 0.060);
  costs.add(256, 0, 256 * 0.006);
  EXPECT_EQ(costs.rows_beside(256), 10U);
  EXPECT_EQ(costs.rows_beside(9), 9U);
}

TEST(StopMatcher, FindsStopTextsInAnySplit) {
  const std::string text = "abcabdabce";
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    StopMatcher matcher({"abd", "zz", ""});
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = 1 + random() % 4;
      shown += matcher.push(std::string_view(text).substr(at, n));
      at += n;
    }
    shown += matcher.flush();
    EXPECT_EQ(shown, "abc");
    EXPECT_EQ(matcher.found(), "abd");
  }
}

TEST(StopMatcher, LetsPassWhatIsNoStopText) {
  StopMatcher matcher({"abd"});
  EXPECT_EQ(matcher.push("xab"), "x");
  EXPECT_EQ(matcher.push("c"), "abc");
  EXPECT_EQ(matcher.push("ab"), "");
  EXPECT_EQ(matcher.flush(), "ab");
  EXPECT_FALSE(matcher.found());
}

TEST(StopMatcher, TheFirstThenTheLongestCounts) {
  StopMatcher matcher({"cd", "bc", "bcd"});
  EXPECT_EQ(matcher.push("abcd"), "a");
  EXPECT_EQ(matcher.found(), "bcd");
}

TEST(LoopGuard, TakesRepetitionButNotVariety) {
  LoopGuard guard;
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) ASSERT_FALSE(guard.push(static_cast<std::int32_t>(random() % 50)));
  for (const std::size_t period : {1U, 2U, 7U, 60U, 128U}) {
    guard.reset();
    std::size_t tokens = 0;
    while (!guard.push(static_cast<std::int32_t>(tokens % period))) ASSERT_LT(++tokens, 5000U);
    EXPECT_GE(tokens, LoopGuard::kTokens);
    EXPECT_LE(tokens, LoopGuard::kTokens + LoopGuard::kRepeats * period);
  }
  // A ruler of 100 equal tokens is none.
  guard.reset();
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(guard.push(1));
}

TEST(FairQueue, UsersTakeTurns) {
  FairQueue<int> queue;
  for (int i = 0; i < 3; ++i) queue.push("a", i);
  queue.push("b", 10);
  queue.push("c", 20);
  queue.push("b", 11);
  EXPECT_EQ(queue.remove_if([](int i) { return i == 1; }), std::vector<int>{1});
  std::vector<int> order;
  while (!queue.empty()) {
    const int next = queue.front();
    order.push_back(queue.pop());
    EXPECT_EQ(order.back(), next);
  }
  EXPECT_EQ(order, (std::vector<int>{0, 10, 20, 2, 11}));
}

TEST(Effort, WordsBecomeBudgets) {
  EXPECT_EQ(thinking_of_effort("none")->is_enabled, false);
  EXPECT_EQ(thinking_of_effort("low")->budget, 1024U);
  EXPECT_FALSE(thinking_of_effort("max")->budget);
  EXPECT_FALSE(thinking_of_effort("very"));
}

// A decoder with one layer of each kind, small enough to look at every slot.
DecoderConfig two_layers(std::size_t window) {
  DecoderConfig config;
  config.window = window;
  config.layers.resize(2);
  for (std::size_t i = 0; i < 2; ++i) {
    LayerConfig& layer = config.layers[i];
    layer.index = i;
    layer.kv_source = i;
    layer.head_dim = 16;
    layer.kv_heads = 1;
    layer.is_sliding = i == 0;
  }
  return config;
}

// A sequence whose "keys" are its tokens, written where a decoder would write them.
struct FakeSequence {
  KvCache cache;
  std::vector<TokenKey> keys;
  std::size_t computed = 0;

  void compute(std::size_t end) {
    cache.make_room(computed, end);
    for (std::size_t layer = 0; layer < 2; ++layer) {
      const KvPages pages = cache.pages(layer);
      for (std::size_t p = computed; p < end; ++p) std::memcpy(pages.key(p, 0), &keys[p], sizeof keys[p]);
    }
    computed = end;
  }
  // What a row at position `computed` would see must be what was written for these tokens.
  void check(std::size_t window) const {
    for (std::size_t layer = 0; layer < 2; ++layer) {
      const KvPages pages = cache.pages(layer);
      const std::size_t first = layer == 0 ? computed - std::min(computed, window - 1) : 0;
      for (std::size_t p = first; p < computed; ++p) {
        TokenKey found = 0;
        std::memcpy(&found, pages.key(p, 0), sizeof found);
        ASSERT_EQ(found, keys[p]) << "layer " << layer << ", position " << p << " of " << computed;
      }
    }
  }
};

TEST(PrefixCache, RandomSequencesReadWhatTheyWrote) {
  for (const std::size_t window : {12U, 300U}) {
    const DecoderConfig config = two_layers(window);
    const KvCacheOptions options{DType::kF32, DType::kF32, 4096, 128, 0};
    const std::size_t block = KvCache::bytes_needed(config, {DType::kF32, DType::kF32, 1, 1, 0}) / 2;
    for (const std::size_t budget : {std::size_t{1000} * block, std::size_t{60} * block}) {
      PagePool pool(budget);
      PrefixCache prefixes(config);
      pool.set_reclaim([&](std::size_t) { return prefixes.reclaim(); });
      std::mt19937 random(static_cast<unsigned>(window));
      std::vector<std::vector<TokenKey>> said{{1}};
      std::vector<FakeSequence> live;
      std::size_t cached = 0;
      for (int round = 0; round < 400; ++round) {
        if (live.size() < 3 && random() % 2 == 0) {
          FakeSequence sequence{KvCache(config, options, pool), said[random() % said.size()], 0};
          sequence.keys.resize(1 + random() % sequence.keys.size());
          for (std::size_t n = 1 + random() % 400; n > 0; --n) sequence.keys.push_back(random() % 1000);
          const PrefixCache::Match match = prefixes.find("", sequence.keys, sequence.keys.size() - 1);
          for (const KvCache::Blocks& blocks : match.blocks) sequence.cache.adopt(blocks);
          sequence.computed = match.tokens;
          cached += match.tokens;
          sequence.check(window);
          live.push_back(std::move(sequence));
        }
        if (live.empty()) continue;
        const std::size_t which = random() % live.size();
        FakeSequence& sequence = live[which];
        if (sequence.computed < sequence.keys.size()) {
          const std::size_t rows = std::min<std::size_t>(1 + random() % 128, sequence.keys.size() - sequence.computed);
          sequence.compute(sequence.computed + rows);
          sequence.check(window);
          const std::vector<std::size_t> borders{sequence.keys.size() / 2};
          prefixes.insert("", sequence.keys, sequence.computed, borders, sequence.cache);
        } else {
          said.push_back(sequence.keys);
          if (said.back().size() > 2500) said.back().resize(2500);
          live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
        }
        for (const FakeSequence& other : live) other.check(window);
        if (testing::Test::HasFatalFailure()) return;
        EXPECT_LE(pool.used_bytes(), budget);
      }
      EXPECT_GT(cached, 1000U);
      live.clear();
      EXPECT_EQ(prefixes.bytes(), pool.used_bytes());
      while (prefixes.reclaim()) {
      }
      EXPECT_EQ(pool.used_bytes(), 0U);
    }
  }
}

TEST(PrefixCache, HasABoundHoweverSmallItsBlocks) {
  const DecoderConfig config;  // no layers: no bytes
  PagePool pool;
  PrefixCache prefixes(config);
  for (TokenKey key = 0; key < PrefixCache::kMostNodes + 200; ++key) {
    KvCache cache(config, {DType::kF32, DType::kF32, 16, 16, 0}, pool);
    cache.make_room(0, 1);
    prefixes.insert(key % 7 == 0 ? "salt" : "", std::vector<TokenKey>{key}, 1, {}, cache);
    ASSERT_LE(prefixes.nodes(), PrefixCache::kMostNodes);
  }
  const TokenKey latest = PrefixCache::kMostNodes + 199;
  EXPECT_EQ(prefixes.find("", std::vector<TokenKey>{latest, 1}, 1).tokens, latest % 7 == 0 ? 0U : 1U);
  EXPECT_EQ(prefixes.find("", std::vector<TokenKey>{1, 1}, 1).tokens, 0U);
}

TEST(PrefixCache, AnEvictedWindowIsSaid) {
  const DecoderConfig config = two_layers(12);
  PagePool pool;
  PrefixCache prefixes(config);
  FakeSequence sequence{KvCache(config, {DType::kF32, DType::kF32, 4096, 2000, 0}, pool), {}, 0};
  for (TokenKey key = 0; key < 1000; ++key) sequence.keys.push_back(key);
  // Page by page, as an engine does it: later, the first windows are behind the sequence.
  for (std::size_t end = 200; end <= 1000; end += 200) {
    sequence.compute(end);
    prefixes.insert("", sequence.keys, end, std::vector<std::size_t>{400}, sequence.cache);
  }
  std::vector<TokenKey> edited = sequence.keys;
  edited[700] = 5000;
  EXPECT_EQ(prefixes.find("", edited, 999).tokens, 700U);
  EXPECT_EQ(prefixes.find("", edited, 999).miss, CacheMiss::kDiverged);
  // One window that no border needs goes first (its sequence no longer holds it): page 2, positions 512 to 767.
  sequence.cache.clear();
  std::size_t before = pool.used_bytes();
  while (prefixes.find("", edited, 999).tokens == 700U) {
    ASSERT_TRUE(prefixes.reclaim());
    ASSERT_LT(pool.used_bytes(), std::exchange(before, pool.used_bytes()));
  }
  const PrefixCache::Match match = prefixes.find("", edited, 999);
  EXPECT_EQ(match.miss, CacheMiss::kWindowEvicted);
  EXPECT_EQ(match.tokens, 512U);  // the border at 400 keeps the window of page 1
}

TEST(PagePool, KeepsItsBudgetAndGivesBlocksOutAgain) {
  PagePool pool(3000);
  KvBlockRef a = pool.allocate(1000);
  KvBlockRef b = pool.allocate(2000);
  EXPECT_THROW(pool.allocate(1), Error);
  EXPECT_THROW(pool.allocate(4000), Error);
  const std::byte* address = a->memory.data();
  a = nullptr;
  EXPECT_EQ(pool.used_bytes(), 2000U);
  EXPECT_EQ(pool.allocate(1000)->memory.data(), address);
  // What somebody holds in reserve is asked for.
  pool.set_reclaim([&](std::size_t) { return std::exchange(b, nullptr) != nullptr; });
  const KvBlockRef c = pool.allocate(2500);
  EXPECT_EQ(b, nullptr);
  EXPECT_EQ(pool.used_bytes(), 2500U);
}

TEST(Slabs, PartsLieSideBySideAndTakeNoMemoryOnceGivenBack) {
  constexpr std::size_t kBytes = (std::size_t{3} << 19) + 64;  // no whole number of pages
  Slabs slabs;
  SlabPart a = slabs.take(kBytes);
  SlabPart b = slabs.take(kBytes);
  EXPECT_EQ(b.data(), a.data() + kBytes);
  std::ranges::fill(a.bytes, std::byte{1});
  std::ranges::fill(b.bytes, std::byte{2});
  std::byte* const address = a.data();
  slabs.give_back(std::move(a));
  EXPECT_NE(slabs.take(kBytes / 2).data(), address);
  a = slabs.take(kBytes);
  EXPECT_EQ(a.data(), address);
  EXPECT_EQ(a.bytes[kBytes / 2], std::byte{0});  // a page of its own, fresh from the kernel
  EXPECT_TRUE(std::ranges::all_of(b.bytes, [](std::byte byte) { return byte == std::byte{2}; }));
}

TEST(Slabs, PartsOutliveThem) {
  SlabPart part;
  {
    Slabs slabs;
    part = slabs.take(1000);
  }
  std::ranges::fill(part.bytes, std::byte{1});
  EXPECT_EQ(part.slab.use_count(), 1);
  EXPECT_EQ(Slabs().take(0).size(), 0U);
}

}  // namespace
}  // namespace carat
