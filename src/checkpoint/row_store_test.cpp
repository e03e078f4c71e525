#include "checkpoint/row_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

fs::path model_folder() {
  return fs::path(CARAT_TEST_DATA) / "golden" / "text-e2b" / "model";
}

TEST(RowStore, GivesTheBytesOfTheMapping) {
  const Safetensors model(model_folder());
  const Tensor* table = model.find("model.language_model.embed_tokens_per_layer.weight");
  ASSERT_NE(table, nullptr);
  const RowStore store(*table);
  EXPECT_EQ(store.rows(), 512U);
  EXPECT_EQ(store.size_bytes(), table->bytes.size());
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::int32_t> rows(1 + random() % 40);
    for (std::int32_t& row : rows) row = static_cast<std::int32_t>(random() % store.rows());
    std::vector<std::byte> out(rows.size() * store.row_bytes());
    store.prefetch(rows);
    store.fetch(rows, out);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto expected =
          table->bytes.subspan(static_cast<std::size_t>(rows[i]) * store.row_bytes(), store.row_bytes());
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(),
                             out.begin() + static_cast<std::ptrdiff_t>(i * store.row_bytes())));
    }
  }
  EXPECT_LE(store.bytes_read(), store.size_bytes()) << "rows seen before come from the cache";
}

TEST(RowStore, SaysSoWhenTheFileShrinks) {
  const fs::path copy = fs::temp_directory_path() / ("carat_row_store_" + std::to_string(::getpid()));
  fs::create_directory(copy);
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::copy_file(model_folder() / name, copy / name, fs::copy_options::overwrite_existing);
    fs::permissions(copy / name, fs::perms::owner_write, fs::perm_options::add);
  }
  const Safetensors model(copy);
  const Tensor* table = model.find("model.language_model.embed_tokens_per_layer.weight");
  const RowStore store(*table);
  fs::resize_file(copy / "model.safetensors", table->file_offset + 10);
  std::vector<std::byte> out(store.row_bytes());
  const std::int32_t row = 3;
  EXPECT_THROW(store.fetch({&row, 1}, out), Error);
  EXPECT_THROW(store.fetch({&row, 1}, out), Error) << "a failed read may not be taken for a row later";
  fs::remove_all(copy);
}

// Rows 3 and 1,027 share a place of the cache: the first is gone from it when the second can't be read.
TEST(RowStore, AFailedReadLeavesNoRowBehind) {
  const fs::path path = fs::temp_directory_path() / ("carat_rows_" + std::to_string(::getpid()));
  constexpr std::size_t kRowBytes = 16;
  constexpr std::size_t kRows = 2048;
  std::ofstream(path, std::ios::binary) << std::string(kRows * kRowBytes, 'r');
  Tensor table;
  table.name = "table";
  table.dtype = DType::kF32;
  table.shape = {kRows, kRowBytes / 4};
  const MappedFile mapped(path);
  table.bytes = mapped.bytes();
  table.file = &mapped.file();
  const RowStore store(table);
  std::vector<std::byte> out(kRowBytes);
  const std::int32_t first = 3;
  const std::int32_t second = 1024 + 3;
  store.fetch({&first, 1}, out);
  fs::resize_file(path, std::size_t{1024} * kRowBytes);
  EXPECT_THROW(store.fetch({&second, 1}, out), Error);
  std::ranges::fill(out, std::byte{0});
  store.fetch({&first, 1}, out);
  EXPECT_EQ(out, std::vector<std::byte>(kRowBytes, std::byte{'r'}));
  EXPECT_EQ(store.bytes_read(), 2 * kRowBytes) << "the place in the cache held what a failed read left there";
  fs::remove(path);
}

}  // namespace
}  // namespace carat
