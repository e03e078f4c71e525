// Any bytes as a chat template: refused by an Error, or a template that renders, or fails to, within its limits.
// What follows a first zero byte is the JSON of its variables.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json.h"
#include "chat/jinja_template.h"

namespace {

constexpr std::string_view kVariables =
    R"({"messages":[{"role":"user","content":"Hi <|turn>"},{"role":"assistant","content":[{"type":"text","text":"é"}],)"
    R"("tool_calls":[{"function":{"name":"f","arguments":{"b":1,"A":[true,null,2.5]}}}]}],"add_generation_prompt":true})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace carat;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t end = bytes.find('\0');
  try {
    jinja::Limits limits;
    limits.fuel = 100'000;  // so that many inputs are tried
    jinja::Runtime rt(limits, 0);
    const json::value given =
        parse_json(end == std::string_view::npos ? kVariables : bytes.substr(end + 1), "input", ErrorKind::kBadInput);
    if (!given.is_object()) return 0;
    jinja::Variables variables;
    for (const auto& [name, value] : given.get_object()) variables.emplace(name, jinja::from_json(rt, value));
    const MarkedText text = jinja::Template(bytes.substr(0, end)).render(rt, variables);
    if (text.size() > limits.output_bytes) std::abort();
    if (!text.empty() && text.runs().back().end != text.size()) std::abort();
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
