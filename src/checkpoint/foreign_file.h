// What people hand over in place of a model: a web page, a Git LFS pointer, a model in another format.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace carat {

// A sentence on what a file that begins with these bytes seems to be and what to do, to end an error message with.
std::string describe_foreign_file(std::span<const std::byte> bytes);

}  // namespace carat
