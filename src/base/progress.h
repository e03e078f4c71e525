// Progress: how long work on files tells whoever waits for it how far it is.
#pragma once

#include <cstdint>
#include <functional>

namespace carat {

// Called every few megabytes with the bytes done so far and in all. May throw, for instance Error(kCancelled): the work
// ends and leaves nothing behind.
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

}  // namespace carat
