#include "cli/exit_code.h"

namespace carat {

int exit_code(const Error& error) {
  if (dynamic_cast<const NoServerError*>(&error) != nullptr) return kExitServerUnreachable;
  switch (error.kind()) {
    case ErrorKind::kBadInput:
      return kExitBadInput;
    case ErrorKind::kBadFile:
      return kExitVerificationFailed;
    case ErrorKind::kNotFound:
      return kExitModelNotFound;
    case ErrorKind::kOutOfMemory:
      return kExitOutOfMemory;
    case ErrorKind::kCancelled:
      return kExitSignalBase + 2;
    case ErrorKind::kNetwork:
      return kExitNetwork;
    case ErrorKind::kBusy:
    case ErrorKind::kUnsupported:
    case ErrorKind::kInternal:
      return kExitOther;
  }
  return kExitOther;
}

}  // namespace carat
