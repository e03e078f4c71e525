#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/test_files.h"

namespace carat {
namespace {

// A file with that header and so many bytes of data.
std::string file(std::string_view header, std::size_t data_bytes) {
  return Bytes().text(header).zeros(data_bytes).bytes;
}

// A header with one tensor t of that description.
std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return str(R"({"t":{"dtype":")", dtype, R"(","shape":)", shape, R"(,"data_offsets":)", offsets, "}}");
}

// A header with two float tensors of two values each.
std::string two(std::string_view first, std::string_view first_offsets, std::string_view second,
                std::string_view second_offsets) {
  return str(R"({")", first, R"(":{"dtype":"F32","shape":[2],"data_offsets":)", first_offsets, R"(},")", second,
             R"(":{"dtype":"F32","shape":[2],"data_offsets":)", second_offsets, "}}");
}

struct Broken {
  std::string_view what;
  std::string file;
  std::string_view message;  // part of it
  ErrorKind kind = ErrorKind::kBadFile;
};

std::vector<Broken> broken_files() {
  const std::string t8 = one("F32", "[2]", "[0,8]");
  return {
      {"empty", "", "It is empty"},
      {"7 bytes", std::string(7, '\0'), "not a safetensors file: it has 7 bytes"},
      {"header of 100 MB + 1", Bytes().u64(100'000'001).raw("{}").bytes,
       "a header of 100000001 bytes, at most 100000000"},
      {"header of 2^64 - 1", Bytes().u64(~std::uint64_t{0}).raw("{}").bytes, "a header of 18446744073709551615 bytes"},
      {"header of 2^63", Bytes().u64(1ULL << 63).raw("{}").bytes, "a header of 9223372036854775808 bytes"},
      {"header cut", Bytes().u64(100).raw("{\"t\"").bytes, "the file ends within the header: 96 bytes are missing"},
      {"length only", Bytes().u64(2).bytes, "the file ends within the header: 2 bytes are missing"},
      {"GGUF", "GGUF\x03" + std::string(64, '\0'), "It is a GGUF file"},
      {"web page", "<!DOCTYPE html><html></html>", "It is a web page"},
      {"Git LFS pointer", "version https://git-lfs.github.com/spec/v1", "git lfs pull"},
      {"pickle", "PK\x03\x04 and what follows", "PyTorch pickle"},
      {"empty header", file("", 8), "header begins with \"\", expected \"{\""},
      {"space before", file(" {}", 0), "header begins with \" \", expected \"{\""},
      {"an array", file("[]", 0), "expected \"{\""},
      {"behind the data", file("{}", 1), "has 1 bytes behind the last tensor, expected none"},
      {"a byte too many", file(t8, 9), "has 1 bytes behind the last tensor"},
  };
}

