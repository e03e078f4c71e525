#include "cli/npy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <iterator>

#include "base/error.h"

namespace carat {
namespace {

TEST(Npy, HeaderNamesTypeAndShapeAndEndsAtAMultipleOf64) {
  for (const std::size_t rows : {std::size_t{1}, std::size_t{78}, std::size_t{123'456'789}}) {
    const std::string header = npy_header(rows, 512);
    EXPECT_EQ(header.size() % 64, 0U);
    EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(header[8])) +
                        static_cast<std::size_t>(static_cast<unsigned char>(header[9])) * 256;
    EXPECT_EQ(length, header.size() - 10);
    EXPECT_EQ(header.back(), '\n');
    EXPECT_NE(header.find(str("'descr': '<f4', 'fortran_order': False, 'shape': (", rows, ", 512)")),
              std::string::npos);
  }
}

TEST(Npy, ValuesFollowTheHeader) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / str("carat-npy-test-", ::getpid(), ".npy");
  const std::array<float, 4> values{1.5F, -2.0F, 0.25F, 3.0F};
  NpyWriter writer(path, 2, 2);
  writer.append(std::span(values).first(2));
  writer.append(std::span(values).last(2));
  writer.finish();
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const std::string header = npy_header(2, 2);
  EXPECT_EQ(bytes, header + std::string(reinterpret_cast<const char*>(values.data()), sizeof(values)));
  std::filesystem::remove(path);
}

TEST(Npy, AnUnwritablePathIsTheCallersError) {
  try {
    const NpyWriter writer("/nonexistent-folder/x.npy", 1, 1);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("/nonexistent-folder/x.npy"), std::string::npos);
  }
}

}  // namespace
}  // namespace carat
