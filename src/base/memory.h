// How much memory this process may still take, and how much it has.
#pragma once

#include <cstddef>
#include <span>

namespace carat {

// The least of: what the kernel calls available, what is left of the control group's limit, what is left of
// RLIMIT_AS. Bytes. The largest size_t where nothing of that can be read.
std::size_t available_memory();

// Resident bytes of this process, of which `file` are pages of mapped files (weights) that the kernel may drop.
struct ResidentMemory {
  std::size_t total = 0;
  std::size_t file = 0;
};
ResidentMemory resident_memory();

// Gives the whole pages among these bytes back to the kernel; the bytes stay usable, zero or what they were.
void drop_pages(std::span<std::byte> bytes) noexcept;

}  // namespace carat
