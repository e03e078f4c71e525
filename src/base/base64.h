// Base64 (RFC 4648, section 4): bytes as text, as JSON carries pictures and sound.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace carat {

std::string base64_encode(std::string_view bytes);

// nullopt where text is no base64, padding included.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace carat
