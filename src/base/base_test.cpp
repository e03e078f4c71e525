#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/float16.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/range_shares.h"
#include "base/row_parts.h"
#include "base/thread_pool.h"
#include "base/unicode.h"

namespace carat {
namespace {

TEST(Float16, EveryF16SurvivesTheRoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const F16 x{static_cast<std::uint16_t>(bits)};
    const float value = to_float(x);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(value))));
    } else {
      EXPECT_EQ(to_f16(value).bits, x.bits);
    }
  }
}

// The nearest number that an f16 holds, ties to even, reckoned in double: the spacing of f16 around x is 2^-10 of its
// power of two, and never less than 2^-24. IEEE 754-2019, binary16.
double nearest_f16(float x) {
  const double magnitude = std::abs(static_cast<double>(x));
  const double spacing = std::ldexp(1.0, std::max(std::ilogb(magnitude), -14) - 10);
  const double rounded = std::nearbyint(magnitude / spacing) * spacing;
  return std::copysign(rounded > 65504.0 ? std::numeric_limits<double>::infinity() : rounded, x);
}

TEST(Float16, RoundsToNearestEven) {
  for (std::uint32_t i = 0; i < 2'000'000; ++i) {
    const auto x = std::bit_cast<float>(i * 2147U + 12345U);
    if (!std::isfinite(x)) continue;
    const float rounded = to_float(to_f16(x));
    ASSERT_EQ(static_cast<double>(rounded), nearest_f16(x)) << x;
    ASSERT_EQ(std::signbit(rounded), std::signbit(x)) << x;
  }
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(to_float(to_f16(-infinity)), -infinity);
  EXPECT_EQ(to_f16(1.0F + 1.0F / 2048).bits, 0x3c00);  // half way
  EXPECT_EQ(to_f16(1.0F + 3.0F / 2048).bits, 0x3c02);
  EXPECT_EQ(to_f16(65519.0F).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0F).bits, 0x7c00);
}

TEST(Float16, Bf16RoundsToNearestEven) {
  EXPECT_EQ(to_bf16(1.0F).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000U)).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000U)).bits, 0x3f82);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Checked, FindsOverflow) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(checked_mul(1ULL << 32, 1ULL << 31), 1ULL << 63);
  EXPECT_FALSE(checked_mul(1ULL << 32, 1ULL << 32));
  EXPECT_FALSE(checked_add(kMax, 1));
  EXPECT_FALSE(checked_align(kMax - 3, 32));
  EXPECT_EQ(checked_align(33, 32), 64U);
}

TEST(ThreadPool, RunsEveryIndexOnceWhateverTheThreads) {
  for (const std::size_t threads : {1U, 2U, 3U, 8U}) {
    ThreadPool pool(threads);
    for (std::size_t n = 0; n < 200; ++n) {
      std::vector<std::atomic<int>> hits(n);
      pool.parallel_for(n, [&](std::size_t i, std::size_t worker) {
        EXPECT_LT(worker, threads);
        hits[i].fetch_add(1);
      });
      for (const auto& hit : hits) ASSERT_EQ(hit.load(), 1);
    }
  }
}

TEST(RowParts, MeetEveryColumnOnceAndBeginAtSteps) {
  for (const std::size_t threads : {1U, 2U, 3U, 7U}) {
    ThreadPool pool(threads);
    for (const std::size_t rows : {0U, 1U, 2U, 9U, 17U}) {
      for (const std::size_t cols : {1U, 5U, 64U, 704U, 2047U, 4096U, 6400U, 12289U}) {
        for (const std::size_t step : {1U, 32U}) {
          for (const std::size_t work : {1U, 5000U}) {
            std::vector<std::atomic<int>> hits(rows * cols);
            for_row_parts(pool, rows, {cols, step, work}, [&](const IndexRange& part, const IndexRange& columns) {
              EXPECT_EQ(columns.first % step, 0U);
              for (std::size_t row = part.first; row < part.end; ++row) {
                for (std::size_t col = columns.first; col < columns.end; ++col) ++hits[row * cols + col];
              }
            });
            for (const auto& hit : hits) ASSERT_EQ(hit.load(), 1) << rows << " rows of " << cols << ", " << threads;
          }
        }
      }
    }
  }
}