std::vector<Broken> broken_json() {
  const std::string t8 = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  return {
      {"not closed", file("{", 0), "the header is not valid JSON"},
      {"no name", file("{1:2}", 0), "the header is not valid JSON"},
      {"trailing comma", file(R"({"t":)" + t8 + ",}", 8), "the header is not valid JSON"},
      {"two documents", file("{}{}", 0), "not valid JSON near its byte 2"},
      {"text behind", file("{} x", 0), "not valid JSON near its byte 3"},
      {"NUL behind", file(std::string_view("{}\0", 3), 0), "the header is not valid JSON"},
      {"not UTF-8", file("{\"\xff\":1}", 0), "the header is not valid JSON"},
      {"lone surrogate", file(R"({"\ud800":1})", 0), "the header is not valid JSON"},
      {"comment", file("{/* */}", 0), "the header is not valid JSON"},
      {"cut number", file(R"({"t":{"dtype":"F32","shape":[-],"data_offsets":[0,8]}})", 8), "not valid JSON"},
      {"depth", file("{\"t\":{\"shape\":" + std::string(10'000, '['), 0), "has an array, expected integers"},
      {"tensor a number", file(R"({"t":1})", 0), "tensor t has a number, expected an object"},
      {"tensor null", file(R"({"t":null})", 0), "tensor t has null, expected an object"},
      {"tensor a list", file(R"({"t":[]})", 0), "tensor t has an array, expected an object"},
      {"tensor a string", file(R"({"t":"x"})", 0), "tensor t has a string, expected an object"},
      {"tensor true", file(R"({"t":true})", 0), "tensor t has a boolean, expected an object"},
      {"empty name", file(R"({"":)" + t8 + "}", 8), "has a tensor without a name"},
      {"long name", file("{\"" + std::string(65'537, 'n') + "\":1}", 0), "has a text above 65536 bytes"},
      {"no dtype", file(R"({"t":{"shape":[2],"data_offsets":[0,8]}})", 8), "tensor t has no dtype"},
      {"no shape", file(R"({"t":{"dtype":"F32","data_offsets":[0,8]}})", 8), "tensor t has no shape"},
      {"no offsets", file(R"({"t":{"dtype":"F32","shape":[2]}})", 8), "tensor t has no data_offsets"},
      {"nothing", file(R"({"t":{}})", 0), "tensor t has no dtype"},
      {"unknown member", file(R"({"t":{"dtype":"F32","strides":[2]}})", 8), "a member \"strides\", expected dtype"},
      {"dtype twice", file(R"({"t":{"dtype":"F32","dtype":"F32"}})", 8), "tensor t has dtype twice"},
      {"shape twice", file(R"({"t":{"shape":[2],"shape":[2]}})", 8), "tensor t has shape twice"},
      {"offsets twice", file(R"({"t":{"data_offsets":[0,8],"data_offsets":[0,8]}})", 8), "has data_offsets twice"},
      {"dtype a number", file(R"({"t":{"dtype":1}})", 8), "dtype of tensor t has a number, expected a string"},
      {"shape a number", file(one("F32", "2", "[0,8]"), 8), "shape of tensor t has a number, expected an array"},
      {"shape of strings", file(one("F32", "[\"2\"]", "[0,8]"), 8),
       "shape of tensor t has a string, expected integers"},
      {"shape negative", file(one("F32", "[-2]", "[0,8]"), 8), "has -2, expected integers of at least 0"},
      {"shape a fraction", file(one("F32", "[2.5]", "[0,8]"), 8), "shape of tensor t has the number 2.5"},
      {"shape with exponent", file(one("F32", "[2e0]", "[0,8]"), 8), "shape of tensor t has the number 2.0"},
      {"shape above 2^64", file(one("F32", "[18446744073709551616]", "[0,8]"), 8), "shape of tensor t has the number"},
      {"nested shape", file(one("F32", "[[2]]", "[0,8]"), 8), "shape of tensor t has an array, expected integers"},
      {"9 dimensions", file(one("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8), "has more than 8 dimensions"},
      {"one offset", file(one("F32", "[2]", "[8]"), 8), "data_offsets of tensor t has 1 numbers, expected 2"},
      {"three offsets", file(one("F32", "[2]", "[0,8,8]"), 8), "has more than 2 numbers"},
      {"metadata twice", file(R"({"__metadata__":{},"__metadata__":{}})", 0), "has __metadata__ twice"},
      {"metadata a list", file(R"({"__metadata__":[]})", 0), "__metadata__ has an array, expected an object"},
      {"metadata nested", file(R"({"__metadata__":{"a":{}}})", 0), "__metadata__ has an object, expected a string"},
      {"metadata of numbers", file(R"({"__metadata__":{"a":1}})", 0), "__metadata__ has a number, expected a string"},
  };
}

std::vector<Broken> broken_tensors() {
  constexpr auto kUnsupported = ErrorKind::kUnsupported;
  return {
      {"U8", file(one("U8", "[8]", "[0,8]"), 8), "tensor t has dtype U8, carat reads F64", kUnsupported},
      {"BOOL", file(one("BOOL", "[8]", "[0,8]"), 8), "tensor t has dtype BOOL", kUnsupported},
      {"F8_E4M3", file(one("F8_E4M3", "[8]", "[0,8]"), 8), "tensor t has dtype F8_E4M3", kUnsupported},
      {"lower case", file(one("f32", "[2]", "[0,8]"), 8), "tensor t has dtype f32", kUnsupported},
      {"no dtype", file(one("", "[2]", "[0,8]"), 8), "tensor t has dtype , carat", kUnsupported},
      {"end before begin", file(one("F32", "[2]", "[8,0]"), 8), "[8, 0]: it ends before it begins"},
      {"too few bytes", file(one("F32", "[2]", "[0,4]"), 4), "has 4 bytes, expected 8 for shape [2] of F32"},
      {"too many bytes", file(one("F32", "[2]", "[0,16]"), 16), "has 16 bytes, expected 8"},
      {"scalar of 2 values", file(one("F32", "[]", "[0,8]"), 8), "has 8 bytes, expected 4 for shape []"},
      {"extent 0 with bytes", file(one("F32", "[2,0]", "[0,8]"), 8), "has 8 bytes, expected 0 for shape [2, 0]"},
      {"product wraps to 8", file(one("F32", "[4611686018427387906]", "[0,8]"), 8), "more than 64 bits can count"},
      {"product wraps to 0", file(one("F32", "[4294967296,4294967296]", "[0,0]"), 0), "more than 64 bits can count"},
      {"wraps before a 0", file(one("F32", "[4294967296,4294967296,0]", "[0,0]"), 0), "more than 64 bits can count"},
      {"a byte short", file(one("F32", "[2]", "[0,8]"), 7), "the file ends within tensor t: 1 bytes are missing"},
      {"no data", file(one("F32", "[2]", "[0,8]"), 0),
       "the file ends within tensor t: 8 bytes are missing behind its 62"},
      {"an exabyte", file(one("F32", "[1152921504606846976]", "[0,4611686018427387904]"), 8), "bytes are missing"},
      {"offsets at 2^64", file(one("F32", "[2]", "[18446744073709551607,18446744073709551615]"), 8),
       "expected 0, where"},
      {"hole at the start", file(one("F32", "[2]", "[8,16]"), 16), "begins at 8 of the data, expected 0"},
      {"hole", file(two("a", "[0,8]", "b", "[16,24]"), 24), "tensor b begins at 16 of the data, expected 8"},
      {"overlap", file(two("a", "[0,8]", "b", "[4,12]"), 12), "tensor b begins at 4 of the data, expected 8"},
      {"same bytes", file(two("a", "[0,8]", "b", "[0,8]"), 8), "tensor b begins at 0 of the data, expected 8"},
      {"name twice", file(two("a", "[0,8]", "a", "[8,16]"), 16), "tensor a stands in the file twice"},
      {"name twice, escaped", file(two("a", "[0,8]", "\\u0061", "[8,16]"), 16), "tensor a stands in the file twice"},
      {"all cut", file(two("a", "[0,8]", "b", "[8,16]"), 0), "the file ends within tensor a: 16 bytes are missing"},
      {"rest", file(two("a", "[0,8]", "b", "[8,16]"), 24), "has 8 bytes behind the last tensor"},
  };
}

void expect_refused(const std::filesystem::path& path, const Broken& broken) {
  try {
    const Safetensors checkpoint(path);
    ADD_FAILURE() << broken.what << ": was read";
  } catch (const Error& error) {
    const std::string_view message = error.what();
    EXPECT_NE(message.find(broken.message), message.npos) << broken.what << ": " << message;
    EXPECT_TRUE(message.starts_with(path.string())) << broken.what << ": " << message;
    EXPECT_EQ(error.kind(), broken.kind) << broken.what << ": " << message;
  }
}

TEST(Safetensors, RefusesBrokenFiles) {
  for (const Broken& broken : broken_files()) expect_refused(MemoryFile(broken.file).path(), broken);
}

TEST(Safetensors, RefusesBrokenJson) {
  for (const Broken& broken : broken_json()) expect_refused(MemoryFile(broken.file).path(), broken);
}

TEST(Safetensors, RefusesBrokenTensors) {
  for (const Broken& broken : broken_tensors()) expect_refused(MemoryFile(broken.file).path(), broken);
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string whole = file(two("a", "[0,8]", "b", "[8,16]"), 16);
  EXPECT_NO_THROW(Safetensors(MemoryFile(whole).path()));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const MemoryFile memory(std::string_view(whole).substr(0, n));
    EXPECT_THROW(Safetensors(memory.path()), Error) << n << " bytes";
  }
}

TEST(Safetensors, RefusesMoreTensorsThanAModelHas) {
  std::string header = "{";
  for (int i = 0; i <= 65'535; ++i) {
    header += str(i == 0 ? "" : ",", "\"", i, R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})");
  }
  expect_refused(MemoryFile(file(header + "}", 0)).path(), {"65536 tensors", "", "has more than 65535 tensors"});
}

TEST(Safetensors, ReadsShapesAndOrdersByData) {
  const std::string header = R"({"__metadata__":{"format":"pt","\n":"\u00e9"},)"
                             R"("matrix":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
                             R"("none":{"data_offsets":[8,8],"shape":[0,7],"dtype":"F16"},)"
                             R"("scalar":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}    )";
  Bytes bytes = Bytes().text(header).u64(42);
  for (std::uint8_t i = 0; i < 12; ++i) bytes.u8(i);
  const MemoryFile memory(bytes.bytes);
  const Safetensors checkpoint(memory.path());
  ASSERT_EQ(checkpoint.tensors().size(), 3U);
  EXPECT_EQ(checkpoint.tensors()[0].name, "scalar");
  EXPECT_TRUE(checkpoint.tensors()[0].shape.empty());
  EXPECT_EQ(static_cast<int>(checkpoint.tensors()[0].bytes[0]), 42);
  EXPECT_EQ(checkpoint.tensors()[1].name, "none");
  EXPECT_TRUE(checkpoint.tensors()[1].bytes.empty());
  EXPECT_EQ(checkpoint.tensors()[1].rows(), 0U);
  EXPECT_EQ(checkpoint.tensors()[1].cols(), 7U);
  const Tensor* matrix = checkpoint.find("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->dtype, DType::kBF16);
  EXPECT_EQ(matrix->shape, (std::vector<std::uint64_t>{2, 3}));
  std::array<std::byte, 12> read{};
  matrix->file->read_at(matrix->file_offset, read);
  EXPECT_TRUE(std::ranges::equal(read, matrix->bytes));
  EXPECT_EQ(static_cast<int>(matrix->bytes.back()), 11);
  EXPECT_EQ(checkpoint.find("__metadata__"), nullptr);
}

TEST(Safetensors, ReadsTheGoldenModelAsFileAndAsFolder) {
  const auto folder = std::filesystem::path(CARAT_TEST_DATA) / "golden" / "text-e2b" / "model";
  for (const auto& path : {folder, folder / "model.safetensors"}) {
    const Safetensors checkpoint(path);
    EXPECT_EQ(checkpoint.path(), path);
    EXPECT_EQ(checkpoint.tensors().size(), 163U);
    const Tensor* tensor = checkpoint.find("model.language_model.embed_tokens_per_layer.weight");
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->dtype, DType::kBF16);
    EXPECT_EQ(tensor->shape, (std::vector<std::uint64_t>{512, 80}));
    EXPECT_EQ(tensor->bytes.size(), 81'920U);
    EXPECT_EQ(tensor->file_offset, 8U + 19'512U + 49'152U);
  }
}

class Shards : public testing::Test {
 protected:
  void SetUp() override {
    folder_.add("a.safetensors", file(two("a", "[0,8]", "b", "[8,16]"), 16));
    folder_.add("c.safetensors", file(one("F32", "[2]", "[0,8]"), 8));
  }
  void set_index(std::string_view json) const { folder_.add("model.safetensors.index.json", json); }
  void expect_error(ErrorKind kind, std::string_view part) const {
    expect_refused(folder_.path(), {part, "", part, kind});
  }

  TemporaryFolder folder_;
};

TEST_F(Shards, AreReadByTheirIndex) {
  set_index(R"({"metadata":{"total_size":24},"weight_map":{"t":"c.safetensors","a":"a.safetensors",
                "b":"a.safetensors"}})");
  const Safetensors checkpoint(folder_.path());
  EXPECT_EQ(checkpoint.tensors().size(), 3U);
  EXPECT_EQ(checkpoint.find("b")->file->path().filename(), "a.safetensors");
  EXPECT_EQ(checkpoint.find("t")->file->path().filename(), "c.safetensors");
}

TEST_F(Shards, GiveWayToAWholeFile) {
  set_index("not JSON");
  folder_.add("model.safetensors", file(one("F32", "[2]", "[0,8]"), 8));
  EXPECT_EQ(Safetensors(folder_.path()).tensors().size(), 1U);
}

TEST_F(Shards, NeedAnIndex) {
  expect_error(ErrorKind::kNotFound, "the folder holds neither model.safetensors nor model.safetensors.index.json");
}

TEST_F(Shards, NeedAnIndexOfTheRightForm) {
  for (const std::string_view json :
       {"[]", "{}", "1", R"({"weight_map":{}})", R"({"weight_map":null})", R"({"metadata":{}})"}) {
    set_index(json);
    expect_error(ErrorKind::kBadFile, "has no \"weight_map\"");
  }
  set_index(R"({"weight_map":[]})");
  expect_error(ErrorKind::kBadFile, "\"weight_map\" is array, expected an object");
  set_index(R"({"weight_map":{"a")");
  expect_error(ErrorKind::kBadFile, "not valid JSON");
}

TEST_F(Shards, StayInTheFolder) {
  for (const std::string_view shard :
       {R"("../a.safetensors")", R"("/etc/a.safetensors")", R"("sub/a.safetensors")", R"("..\\a.safetensors")",
        R"("a\u0000.safetensors")", R"("..")", R"(".")", R"("")", R"(".safetensors")", R"("a.gguf")", "1", "null",
        R"(["a.safetensors"])"}) {
    set_index(str(R"({"weight_map":{"a":)", shard, "}}"));
    expect_error(ErrorKind::kBadFile, "expected the name of a .safetensors file in the same folder");
  }
}

TEST_F(Shards, HaveToBeThere) {
  set_index(R"({"weight_map":{"a":"a.safetensors","z":"z.safetensors"}})");
  expect_error(ErrorKind::kNotFound, "names the shard z.safetensors, which is not in the folder");
}

TEST_F(Shards, HaveToHoldWhatTheIndexSays) {
  set_index(R"({"weight_map":{"a":"a.safetensors","missing":"a.safetensors"}})");
  expect_error(ErrorKind::kBadFile, "tensor missing is not in a.safetensors, where the index has it. ");
  set_index(R"({"weight_map":{"a":"c.safetensors","b":"c.safetensors","t":"c.safetensors"}})");
  expect_error(ErrorKind::kBadFile, "tensor a is not in c.safetensors, where the index has it, and 1 more");
}

TEST_F(Shards, HaveNoTensorInCommon) {
  folder_.add("c.safetensors", file(two("a", "[0,8]", "d", "[8,16]"), 16));
  set_index(R"({"weight_map":{"a":"a.safetensors","d":"c.safetensors"}})");
  EXPECT_THROW(Safetensors(folder_.path()), Error);
  try {
    const Safetensors checkpoint(folder_.path());
  } catch (const Error& error) {
    EXPECT_NE(std::string_view(error.what()).find("tensor a stands also in c.safetensors"), std::string_view::npos);
  }
}

TEST_F(Shards, AreCheckedAsEveryFile) {
  folder_.add("c.safetensors", file(one("F32", "[2]", "[0,8]"), 7));
  set_index(R"({"weight_map":{"a":"a.safetensors","t":"c.safetensors"}})");
  try {
    const Safetensors checkpoint(folder_.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string_view(error.what()).find("c.safetensors: the file ends within tensor t"),
              std::string_view::npos);
  }
}

}  // namespace
}  // namespace carat
