// Any bytes as what a model generates: parsed the same whether they come at once or byte by byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "chat/output_parser.h"

namespace {

using namespace carat;

// The parse of an output whose text comes byte by byte, what is known taken after each.
ParsedOutput parse_bytewise(std::string_view output) {
  OutputParser parser;
  ParsedOutput sum;
  const auto take = [&] {
    ParsedOutput news = parser.take();
    sum.reasoning += news.reasoning;
    sum.content += news.content;
    sum.unparsed += news.unparsed;
    for (ToolCall& call : news.tool_calls) sum.tool_calls.push_back(std::move(call));
  };
  while (!output.empty()) {
    std::size_t length = 0;
    for (std::size_t n = output.find('>') + 1; length == 0 && n > 0 && n <= output.size();
         n = output.find('>', n) + 1) {
      if (control_token(output.substr(0, n))) length = n;
      if (n > 20) break;
    }
    if (length > 0) {
      parser.push(*control_token(output.substr(0, length)));
    } else {
      length = 1;
      parser.push(output.substr(0, 1));
    }
    output.remove_prefix(length);
    take();
  }
  parser.finish();
  take();
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view output(reinterpret_cast<const char*>(data), size);
  if (to_json(parse_output({}, output)) != to_json(parse_bytewise(output))) std::abort();
  parse_output(output, output);
  return 0;
}