// What a thread made of a few rows, it finds in its own cache when it goes on with them.
TEST(RowParts, OfAFewRowsAThreadGetsTheSameEveryTime) {
  ThreadPool pool(2);
  for (const std::size_t rows : {1U, 8U}) {
    std::vector<std::thread::id> makers(rows * 8192);
    const auto note_makers = [&](const IndexRange& part, const IndexRange& columns) {
      for (std::size_t row = part.first; row < part.end; ++row) {
        for (std::size_t col = columns.first; col < columns.end; ++col) {
          makers[row * 8192 + col] = std::this_thread::get_id();
        }
      }
    };
    for_row_parts(pool, rows, {8192}, note_makers);
    const std::vector<std::thread::id> before = std::exchange(makers, std::vector<std::thread::id>(rows * 8192));
    for_row_parts(pool, rows, {8192}, note_makers);
    EXPECT_EQ(makers, before);
    for (std::size_t i = 0; i < makers.size(); ++i)
      EXPECT_EQ(makers[i], makers[i < makers.size() / 2 ? 0 : 4096 * rows]);
    EXPECT_NE(makers.front(), makers.back());
  }
}

TEST(RangeShares, EveryIndexIsTakenOnceWhoeverTakes) {
  for (const std::size_t workers : {1U, 2U, 5U}) {
    for (const std::size_t n : {0U, 1U, 3U, 7U, 1000U}) {
      ThreadPool pool(workers);
      RangeShares shares(workers);
      shares.deal(n);
      std::vector<std::atomic<int>> taken(n);
      // One share has nobody to work through it.
      pool.parallel_for(std::max<std::size_t>(1, workers - 1), [&](std::size_t share, std::size_t) {
        for (IndexRange range = shares.take(share); !range.empty(); range = shares.take(share)) {
          for (std::size_t i = range.first; i < range.end; ++i) ++taken[i];
        }
      });
      for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(taken[i], 1) << i << " of " << n << ", " << workers << " workers";
    }
  }
}

TEST(RangeShares, AShareIsWorkedThroughInOrder) {
  RangeShares shares(2);
  shares.deal(100);
  std::size_t next = 50;
  while (next < 100) {
    const IndexRange range = shares.take(1);
    ASSERT_EQ(range.first, next);
    ASSERT_LT(range.first, range.end);
    next = range.end;
  }
  EXPECT_EQ(shares.take(1).end, 50U);  // from the back of the other share
}

TEST(RangeShares, SharesEndWhereTheyAreToldTo) {
  RangeShares shares(3);
  const std::array<std::size_t, 3> ends{4, 4, 10};
  shares.deal(ends);
  EXPECT_EQ(shares.dealt(0).end, 4U);
  EXPECT_TRUE(shares.dealt(1).empty());
  EXPECT_EQ(shares.dealt(2).first, 4U);
  std::vector<int> taken(10);
  for (IndexRange range = shares.take(1); !range.empty(); range = shares.take(1)) {
    for (std::size_t i = range.first; i < range.end; ++i) ++taken[i];
  }
  EXPECT_EQ(taken, std::vector<int>(10, 1));
}

TEST(ThreadPool, WakesSleepingWorkers) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> sum{0};
    pool.parallel_for(100, [&](std::size_t i, std::size_t) { sum += static_cast<int>(i); });
    EXPECT_EQ(sum.load(), 4950);
  }
}

TEST(Unicode, KnowsValidCharacters) {
  EXPECT_EQ(utf8_character_length("a"), 1U);
  EXPECT_EQ(utf8_character_length("é"), 2U);
  EXPECT_EQ(utf8_character_length("😀"), 4U);
  EXPECT_EQ(utf8_character_length("\xc0\x80"), 0U) << "overlong";
  EXPECT_EQ(utf8_character_length("\xed\xa0\x80"), 0U) << "surrogate";
  EXPECT_EQ(utf8_character_length("\xf4\x90\x80\x80"), 0U) << "above U+10FFFF";
  EXPECT_EQ(utf8_character_length("\x80"), 0U);
  EXPECT_TRUE(is_utf8_prefix("\xf0\x9f\x98"));
  EXPECT_FALSE(is_utf8_prefix("\xed\xa0"));
  EXPECT_FALSE(is_utf8_prefix("a"));
}

TEST(Error, PrintableIsValidTextWithoutControls) {
  EXPECT_EQ(printable("a\n\x7f"), "a\\x0a\\x7f");
  EXPECT_EQ(printable("é\xff\xc2\x9b"), "é\\xff\\xc2\\x9b");
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("aaéé", 3), "aa...") << "no half character";
}

