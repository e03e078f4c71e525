#include "engine/request.h"

#include <algorithm>
#include <array>

namespace carat {
namespace {

struct Effort {
  std::string_view word;
  bool is_enabled;
  std::size_t budget;  // tokens; 0: no bound
};
// Gemma 4 knows only on and off; the levels between are budgets of ours.
constexpr std::array<Effort, 7> kEfforts{{{"none", false, 0},
                                          {"minimal", true, 256},
                                          {"low", true, 1024},
                                          {"medium", true, 4096},
                                          {"high", true, 16384},
                                          {"xhigh", true, 32768},
                                          {"max", true, 0}}};

}  // namespace

std::optional<Thinking> thinking_of_effort(std::string_view effort) {
  const auto* found = std::ranges::find(kEfforts, effort, &Effort::word);
  if (found == kEfforts.end()) return std::nullopt;
  Thinking thinking;
  thinking.is_enabled = found->is_enabled;
  if (found->budget != 0) thinking.budget = found->budget;
  return thinking;
}

}  // namespace carat
