#include "cli/exit_code.h"

namespace carat {

int exit_code(ErrorKind kind) {
  switch (kind) {
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
