// Error: the one exception type of carat. What is wrong, where, and what to do, in words; a kind for the edges to map.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace carat {

// What sort of thing went wrong. The command line maps it to an exit code, the server to an HTTP status.
enum class ErrorKind {
  kBadInput,     // a flag, a request, a prompt or a medium is wrong: the caller can mend it
  kBadFile,      // a model file is damaged or lies about itself
  kNotFound,     // no such file or model
  kUnsupported,  // well formed, but carat can't do it
  kOutOfMemory,  // it doesn't fit
  kNetwork,      // a server can't be reached or does not do what it should
  kBusy,         // too much is asked at once; later it may work
  kCancelled,    // the caller asked to stop
  kInternal,     // a promise inside carat is broken
};

// A place in carat's source: std::source_location, which clang 14 lacks.
class SourceLocation {
 public:
  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          const char* function = __builtin_FUNCTION(),
                                          std::uint_least32_t line = __builtin_LINE()) {
    return {file, function, line};
  }
  const char* file_name() const noexcept { return file_; }
  const char* function_name() const noexcept { return function_; }
  std::uint_least32_t line() const noexcept { return line_; }

 private:
  constexpr SourceLocation(const char* file, const char* function, std::uint_least32_t line)
      : file_(file), function_(function), line_(line) {}

  const char* file_;
  const char* function_;
  std::uint_least32_t line_;
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, SourceLocation origin = SourceLocation::current())
      : std::runtime_error(message), kind_(kind), origin_(origin) {}
  ErrorKind kind() const noexcept { return kind_; }
  // Where in carat's source it was made: for `--debug`, not for messages.
  const SourceLocation& origin() const noexcept { return origin_; }

 private:
  ErrorKind kind_;
  SourceLocation origin_;
};

// Joins the arguments' text; numbers by std::to_string, strings as they are.
// str("layer ", 3, " has ", 2, " heads") == "layer 3 has 2 heads"
template <typename... Parts>
std::string str(const Parts&... parts) {
  std::string out;
  const auto append = [&out](const auto& part) {
    if constexpr (requires { out += std::string_view(part); }) {
      out += std::string_view(part);
    } else {
      out += std::to_string(part);
    }
  };
  (append(parts), ...);
  return out;
}

// Text from outside, made fit for a terminal or a log: control characters and bytes that are not UTF-8 become \xNN; at
// most max_bytes are kept, whole characters, then "...".
std::string printable(std::string_view text, std::size_t max_bytes = 80);

}  // namespace carat
