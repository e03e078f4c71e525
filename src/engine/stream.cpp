#include "engine/stream.h"

namespace carat {

std::string_view name(CacheMiss miss) {
  switch (miss) {
    case CacheMiss::kNone:
      return "none";
    case CacheMiss::kOff:
      return "off";
    case CacheMiss::kEmpty:
      return "empty";
    case CacheMiss::kDiverged:
      return "diverged";
    case CacheMiss::kWindowEvicted:
      return "window-evicted";
  }
  return "";
}

std::string_view name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kLoop:
      return "loop";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "";
}

}  // namespace carat
