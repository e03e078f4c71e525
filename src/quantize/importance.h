// Importance: how large the activations are that each column of a model's matrices meets, measured on a text. An error
// in a column that meets large ones costs more.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace carat {

// Sums over all tokens that went through a matrix, or through each of an expert tensor's matrices.
struct ColumnSums {
  std::vector<float> squares;  // [matrices, cols]
  std::vector<float> counts;   // [matrices]: tokens
};

// By tensor name. The file is a GGUF file as llama.cpp's imatrix writes it: NAME.in_sum2 and NAME.counts.
class Importance {
 public:
  Importance() = default;
  // Throws Error(kBadFile) naming file and tensor.
  static Importance load(const std::filesystem::path& path);
  void save(const std::filesystem::path& path, std::string_view text_name, std::uint32_t chunks,
            std::uint32_t chunk_tokens) const;

  ColumnSums& operator[](const std::string& tensor) { return sums_[tensor]; }
  const std::map<std::string, ColumnSums>& all() const { return sums_; }

  // Mean squares of one matrix of a tensor, [cols]; empty where nothing was measured or the sizes differ.
  std::vector<float> mean_squares(const std::string& tensor, std::size_t matrix, std::size_t cols) const;

 private:
  std::map<std::string, ColumnSums> sums_;
};

}  // namespace carat
