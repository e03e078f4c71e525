// logits_digest MODEL [COUNT]: runs COUNT tokens (32 by default) through a model with every kernel table that runs here
// and prints, for each, a digest of all bits of all logits. Two processors that keep the promise of kernel_table.h
// print the same digests: scripts/test compares.
#include <bit>
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "engine/session.h"
#include "kernels/cpu.h"

namespace carat {
namespace {

// FNV-1a over the bits. http://www.isthe.com/chongo/tech/comp/fnv/
class Digest {
 public:
  void add(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8) hash_ = (hash_ ^ ((bits >> shift) & 0xffU)) * 0x100000001b3U;
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

std::uint64_t digest_of_logits(const std::shared_ptr<const Model>& model, const char* isa, std::size_t count) {
  SessionOptions options;
  options.context = count;
  options.chunk = 7;  // blocks of four, two and one tokens
  Session session(model, {.threads = 2, .isa = isa}, options);
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<std::int32_t>((2 + 37 * i) % model->config().decoder.vocab));
  }
  Digest digest;
  session.append_all_logits(ids, [&](std::size_t, MatView<const float> logits) {
    for (std::size_t row = 0; row < logits.rows(); ++row) {
      for (const float value : logits.row(row)) digest.add(value);
    }
  });
  return digest.value();
}

}  // namespace
}  // namespace carat

int main(int argc, char** argv) {
  try {
    if (argc < 2) {
      std::cerr << "usage: logits_digest MODEL [COUNT]\n";
      return 2;
    }
    const auto model = carat::Model::load(argv[1]);
    const std::size_t count = argc > 2 ? std::stoul(argv[2]) : 32;
    for (const carat::KernelTable* table : carat::all_kernels()) {
      if ((table->needs & ~carat::cpu_features()) != 0) continue;
      std::cout << table->name << ' ' << std::hex << carat::digest_of_logits(model, table->name, count) << '\n';
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "logits_digest: " << error.what() << '\n';
    return 1;
  }
}
