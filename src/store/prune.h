// What pulls that were given up and models that changed have left in the store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace carat {

struct Leftover {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  bool is_partial = false;  // a download that a pull could go on with; otherwise a file that no model needs any more
};

// Files in the store's repositories that no snapshot leads to. What a pull is at just now, in whatever process, is not
// among them.
std::vector<Leftover> find_leftovers();

// Removes one, unless a pull has begun with it meanwhile. Returns the bytes freed. Throws Error(kBadFile).
std::uint64_t remove_leftover(const Leftover& leftover);

}  // namespace carat
