// Damages small valid files in thousands of ways. Whatever comes out is read or refused by an Error; the sanitizers of
// the asan preset watch.
#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint/exercise.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/test_files.h"

namespace carat {
namespace {

constexpr int kMutants = 20'000;

// Numbers at which readers of sizes go wrong.
// clang-format off: a few a line
constexpr std::array<std::uint64_t, 30> kBorders{0,          1,
                                                 2,          4,
                                                 7,          8,
                                                 12,         13,
                                                 31,         32,
                                                 33,         127,
                                                 128,        255,
                                                 256,        65'535,
                                                 65'536,     (1ULL << 31) - 1,
                                                 1ULL << 31, (1ULL << 32) - 1,
                                                 1ULL << 32, 1ULL << 60,
                                                 1ULL << 61, (1ULL << 61) + 1,
                                                 1ULL << 62, (1ULL << 63) - 1,
                                                 1ULL << 63, ~0ULL - 31,
                                                 ~0ULL - 7,  ~0ULL};
// clang-format on

class Mutator {
 public:
  Mutator(std::vector<std::string> seeds, std::uint64_t seed) : seeds_(std::move(seeds)), random_(seed) {}

  // One of the seeds after one to four changes.
  std::string mutant() {
    std::string bytes = seeds_[below(seeds_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0 && !bytes.empty(); --changes) change(bytes);
    return bytes;
  }

  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

 private:
  void change(std::string& bytes) {
    switch (below(10)) {
      case 0:
        bytes[below(bytes.size())] ^= static_cast<char>(1U << below(8));
        break;
      case 1:
        bytes[below(bytes.size())] = static_cast<char>(below(256));
        break;
      case 2:
      case 3:
        set_integer(bytes);
        break;
      case 4:
      case 5:
        set_decimal(bytes);
        break;
      case 6:
        bytes.resize(below(bytes.size() + 1));
        break;
      case 7:
        bytes.erase(below(bytes.size()), 1 + below(16));
        break;
      case 8: {  // a chunk once more, elsewhere
        const std::string chunk = bytes.substr(below(bytes.size()), 1 + below(48));
        bytes.insert(below(bytes.size() + 1), chunk);
        break;
      }
      default: {  // the head of one, the tail of another
        const std::string& other = seeds_[below(seeds_.size())];
        bytes = bytes.substr(0, below(bytes.size() + 1)) + other.substr(below(other.size()));
      }
    }
  }

  std::uint64_t border(std::size_t file_bytes) {
    if (below(4) == 0) return file_bytes + below(3) - 1;
    return kBorders[below(kBorders.size())];
  }

  // A little-endian number in place of what is there, preferably where one begins that looks like a length or a count.
  void set_integer(std::string& bytes) {
    const std::size_t width = std::size_t{1} << below(4);
    if (bytes.size() < width) return;
    std::size_t at = below(bytes.size() - width + 1);
    if (width == 8 && below(2) == 0) {
      const std::size_t zeros = bytes.find(std::string(6, '\0'), at);
      if (zeros != std::string::npos && zeros >= 2) at = std::min(zeros - 2, bytes.size() - width);
    }
    const std::uint64_t value = border(bytes.size());
    std::memcpy(bytes.data() + at, &value, width);
  }

  // Another number in place of one written in digits, as JSON has them.
  void set_decimal(std::string& bytes) {
    const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
    const auto begin =
        std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size())), bytes.end(), is_digit);
    if (begin == bytes.end()) return set_integer(bytes);
    const auto end = std::find_if_not(begin, bytes.end(), is_digit);
    bytes.replace(begin, end, std::to_string(border(bytes.size())));
  }

  std::vector<std::string> seeds_;
  std::mt19937_64 random_;
};

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
