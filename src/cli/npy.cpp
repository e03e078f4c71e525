#include "cli/npy.h"

#include <bit>
#include <cassert>

#include "base/error.h"

namespace carat {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

std::string npy_header(std::size_t rows, std::size_t cols) {
  constexpr std::size_t kPreambleBytes = 10;  // magic, version, length of the dictionary
  constexpr std::size_t kAlignment = 64;
  std::string dictionary = str("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows, ", ", cols, "), }");
  const std::size_t unpadded = kPreambleBytes + dictionary.size() + 1;  // and a line feed
  dictionary.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  dictionary += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dictionary.size() & 0xffU);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

NpyWriter::NpyWriter(const std::filesystem::path& path, std::size_t rows, std::size_t cols)
    : path_(path), file_(path, std::ios::binary | std::ios::trunc), values_left_(rows * cols) {
  const std::string header = npy_header(rows, cols);
  file_.write(header.data(), static_cast<std::streamsize>(header.size()));
  check();
}

void NpyWriter::append(std::span<const float> values) {
  assert(values.size() <= values_left_);
  values_left_ -= values.size();
  file_.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  check();
}

void NpyWriter::finish() {
  assert(values_left_ == 0);
  file_.close();
  check();
}

void NpyWriter::check() const {
  if (file_) return;
  throw Error(ErrorKind::kBadInput,
              str(printable(path_.string()), ": can't be written. Check the folder's permissions and free space."));
}

}  // namespace carat
