#include "chat/jinja_template.h"

#include "base/error.h"
#include "base/unicode.h"
#include "chat/jinja_eval.h"
#include "chat/jinja_parser.h"

namespace carat::jinja {
namespace {

Program checked_parse(std::string_view source) {
  constexpr std::size_t kMaxBytes = 256 * 1024;
  if (source.size() > kMaxBytes) {
    throw Error(ErrorKind::kBadFile,
                str("chat template: has ", source.size(), " bytes, the limit is ", kMaxBytes, "."));
  }
  if (!is_valid_utf8(source)) throw Error(ErrorKind::kBadFile, "chat template: is not valid UTF-8.");
  return parse(source);
}

}  // namespace

Template::Template(std::string_view source) : program_(checked_parse(source)) {}

MarkedText Template::render(Runtime& rt, const Variables& variables) const {
  return Evaluator(rt, variables).run(program_);
}

}  // namespace carat::jinja
