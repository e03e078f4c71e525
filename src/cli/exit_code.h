// What carat's exit codes mean; the same table stands in the manual page.
#pragma once

#include <string_view>

#include "base/error.h"

namespace carat {

enum ExitCode : int {
  kExitOk = 0,
  kExitOther = 1,
  kExitUsage = 2,
  kExitModelNotFound = 3,
  kExitBadInput = 4,
  kExitOutOfMemory = 5,
  kExitNetwork = 6,
  kExitVerificationFailed = 7,
  kExitServerUnreachable = 8,
  kExitSignalBase = 128,  // plus the signal's number: 130 for Ctrl-C, 143 for SIGTERM
};

struct ExitCodeInfo {
  int code;
  std::string_view meaning;
};

inline constexpr ExitCodeInfo kExitCodes[] = {
    {kExitOk, "success"},
    {kExitOther, "another error"},
    {kExitUsage, "wrong usage: unknown command, option or value"},
    {kExitModelNotFound, "model not found"},
    {kExitBadInput, "bad input: a prompt, file or setting that can't be used"},
    {kExitOutOfMemory, "out of memory"},
    {kExitNetwork, "network error"},
    {kExitVerificationFailed, "verification failed: a damaged model file"},
    {kExitServerUnreachable, "server unreachable"},
    {kExitSignalBase + 2, "interrupted (SIGINT)"},
    {kExitSignalBase + 15, "terminated (SIGTERM)"},
};

// No carat server answers where one was expected.
class NoServerError : public Error {
 public:
  explicit NoServerError(const std::string& message) : Error(ErrorKind::kNetwork, message) {}
};

int exit_code(const Error& error);

}  // namespace carat
