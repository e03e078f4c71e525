// Damages small valid files in thousands of ways. Whatever comes out is read or refused by an Error; the sanitizers of
// the asan preset watch.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/mutator.h"
#include "checkpoint/exercise.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/test_files.h"

namespace carat {
namespace {

constexpr int kMutants = 20'000;

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

std::vector<std::string> gguf_seeds() {
  const TemporaryFolder folder;
  const auto path = folder.path() / "seed.gguf";
  std::vector<std::string> seeds;
  {
    GgufWriter writer(path);
    writer.add("general.architecture", "gemma4");
    writer.add("i8", std::int8_t{-1});
    writer.add("u16", std::uint16_t{1});
    writer.add("i32", std::int32_t{-1});
    writer.add("u64", std::uint64_t{1});
    writer.add("f32", 1.0F);
    writer.add("f64", 1.0);
    writer.add("bool", true);
    writer.add_array("words", std::span<const std::string_view>(std::array<std::string_view, 3>{"a", "", "bcd"}));
    writer.add_array("u32s", std::vector<std::uint32_t>{1, 2, 3});
    writer.add_array("f32s", std::vector<float>{1, 2});
    writer.add_array("bools", std::span<const bool>(std::array<bool, 3>{true, false, true}));
    writer.add_tensor("a.weight", DType::kQ4_0, {2, 64});
    writer.add_tensor("b.weight", DType::kF32, {3});
    writer.add_tensor("c.weight", DType::kQ6_K, {1, 2, 256});
    writer.write(std::vector<std::byte>(72));
    writer.write(std::vector<std::byte>(12));
    writer.write(std::vector<std::byte>(420));
    writer.finish();
    seeds.push_back(read_file(path));
  }
  {
    GgufWriter writer(path, 64);
    writer.add("general.architecture", "gemma4");
    writer.add_tensor("x", DType::kF16, {2, 2});
    writer.add_tensor("y", DType::kBF16, {});
    writer.write(std::vector<std::byte>(8));
    writer.write(std::vector<std::byte>(2));
    writer.finish();
    seeds.push_back(read_file(path));
  }
  return seeds;
}

TEST(Mutation, GgufIsReadOrRefused) {
  Mutator mutator(gguf_seeds(), 1);
  MemoryFile file;
  int n_read = 0;
  for (int i = 0; i < kMutants; ++i) {
    file.fill(mutator.mutant());
    n_read += exercise_gguf(file.path()) ? 1 : 0;
  }
  // Both outcomes are common, or the mutants say nothing.
  EXPECT_GT(n_read, kMutants / 20);
  EXPECT_LT(n_read, kMutants * 19 / 20);
}

constexpr std::string_view kHeader =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"I64","shape":[],"data_offsets":[32,40]},)"
    R"("d":{"dtype":"I8","shape":[0,5],"data_offsets":[40,40]}}  )";
constexpr std::string_view kSmallHeader = R"({"t":{"dtype":"F16","shape":[1,8],"data_offsets":[0,16]}})";

TEST(Mutation, SafetensorsIsReadOrRefused) {
  // Whole files, and headers alone to which length and data are added after the change: most changes of a whole file
  // stop at its length.
  Mutator files({Bytes().text(kHeader).zeros(40).bytes, Bytes().text(kSmallHeader).zeros(16).bytes}, 2);
  Mutator headers({std::string(kHeader), std::string(kSmallHeader)}, 3);
  MemoryFile file;
  int n_read = 0;
  for (int i = 0; i < kMutants; ++i) {
    if (i % 2 == 0) {
      file.fill(files.mutant());
    } else {
      file.fill(Bytes().text(headers.mutant()).zeros(headers.below(2) == 0 ? 40 : 16).bytes);
    }
    n_read += exercise_safetensors(file.path()) ? 1 : 0;
  }
  EXPECT_GT(n_read, kMutants / 100);
  EXPECT_LT(n_read, kMutants * 19 / 20);
}

TEST(Mutation, AnIndexIsReadOrRefused) {
  const TemporaryFolder folder;
  folder.add("s1.safetensors", Bytes().text(kHeader).zeros(40).bytes);
  folder.add("s2.safetensors", Bytes().text(kSmallHeader).zeros(16).bytes);
  const std::string index =
      R"({"metadata":{"total_size":56},"weight_map":{"a":"s1.safetensors","b":"s1.safetensors","t":"s2.safetensors"}})";
  Mutator mutator({index}, 4);
  int n_read = 0;
  for (int i = 0; i < kMutants / 10; ++i) {
    folder.add("model.safetensors.index.json", mutator.mutant());
    n_read += exercise_safetensors(folder.path()) ? 1 : 0;
  }
  EXPECT_GT(n_read, 0);
}

}  // namespace
}  // namespace carat