TEST(Json, RefusesDepthAndRubbish) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "test", ErrorKind::kBadInput));
  EXPECT_THROW(parse_json(nested(65), "test", ErrorKind::kBadInput), Error);
  EXPECT_THROW(parse_json(nested(100'000), "test", ErrorKind::kBadInput), Error);
  try {
    parse_json("{} x", "test", ErrorKind::kBadInput);
    ADD_FAILURE() << "something behind the value was taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("extra data"), std::string::npos) << error.what();
  }
  EXPECT_THROW(parse_json("", "test", ErrorKind::kBadInput), Error);
  EXPECT_THROW(parse_json("\"\xff\"", "test", ErrorKind::kBadInput), Error);
  EXPECT_EQ(parse_json(" {\"a\": 1} \n", "test", ErrorKind::kBadInput).at("a").as_int64(), 1);
}

TEST(Buffer, IsZeroAlignedAndSaysWhatDidNotFit) {
  for (const std::size_t n : {1UL, 100UL, 3UL << 20}) {
    const AlignedBuffer<float> buffer(n, "test");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
    for (const float x : buffer.span()) ASSERT_EQ(x, 0.0F);
  }
  try {
    const AlignedBuffer<float> buffer(std::numeric_limits<std::size_t>::max() / 2, "the test's cache");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find("the test's cache"), std::string::npos);
  }
}

TEST(File, NamesWhatIsMissing) {
  try {
    const File file("/nonexistent/model.gguf");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  }
  EXPECT_THROW(File("/dev/zero"), Error);
}

TEST(File, SeesThatItHasChangedOnDisk) {
  const auto path = std::filesystem::temp_directory_path() / str("carat_file_test_", ::getpid());
  std::ofstream(path) << "sixteen bytes ..";
  const File file(path);
  EXPECT_TRUE(file.is_unchanged());
  std::filesystem::resize_file(path, 8);
  EXPECT_FALSE(file.is_unchanged());
  std::array<std::byte, 16> bytes{};
  EXPECT_THROW(file.read_at(0, bytes), Error);
  std::filesystem::remove(path);
}

// How much of a file's mapping is entered, of whole pages.
std::size_t resident(std::span<const std::byte> mapped) {
  const std::size_t before = resident_memory().file;
  volatile std::byte sum{};
  for (std::size_t i = 0; i < mapped.size(); i += 4096) sum = sum | mapped[i];
  return mapped.size() - std::min(mapped.size(), resident_memory().file - before);
}

TEST(MappedFile, WhatMemoryHoldsOfItIsEnteredAtOnce) {
  const auto path = std::filesystem::temp_directory_path() / str("carat_entered_test_", ::getpid());
  constexpr std::size_t kSize = std::size_t{40} << 20U;
  std::ofstream(path) << std::string(kSize, 'x');
  const MappedFile touched(path);
  const MappedFile entered(path);
  const std::span<const std::byte> odd = entered.bytes().subspan(5000, kSize - 9000);
  enter_cached(entered.file(), 5000, odd);
  enter_cached(entered.file(), 0, {});
  std::filesystem::remove(path);
  if (::syscall(451, -1, nullptr, nullptr, 0); errno != EBADF) GTEST_SKIP() << "no cachestat here";
  EXPECT_GT(resident(odd), kSize - (std::size_t{1} << 20U));
  EXPECT_LT(resident(touched.bytes()), kSize / 2) << "bytes that nobody entered";
}

// S-10.
TEST(MappedFile, ShrunkItReadsAsZerosAndIsLost) {
  survive_lost_mappings();
  const auto path = std::filesystem::temp_directory_path() / str("carat_mapping_test_", ::getpid());
  const auto other_path = std::filesystem::path(path.string() + "_other");
  for (const auto& name : {path, other_path}) std::ofstream(name) << std::string(3 << 14, 'x');
  const MappedFile before(path);
  const MappedFile other(other_path);
  std::optional<MappedFile> mapped = MappedFile(path);  // a guard moves along
  std::filesystem::resize_file(path, 100);
  EXPECT_FALSE(is_mapping_lost(mapped->bytes().data()));
  EXPECT_EQ(mapped->bytes()[0], std::byte{'x'});
  EXPECT_FALSE(is_mapping_lost(mapped->bytes().data()));
  EXPECT_EQ(mapped->bytes()[(2 << 14) + 1], std::byte{0});
  EXPECT_EQ(mapped->bytes().back(), std::byte{0});
  EXPECT_TRUE(is_mapping_lost(mapped->bytes().data()));
  EXPECT_FALSE(is_mapping_lost(before.bytes().data()));
  EXPECT_FALSE(is_mapping_lost(other.bytes().data()));
  EXPECT_EQ(other.bytes().back(), std::byte{'x'});
  mapped.reset();
  EXPECT_FALSE(is_mapping_lost(MappedFile(other_path).bytes().data()));
  for (const auto& name : {path, other_path}) std::filesystem::remove(name);
}

}  // namespace
}  // namespace carat
