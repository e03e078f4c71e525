// Any bytes as a tokenizer.json: refused by an Error, or a tokenizer that gives those bytes back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/detokenizer.h"
#include "text/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace carat;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const Tokenizer tokenizer = tokenizer_from_json(parse_json(bytes, "input", ErrorKind::kBadFile), "input");
    for (const bool parse_special : {false, true}) {
      const auto ids = tokenizer.encode(bytes, {.parse_special = parse_special});
      Detokenizer stream(tokenizer.vocab(), {});
      std::string text;
      for (const std::int32_t id : ids) text += stream.push(id);
      text += stream.flush();
      tokenizer.decode(ids);
    }
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
