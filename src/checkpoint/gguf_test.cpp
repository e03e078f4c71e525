#include "checkpoint/gguf.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/test_files.h"

namespace carat {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

std::uint32_t id(GgufType type) {
  return static_cast<std::uint32_t>(type);
}

Bytes header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
  return Bytes().raw("GGUF").u32(version).u64(tensors).u64(keys);
}

// The head of one key, up to its value.
Bytes key(std::string_view name, std::uint32_t type) {
  return Bytes().text(name).u32(type);
}
Bytes key(std::string_view name, GgufType type) {
  return key(name, id(type));
}

// A tensor's description. dims: fastest first, as in the file.
Bytes tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type, std::uint64_t offset) {
  Bytes out;
  out.text(name).u32(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims) out.u64(dim);
  return out.u32(type).u64(offset);
}

std::string with_key(const Bytes& one) {
  return header(0, 1).raw(one.bytes).bytes;
}
std::string with_keys(const Bytes& one, const Bytes& two) {
  return header(0, 2).raw(one.bytes).raw(two.bytes).bytes;
}
std::string with_tensor(const Bytes& one, std::size_t data_bytes) {
  return header(1, 0).raw(one.bytes).pad(32).zeros(data_bytes).bytes;
}
std::string with_tensors(const Bytes& one, const Bytes& two, std::size_t data_bytes) {
  return header(2, 0).raw(one.bytes).raw(two.bytes).pad(32).zeros(data_bytes).bytes;
}

struct Broken {
  std::string_view what;
  std::string file;
  std::string_view message;  // part of it
  ErrorKind kind = ErrorKind::kBadFile;
};

constexpr std::uint32_t kF32Id = 0;
constexpr std::uint32_t kQ40Id = 2;
constexpr std::uint32_t kQ4KId = 12;

