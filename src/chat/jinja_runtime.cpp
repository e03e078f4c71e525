#include "chat/jinja_runtime.h"

namespace carat::jinja {

void Runtime::fail_out_of_fuel() const {
  fail("the template takes more than ", limits_.fuel, " steps");
}

}  // namespace carat::jinja
