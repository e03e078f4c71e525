#include "checkpoint/gguf_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/test_files.h"

namespace carat {
namespace {

// n bytes that differ from tensor to tensor.
std::vector<std::byte> pattern(std::size_t n, unsigned seed) {
  std::vector<std::byte> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>((i * 31 + seed) & 0xffU);
  return bytes;
}

TEST(GgufWriter, EveryMetadataTypeSurvivesTheRoundTrip) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "all.gguf";
  const std::vector<std::string> words{"", "one", std::string("with\0nul", 8), "\xff not UTF-8"};
  GgufWriter writer(path);
  writer.add("u8", std::uint8_t{200});
  writer.add("i8", std::int8_t{-100});
  writer.add("u16", std::uint16_t{60'000});
  writer.add("i16", std::int16_t{-30'000});
  writer.add("u32", std::uint32_t{4'000'000'000});
  writer.add("i32", std::int32_t{-2'000'000'000});
  writer.add("u64", std::uint64_t{1} << 62);
  writer.add("i64", std::numeric_limits<std::int64_t>::min());
  writer.add("f32", 0.1F);
  writer.add("f64", 0.1);
  writer.add("true", true);
  writer.add("false", false);
  writer.add("string", "gemma4");
  writer.add_array("u8s", std::vector<std::uint8_t>{0, 255});
  writer.add_array("i8s", std::vector<std::int8_t>{-128, 127});
  writer.add_array("u16s", std::vector<std::uint16_t>{0, 65'535});
  writer.add_array("i16s", std::vector<std::int16_t>{-32'768});
  writer.add_array("u32s", std::vector<std::uint32_t>{4'294'967'295});
  writer.add_array("i32s", std::vector<std::int32_t>{-1, 0, 1});
  writer.add_array("u64s", std::vector<std::uint64_t>{1, 2});
  writer.add_array("i64s", std::vector<std::int64_t>{-1, 1});
  writer.add_array("f32s", std::vector<float>{0.5F, -2.0F});
  writer.add_array("f64s", std::vector<double>{0.25});
  const std::array<bool, 3> flags{true, false, true};
  writer.add_array("bools", std::span<const bool>(flags));
  writer.add_array("words", std::span<const std::string>(words));
  writer.add_array("none", std::vector<float>{});
  writer.finish();

  const Gguf gguf(path);
  EXPECT_EQ(gguf.integer("u8"), 200);
  EXPECT_EQ(gguf.integer("i8"), -100);
  EXPECT_EQ(gguf.integer("u16"), 60'000);
  EXPECT_EQ(gguf.integer("i16"), -30'000);
  EXPECT_EQ(gguf.integer("u32"), 4'000'000'000);
  EXPECT_EQ(gguf.integer("i32"), -2'000'000'000);
  EXPECT_EQ(gguf.integer("u64"), std::int64_t{1} << 62);
  EXPECT_EQ(gguf.integer("i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(gguf.number("f32"), double{0.1F});
  EXPECT_EQ(gguf.number("f64"), 0.1);
  EXPECT_EQ(gguf.number("i16"), -30'000.0);
  EXPECT_EQ(gguf.boolean("true"), true);
  EXPECT_EQ(gguf.boolean("false"), false);
  EXPECT_EQ(gguf.string("string"), "gemma4");
  using Integers = std::vector<std::int64_t>;
  EXPECT_EQ(gguf.integers("u8s"), (Integers{0, 255}));
  EXPECT_EQ(gguf.integers("i8s"), (Integers{-128, 127}));
  EXPECT_EQ(gguf.integers("u16s"), (Integers{0, 65'535}));
  EXPECT_EQ(gguf.integers("i16s"), (Integers{-32'768}));
  EXPECT_EQ(gguf.integers("u32s"), (Integers{4'294'967'295}));
  EXPECT_EQ(gguf.integers("i32s"), (Integers{-1, 0, 1}));
  EXPECT_EQ(gguf.integers("u64s"), (Integers{1, 2}));
  EXPECT_EQ(gguf.integers("i64s"), (Integers{-1, 1}));
  EXPECT_EQ(gguf.integers("bools"), (Integers{1, 0, 1}));
  EXPECT_EQ(gguf.numbers("f32s"), (std::vector<float>{0.5F, -2.0F}));
  EXPECT_EQ(gguf.numbers("f64s"), (std::vector<float>{0.25F}));
  EXPECT_EQ(gguf.numbers("i32s"), (std::vector<float>{-1, 0, 1}));
  EXPECT_EQ(gguf.numbers("none"), std::vector<float>{});
  EXPECT_EQ(gguf.strings("words"), (std::vector<std::string_view>{words.begin(), words.end()}));
  EXPECT_TRUE(gguf.is_array("none"));
  EXPECT_FALSE(gguf.is_array("u8"));
  EXPECT_EQ(gguf.keys().size(), 26U);
  EXPECT_EQ(gguf.keys().back(), "none");
}

TEST(GgufWriter, TensorsOfEveryTypeSurviveTheRoundTrip) {
  for (const std::uint32_t alignment : {8U, 32U, 4096U}) {
    const TemporaryFolder folder;
    const auto path = folder.path() / "tensors.gguf";
    GgufWriter writer(path, alignment);
    for (std::size_t i = 0; i < kDTypeCount; ++i) {
      const DTypeInfo& info = dtype_info(static_cast<DType>(i));
      writer.add_tensor(info.name, info.dtype, {2, 3, info.block_values});
    }
    writer.add_tensor("scalar", DType::kF32, {});
    for (std::size_t i = 0; i < kDTypeCount; ++i) {
      const auto bytes =
          pattern(std::size_t{6} * dtype_info(static_cast<DType>(i)).block_bytes, static_cast<unsigned>(i));
      writer.write(std::span(bytes).first(5));  // pieces of any size
      writer.write(std::span(bytes).subspan(5));
    }
    writer.write(pattern(4, 99));
    writer.finish();

    const Gguf gguf(path);
    ASSERT_EQ(gguf.tensors().size(), kDTypeCount + 1);
    for (std::size_t i = 0; i < kDTypeCount; ++i) {
      const DTypeInfo& info = dtype_info(static_cast<DType>(i));
      const Tensor& tensor = gguf.tensors()[i];
      EXPECT_EQ(tensor.name, info.name);
      EXPECT_EQ(tensor.dtype, info.dtype);
      EXPECT_EQ(tensor.shape, (std::vector<std::uint64_t>{2, 3, info.block_values}));
      EXPECT_EQ(tensor.file_offset % alignment, 0U);
      EXPECT_TRUE(std::ranges::equal(tensor.bytes, pattern(tensor.bytes.size(), static_cast<unsigned>(i))))
          << info.name;
    }
    EXPECT_TRUE(gguf.find("scalar")->shape.empty());
    EXPECT_EQ(gguf.file_bytes() % alignment, 0U) << "the last tensor is padded too";
  }
}

TEST(GgufWriter, CopiesKeysAsTheyStand) {
  const TemporaryFolder folder;
  const std::vector<std::string> words{"a", "bc"};
  GgufWriter first(folder.path() / "first.gguf", 64);
  first.add("general.file_type", std::uint32_t{1});
  first.add("name", "x");
  first.add_array("words", std::span<const std::string>(words));
  first.add_array("numbers", std::vector<std::int16_t>{-1, 2});
  first.finish();

  const Gguf source(folder.path() / "first.gguf");
  GgufWriter second(folder.path() / "second.gguf");
  second.add("general.file_type", std::uint32_t{2});
  second.copy_keys(source);
  second.finish();

  const Gguf copy(folder.path() / "second.gguf");
  EXPECT_EQ(copy.integer("general.file_type"), 2);
  EXPECT_EQ(copy.string("name"), "x");
  EXPECT_EQ(copy.strings("words"), (std::vector<std::string_view>{"a", "bc"}));
  EXPECT_EQ(copy.integers("numbers"), (std::vector<std::int64_t>{-1, 2}));
  EXPECT_FALSE(copy.has("general.alignment"));
  EXPECT_EQ(copy.keys().size(), 4U);
}

TEST(GgufWriter, LeavesNothingBehindUnlessFinished) {
  const TemporaryFolder folder;
  folder.add("kept.gguf", "as it was");
  {
    GgufWriter writer(folder.path() / "kept.gguf");
    writer.add_tensor("t", DType::kF32, {4});
    writer.write(pattern(8, 0));
    EXPECT_TRUE(std::filesystem::exists(folder.path() / "kept.gguf.part"));
    EXPECT_THROW(writer.finish(), Error) << "8 bytes lack";
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "kept.gguf.part"));
  EXPECT_EQ(std::filesystem::file_size(folder.path() / "kept.gguf"), 9U);
}

template <typename Act>
void expect_error(const Act& act, ErrorKind kind, std::string_view part) {
  try {
    act();
    ADD_FAILURE() << "expected: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
  }
}

TEST(GgufWriter, RefusesWhatNoReaderWouldAccept) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "x.gguf";
  constexpr auto kBad = ErrorKind::kBadInput;
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 40;
  expect_error([&] { GgufWriter(path, 24); }, kBad, "alignment 24, expected a power of two");
  expect_error([&] { GgufWriter(path, 4); }, kBad, "alignment 4");
  GgufWriter writer(path);
  writer.add("key", 1.0F);
  writer.add_tensor("t", DType::kF32, {4});
  expect_error([&] { writer.add("key", "again"); }, kBad, "key key twice");
  expect_error([&] { writer.add("", "x"); }, kBad, "expected UTF-8 of 1 to 65536 bytes");
  expect_error([&] { writer.add("\xff", "x"); }, kBad, "key \\xff");
  expect_error([&] { writer.add(std::string(65'537, 'k'), "x"); }, kBad, "expected UTF-8 of 1 to 65536 bytes");
  expect_error([&] { writer.add_tensor("t", DType::kF32, {4}); }, kBad, "tensor t twice");
  expect_error([&] { writer.add_tensor("a", DType::kQ4_0, {4, 33}); }, kBad, "the last a multiple of 32");
  expect_error([&] { writer.add_tensor("b", DType::kF32, {4, 0}); }, kBad, "extents above 0");
  expect_error([&] { writer.add_tensor("c", DType::kF32, {1, 1, 1, 1, 1}); }, kBad, "at most 4");
  expect_error([&] { writer.add_tensor("d", DType::kF32, {kHuge, kHuge}); }, kBad, "tensor d");
  expect_error([&] { writer.write(pattern(17, 0)); }, ErrorKind::kInternal, "more bytes");
  writer.write(pattern(16, 0));
  expect_error([&] { writer.write(pattern(1, 0)); }, ErrorKind::kInternal, "more bytes");
  expect_error([&] { writer.add("late", 1.0F); }, ErrorKind::kInternal, "after the header");
  writer.finish();
  EXPECT_EQ(Gguf(path).tensors().size(), 1U);
}

TEST(GgufWriter, SaysWhereItCannotWrite) {
  GgufWriter writer("no/such/folder/x.gguf");
  expect_error([&] { writer.finish(); }, ErrorKind::kBadInput, "no/such/folder/x.gguf.part: can't write: No such file");
}

}  // namespace
}  // namespace carat
