// Trace: where named intermediates of a forward pass go, for golden tests and `carat debug`.
#pragma once

#include <string_view>

#include "base/view.h"

namespace carat {

class Trace {
 public:
  virtual ~Trace() = default;
  // name: "embedding", "layer.3", "final_norm", ...; values: [rows, width], valid during the call.
  virtual void tensor(std::string_view name, MatView<const float> values) = 0;
};

}  // namespace carat
