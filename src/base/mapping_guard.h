// MappingGuard: lets a process outlive files that shrink, or can't be read, while they are mapped.
//
// Touching a page of a mapping that its file no longer has raises SIGBUS, which ends the process. A server does not
// end: once survive_lost_mappings() was called, such a mapping reads as zeros from that page on, and remembers it.
// Whoever computed with its bytes asks is_lost() before the result is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace carat {

// For the whole process, at its start: SIGBUS within a guarded mapping is survived; any other ends the process as ever.
void survive_lost_mappings();

// Guards bytes that ::mmap gave, until it goes out of scope. As many as kMost at once; further ones guard nothing.
class MappingGuard {
 public:
  static constexpr std::size_t kMost = 512;

  MappingGuard() = default;
  explicit MappingGuard(std::span<const std::byte> mapping);
  MappingGuard(MappingGuard&& other) noexcept;
  MappingGuard& operator=(MappingGuard&& other) noexcept;
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;
  ~MappingGuard();

  // True once a page of it could not be read.
  bool is_lost() const;

 private:
  static constexpr std::size_t kNone = SIZE_MAX;
  std::size_t slot_ = kNone;
};

// The same, of the guarded mapping that holds this address; false where there is none.
bool is_mapping_lost(const std::byte* address);

}  // namespace carat
