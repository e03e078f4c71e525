#include "kernels/panel_formats.h"

namespace carat {

const PanelFormat& panel_format(DType dtype) {
  return kPanelFormats.of[static_cast<std::size_t>(dtype)];
}

}  // namespace carat
