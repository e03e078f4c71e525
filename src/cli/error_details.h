// What --debug tells about an error beyond its message.
#pragma once

#include <string>

#include "base/error.h"

namespace carat {

// Lines without an end: the error's origin and exit code, carat's version, its kernels and the memory that is left.
std::string error_details(const Error& error);

}  // namespace carat