std::vector<Broken> broken_headers() {
  constexpr auto kUnsupported = ErrorKind::kUnsupported;
  return {
      {"empty", "", "It is empty"},
      {"one byte", "G", "begins with \"G\", expected \"GGUF\""},
      {"half the magic", "GG", "not a GGUF file"},
      {"web page", "<!DOCTYPE html><html>", "It is a web page"},
      {"Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
      {"zip", "PK\x03\x04............", "zip archive"},
      {"gzip", "\x1f\x8b............", "compressed with gzip"},
      {"before GGUF", "tjgg............", "before GGUF"},
      {"safetensors", Bytes().u64(2).raw("{}  ").bytes, "looks like safetensors"},
      {"control characters", "\x01\x02\x03\x04", "\\x01\\x02\\x03\\x04"},
      {"magic only", "GGUF", "at least 4 bytes are missing behind its 4"},
      {"version 0", header(0, 0, 0).bytes, "says version 0, carat reads versions 2 and 3", kUnsupported},
      {"version 1", header(0, 0, 1).bytes, "Convert the original model again", kUnsupported},
      {"version 4", header(0, 0, 4).bytes, "Is carat up to date?", kUnsupported},
      {"big-endian 2", header(0, 0, 2U << 24).bytes, "big-endian", kUnsupported},
      {"big-endian 3", header(0, 0, 3U << 24).bytes, "big-endian", kUnsupported},
      {"no counts", Bytes().raw("GGUF").u32(3).bytes, "at least 8 bytes are missing"},
      {"half a count", Bytes().raw("GGUF").u32(3).u64(0).u32(0).bytes, "at least 4 bytes are missing"},
      {"65536 tensors", header(65'536, 0).bytes, "declares 65536 tensors, at most 65535"},
      {"65536 keys", header(0, 65'536).bytes, "declares 65536 metadata keys, at most 65535"},
      {"2^64 - 1 tensors", header(kMax, 0).bytes, "declares 18446744073709551615 tensors"},
      {"2^64 - 1 keys", header(0, kMax).bytes, "declares 18446744073709551615 metadata keys"},
      {"keys without bytes", header(0, 3).bytes, "the file ends within header: at least 42 bytes are missing"},
      {"tensors without bytes", header(2, 0).bytes, "the file ends within header: at least 50 bytes are missing"},
  };
}

std::vector<Broken> broken_keys() {
  const Bytes one = key("a", GgufType::kUint8).u8(1);
  const auto array = [](GgufType element, std::uint64_t count) {
    return key("list", GgufType::kArray).u32(id(element)).u64(count);
  };
  return {
      {"name of 2^63 bytes", with_key(Bytes().u64(1ULL << 63).zeros(32)), "a text of 9223372036854775808 bytes"},
      {"name of 65537 bytes", with_key(Bytes().text(std::string(65'537, 'k')).u32(0).u8(0)), "at most 65536"},
      {"name longer than the file", with_key(Bytes().u64(60'000).zeros(32)),
       "the file ends within metadata key 1 of 1: at least 59968 bytes are missing"},
      {"empty name", with_key(key("", GgufType::kUint32).u32(7)), "metadata key 1 of 1 has an empty name"},
      {"name not UTF-8", with_key(key("\xc0\xaf", GgufType::kUint32).u32(7)), "not UTF-8"},
      {"type 13", with_key(key("a", 13).u64(0)), "metadata key a has value type 13, expected 0 to 12"},
      {"type 2^32 - 1", with_key(key("a", 0xffffffffU).u64(0)), "value type 4294967295"},
      {"no type", with_keys(key("a", GgufType::kUint64).u64(0), Bytes().text("bcd")), "within metadata key bcd"},
      {"uint64 cut", with_key(key("abc", GgufType::kUint64).u32(0)), "within metadata key abc: at least 4 bytes"},
      {"float64 cut", with_key(key("abcd", GgufType::kFloat64).u32(0)), "within metadata key abcd: at least 4 bytes"},
      {"string longer than the file", with_key(key("s", GgufType::kString).u64(100).raw("short")),
       "within metadata key s: at least 95 bytes are missing"},
      {"string of 2^64 - 1 bytes", with_key(key("s", GgufType::kString).u64(kMax).raw("short")),
       "metadata key s has a text of 18446744073709551615 bytes, at most 16777216"},
      {"string above the limit", with_key(key("s", GgufType::kString).text(std::string((16U << 20) + 1, 's'))),
       "a text of 16777217 bytes"},
      {"bool of 2", with_key(key("flag", GgufType::kBool).u8(2)), "metadata key flag has a bool stored as 2"},
      {"key twice", with_keys(one, one), "metadata key a stands in the file twice"},
      {"array of type 13", with_key(key("a", GgufType::kArray).u32(13).u64(0)), "is an array of value type 13"},
      {"array without count", with_key(key("a", GgufType::kArray).u32(0)), "within metadata key a: at least 8 bytes"},
      {"array of arrays", with_key(array(GgufType::kArray, 1).u32(0).u64(0)), "is an array of arrays",
       ErrorKind::kUnsupported},
      {"2^64 - 1 uint8", with_key(array(GgufType::kUint8, kMax)), "declares 18446744073709551615 values of type uint8"},
      {"product wraps to 0", with_key(array(GgufType::kUint64, 1ULL << 61).zeros(64)), "incomplete or damaged"},
      {"product wraps to 8", with_key(array(GgufType::kFloat32, (1ULL << 62) + 2).zeros(64)), "incomplete or damaged"},
      {"strings' product wraps", with_key(array(GgufType::kString, 1ULL << 61).zeros(64)), "incomplete or damaged"},
      {"array cut", with_key(array(GgufType::kUint32, 4).zeros(15)), "at least 1 bytes are missing"},
      {"more strings than bytes", with_key(array(GgufType::kString, 3).text("a").text("b")),
       "declares 3 values of type string, the file has 18 bytes left: at least 6 bytes are missing"},
      {"second string cut", with_key(array(GgufType::kString, 2).text("a").u64(9).raw("bc")),
       "within metadata key list: at least 7 bytes"},
      {"string in array too long", with_key(array(GgufType::kString, 1).u64(kMax).raw("bc")), "at most 16777216"},
      {"array of bools with 255", with_key(array(GgufType::kBool, 3).u8(1).u8(0).u8(255)), "a bool stored as 255"},
      {"alignment int32", with_key(key("general.alignment", GgufType::kInt32).u32(32)),
       "metadata key general.alignment has type int32, expected uint32"},
      {"alignment string", with_key(key("general.alignment", GgufType::kString).text("32")), "has type string"},
      {"alignment array", with_key(key("general.alignment", GgufType::kArray).u32(4).u64(1).u32(32)), "type array"},
      {"alignment 0", with_key(key("general.alignment", GgufType::kUint32).u32(0)), "is 0, expected a power of two"},
      {"alignment 4", with_key(key("general.alignment", GgufType::kUint32).u32(4)), "is 4, expected"},
      {"alignment 48", with_key(key("general.alignment", GgufType::kUint32).u32(48)), "is 48, expected"},
      {"alignment 2 MiB", with_key(key("general.alignment", GgufType::kUint32).u32(2U << 20)), "from 8 to 1048576"},
      {"alignment 2^31", with_key(key("general.alignment", GgufType::kUint32).u32(1U << 31)), "from 8 to 1048576"},
  };
}

std::vector<Broken> broken_tensors() {
  constexpr auto kUnsupported = ErrorKind::kUnsupported;
  const Bytes t8 = tensor("t", {8}, kF32Id, 0);
  return {
      {"name cut", with_tensor(Bytes().u64(64).zeros(25), 0), "within description of tensor 1 of 1"},
      {"empty name", with_tensor(tensor("", {8}, kF32Id, 0), 32), "description of tensor 1 of 1 has an empty name"},
      {"name not UTF-8", with_tensor(tensor("\xed\xa0\x80", {8}, kF32Id, 0), 32), "not UTF-8"},
      {"name of 2^62 bytes", with_tensor(Bytes().u64(1ULL << 62).zeros(32), 32), "a text of 4611686018427387904 bytes"},
      {"5 dimensions", with_tensor(tensor("t", {2, 2, 2, 2, 2}, kF32Id, 0), 128), "has 5 dimensions, at most 4"},
      {"2^32 - 1 dimensions", with_tensor(Bytes().text("t").u32(0xffffffffU).zeros(64), 0),
       "has 4294967295 dimensions"},
      {"dimension 0", with_tensor(tensor("t", {8, 0}, kF32Id, 0), 32), "has shape [0, 8], expected dimensions above 0"},
      {"dimensions cut", header(1, 0).text("long enough a name").u32(4).u64(1).bytes,
       "within tensor long enough a name"},
      {"product wraps to 0", with_tensor(tensor("t", {1ULL << 32, 1ULL << 32}, kF32Id, 0), 32), "64 bits can count"},
      {"product wraps to 32", with_tensor(tensor("t", {(1ULL << 62) + 8}, kF32Id, 0), 32), "64 bits can count"},
      {"bytes wrap, values don't", with_tensor(tensor("t", {1ULL << 31, 1ULL << 31}, kF32Id, 0), 32), "64 bits"},
      {"blocks wrap", with_tensor(tensor("t", {1ULL << 63, 32}, kQ40Id, 0), 32), "64 bits can count"},
      {"negative dimension", with_tensor(tensor("t", {static_cast<std::uint64_t>(-32), 1}, kQ40Id, 0), 32),
       "10376293541461622734 bytes are missing"},
      {"an exabyte", with_tensor(tensor("t", {1ULL << 30, 1ULL << 28}, kF32Id, 0), 32), "bytes are missing"},
      {"type 4", with_tensor(tensor("t", {32}, 4, 0), 32), "tensor t has element type 4, which carat", kUnsupported},
      {"type 31", with_tensor(tensor("t", {32}, 31, 0), 32), "element type 31", kUnsupported},
      {"type 2^32 - 1", with_tensor(tensor("t", {32}, 0xffffffffU, 0), 32), "element type 4294967295", kUnsupported},
      {"rows no whole blocks", with_tensor(tensor("t", {33, 2}, kQ40Id, 0), 64),
       "tensor t has shape [2, 33] and type q4_0: rows of 33 values, expected a multiple of 32"},
      {"rows half a block", with_tensor(tensor("t", {128, 2}, kQ4KId, 0), 160), "expected a multiple of 256"},
      {"blocks without dimensions", with_tensor(tensor("t", {}, kQ40Id, 0), 32), "rows of 1 values"},
      {"offset not aligned", with_tensor(tensor("t", {8}, kF32Id, 16), 64),
       "tensor t has offset 16, expected a multiple of the alignment 32"},
      {"offset behind the end", with_tensor(tensor("t", {8}, kF32Id, 4096), 32),
       "the file ends within tensor t: at least 4096 bytes are missing"},
      {"offset + bytes wrap", with_tensor(tensor("t", {16}, kF32Id, kMax - 31), 32), "beyond what 64 bits can count"},
      {"begin of data wraps", with_tensor(tensor("t", {8}, kF32Id, kMax - 63), 32), "beyond what 64 bits can count"},
      {"same bytes twice", with_tensors(t8, tensor("u", {8}, kF32Id, 0), 32),
       "begins at offset 0, inside the tensor before it"},
      {"overlap", with_tensors(tensor("a", {16}, kF32Id, 0), tensor("b", {8}, kF32Id, 32), 64),
       "tensor b begins at offset 32, inside the tensor before it, which ends at 64"},
      {"overlap, other order", with_tensors(tensor("b", {8}, kF32Id, 32), tensor("a", {16}, kF32Id, 0), 64),
       "tensor b begins at offset 32, inside the tensor before it"},
      {"tensor twice", with_tensors(t8, tensor("t", {8}, kF32Id, 32), 64), "tensor t stands in the file twice"},
      {"a byte short", with_tensor(t8, 31), "the file ends within tensor t: at least 1 bytes are missing"},
      {"no data", with_tensor(t8, 0), "the file ends within tensor t: at least 32 bytes are missing"},
      {"no padding before data", header(1, 0).raw(t8.bytes).bytes, "It is incomplete: download it again"},
      {"both tensors missing", with_tensors(t8, tensor("u", {8}, kF32Id, 32), 0),
       "the file ends within tensor t: at least 64 bytes are missing"},
      {"second tensor missing", with_tensors(t8, tensor("u", {8}, kF32Id, 32), 32), "the file ends within tensor u"},
  };
}

void expect_refused(const Broken& broken) {
  const MemoryFile file(broken.file);
  try {
    const Gguf gguf(file.path());
    ADD_FAILURE() << broken.what << ": was read";
  } catch (const Error& error) {
    const std::string_view message = error.what();
    EXPECT_NE(message.find(broken.message), message.npos) << broken.what << ": " << message;
    EXPECT_TRUE(message.starts_with(file.path().string())) << broken.what << ": " << message;
    EXPECT_EQ(error.kind(), broken.kind) << broken.what;
  }
}

TEST(Gguf, RefusesBrokenHeaders) {
  for (const Broken& broken : broken_headers()) expect_refused(broken);
}

TEST(Gguf, RefusesBrokenKeys) {
  for (const Broken& broken : broken_keys()) expect_refused(broken);
}

TEST(Gguf, RefusesBrokenTensors) {
  for (const Broken& broken : broken_tensors()) expect_refused(broken);
}

TEST(Gguf, RefusesEveryTruncation) {
  const Bytes list = key("list", GgufType::kArray).u32(id(GgufType::kString)).u64(2).text("ab").text("c");
  const std::string whole = header(1, 2)
                                .raw(key("general.architecture", GgufType::kString).text("gemma4").bytes)
                                .raw(list.bytes)
                                .raw(tensor("t", {8}, kF32Id, 0).bytes)
                                .pad(32)
                                .zeros(32)
                                .bytes;
  EXPECT_NO_THROW(Gguf(MemoryFile(whole).path()));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const MemoryFile file(std::string_view(whole).substr(0, n));
    EXPECT_THROW(Gguf(file.path()), Error) << n << " bytes";
  }
}

TEST(Gguf, SaysThatThereIsNoFile) {
  try {
    const Gguf gguf("no/such/model.gguf");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  }
}

TEST(Gguf, ReadsVersion2AndFilesWithoutTensors) {
  const MemoryFile file(header(0, 1, 2).raw(key("n", GgufType::kInt16).number(std::int16_t{-2}).bytes).bytes);
  const Gguf gguf(file.path());
  EXPECT_EQ(gguf.integer("n"), -2);
  EXPECT_TRUE(gguf.tensors().empty());
}

TEST(Gguf, ReadsTensorsInAnyOrderAndOfNoDimension) {
  const MemoryFile file(with_tensors(tensor("b", {2, 3}, kF32Id, 64), tensor("a", {}, kF32Id, 0), 88));
  const Gguf gguf(file.path());
  ASSERT_EQ(gguf.tensors().size(), 2U);
  EXPECT_EQ(gguf.tensors()[0].name, "b") << "the file's order";
  EXPECT_EQ(gguf.tensors()[0].shape, (std::vector<std::uint64_t>{3, 2})) << "outermost first";
  EXPECT_EQ(gguf.tensors()[0].bytes.size(), 24U);
  ASSERT_NE(gguf.find("a"), nullptr);
  EXPECT_TRUE(gguf.find("a")->shape.empty());
  EXPECT_EQ(gguf.find("a")->bytes.size(), 4U);
  EXPECT_EQ(gguf.find("c"), nullptr);
}

TEST(Gguf, ObservesTheAlignmentOfTheFile) {
  const Bytes start = header(1, 1)
                          .raw(key("general.alignment", GgufType::kUint32).u32(1024).bytes)
                          .raw(tensor("t", {4}, kF32Id, 1024).bytes)
                          .pad(1024);
  const MemoryFile file(Bytes(start).zeros(1024).raw("0123456789abcdef").bytes);
  const Gguf gguf(file.path());
  const Tensor& t = gguf.tensors()[0];
  EXPECT_EQ(t.file_offset, 2048U);
  EXPECT_EQ(static_cast<char>(t.bytes.front()), '0');
  std::array<std::byte, 16> read{};
  t.file->read_at(t.file_offset, read);
  EXPECT_TRUE(std::ranges::equal(read, t.bytes));
}

// Calls get and expects an Error with that part in its message.
template <typename Get>
void expect_error(const Get& get, std::string_view part) {
  try {
    get();
    ADD_FAILURE() << "expected: " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
    EXPECT_EQ(error.kind(), ErrorKind::kBadFile);
  }
}

TEST(Gguf, NamesKeyExpectedAndFoundWhereATypeIsWrong) {
  const MemoryFile file(header(0, 4)
                            .raw(key("s", GgufType::kString).text("x").bytes)
                            .raw(key("f", GgufType::kFloat32).number(0.5F).bytes)
                            .raw(key("large", GgufType::kUint64).u64(1ULL << 63).bytes)
                            .raw(key("list", GgufType::kArray).u32(id(GgufType::kUint64)).u64(2).u64(1).u64(kMax).bytes)
                            .bytes);
  const Gguf gguf(file.path());
  expect_error([&] { gguf.integer("s"); }, "metadata key s is a single value of type string, expected an integer");
  expect_error([&] { gguf.integer("f"); }, "metadata key f is a single value of type float32, expected an integer");
  expect_error([&] { gguf.number("s"); }, "expected a number");
  expect_error([&] { gguf.boolean("f"); }, "expected a bool");
  expect_error([&] { gguf.string("list"); }, "metadata key list is an array of type uint64, expected a string");
  expect_error([&] { gguf.strings("list"); }, "expected an array of strings");
  expect_error([&] { gguf.strings("s"); }, "expected an array of strings");
  expect_error([&] { gguf.integers("f"); }, "expected an array of integers or bools");
  expect_error([&] { gguf.numbers("s"); }, "expected an array of numbers");
  expect_error([&] { gguf.integer("large"); }, "holds 9223372036854775808, expected less than 2^63");
  expect_error([&] { gguf.integers("list"); }, "holds 18446744073709551615");
  EXPECT_EQ(gguf.number("large"), 0x1p63);
  EXPECT_FALSE(gguf.integer("absent"));
  EXPECT_FALSE(gguf.strings("absent"));
  EXPECT_FALSE(gguf.is_array("absent"));
}

TEST(Gguf, RendersValuesForListings) {
  const auto strings = key("strings", GgufType::kArray).u32(id(GgufType::kString)).u64(2).text("a\n").text("\xff");
  Bytes many = key("many", GgufType::kArray).u32(id(GgufType::kInt32)).u64(100);
  for (int i = 0; i < 100; ++i) many.number(std::int32_t{i});
  const MemoryFile file(header(0, 6)
                            .raw(strings.bytes)
                            .raw(many.bytes)
                            .raw(key("none", GgufType::kArray).u32(id(GgufType::kBool)).u64(0).bytes)
                            .raw(key("f", GgufType::kFloat32).number(1e-6F).bytes)
                            .raw(key("b", GgufType::kBool).u8(1).bytes)
                            .raw(key("s", GgufType::kString).text("a long text with\x1b[31m colour").bytes)
                            .bytes);
  const Gguf gguf(file.path());
  EXPECT_EQ(gguf.value_text("strings"), "[\"a\\x0a\", \"\\xff\"]");
  EXPECT_EQ(gguf.value_text("strings", 10), "[2 strings]");
  EXPECT_EQ(gguf.value_text("many"), "[100 int32s]");
  EXPECT_EQ(gguf.value_text("none"), "[]");
  EXPECT_EQ(gguf.value_text("f"), "1e-06");
  EXPECT_EQ(gguf.value_text("b"), "true");
  EXPECT_EQ(gguf.value_text("s"), "a long text with\\x1b[31m colour");
  EXPECT_EQ(gguf.value_text("s", 6), "a long...");
  EXPECT_EQ(gguf.value_text("absent"), "");
  EXPECT_EQ(gguf.keys().front(), "strings");
}

TEST(Gguf, ReadsEveryGoldenType) {
  const std::filesystem::path folder = std::filesystem::path(CARAT_TEST_DATA) / "golden" / "quants";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    ++files;
    const Gguf gguf(entry.path());
    EXPECT_EQ(gguf.string("general.architecture"), "gemma4");
    const Tensor* tensor = gguf.find("tensor");
    ASSERT_NE(tensor, nullptr) << entry.path();
    EXPECT_EQ(tensor->dtype, dtype_from_name(entry.path().stem().string())) << entry.path();
    EXPECT_EQ(tensor->shape, (std::vector<std::uint64_t>{3, 512}));
    EXPECT_EQ(tensor->bytes.size(), 3 * *row_bytes(tensor->dtype, 512)) << entry.path();
  }
  EXPECT_EQ(files, 26U);
}

// S-01: sizes against 128-bit arithmetic, around the borders where 64 bits wrap.
TEST(Gguf, TensorBytesAgreeWithWideArithmetic) {
  std::mt19937_64 random(1);
  // clang-format off: a few a line
  const std::vector<std::uint64_t> borders{0,          1,
                                           2,          32,
                                           256,        1ULL << 31,
                                           1ULL << 32, 1ULL << 61,
                                           1ULL << 62, (1ULL << 63) - 1,
                                           1ULL << 63, (1ULL << 63) + 1,
                                           kMax - 31,  kMax - 1,
                                           kMax};
  // clang-format on
  const auto extent = [&]() -> std::uint64_t {
    switch (random() % 4) {
      case 0:
        return borders[random() % borders.size()];
      case 1:
        return borders[random() % borders.size()] + random() % 64;
      default:
        return random() >> (random() % 64);
    }
  };
  for (int round = 0; round < 1'000'000; ++round) {
    const DTypeInfo& info = dtype_info(static_cast<DType>(random() % kDTypeCount));
    std::vector<std::uint64_t> shape(1 + random() % 4);
    for (auto& dim : shape) dim = extent();
    if (random() % 2 == 0) shape.back() = shape.back() / info.block_values * info.block_values;

    std::optional<std::uint64_t> expected;
    if (shape.back() % info.block_values == 0) {
      __extension__ using Wide = unsigned __int128;
      Wide rows = 1;
      bool fits = true;
      for (std::size_t d = 0; d + 1 < shape.size(); ++d) {
        rows *= shape[d];
        fits = fits && rows <= kMax;
      }
      const Wide row = Wide{shape.back() / info.block_values} * info.block_bytes;
      if (fits && row <= kMax && rows * row <= kMax) expected = static_cast<std::uint64_t>(rows * row);
    }
    ASSERT_EQ(tensor_bytes(info.dtype, shape), expected) << info.name << shape_text(shape);
  }
}

// As large a vocabulary as Gemma's: its strings are views into the file, in order.
TEST(Gguf, OpensALargeVocabulary) {
  constexpr std::uint64_t kTokens = 262'144;
  Bytes file = header(0, 2).raw(key("tokens", GgufType::kArray).u32(id(GgufType::kString)).u64(kTokens).bytes);
  for (std::uint64_t i = 0; i < kTokens; ++i) file.text(str("token", i));
  file.raw(key("last", GgufType::kBool).u8(1).bytes);
  const MemoryFile memory(file.bytes);
  const Gguf gguf(memory.path());
  const auto tokens = gguf.strings("tokens");
  ASSERT_TRUE(tokens);
  ASSERT_EQ(tokens->size(), kTokens);
  for (std::uint64_t i = 0; i < kTokens; ++i) ASSERT_EQ((*tokens)[i], str("token", i));
  EXPECT_EQ(gguf.value_text("tokens"), "[262144 strings]");
  EXPECT_EQ(gguf.boolean("last"), true);
}

}  // namespace
}  // namespace carat
