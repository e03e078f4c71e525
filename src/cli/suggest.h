// "Did you mean": the known name nearest to one that was mistyped.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace carat {

// Insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to name, if it is near enough to be meant: at most a third of its length away, or one that
// name begins. The first of equals.
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> candidates);

}  // namespace carat
