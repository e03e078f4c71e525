#include "cli/debug.h"
#include "cli/verbs.h"

namespace carat {

void define_debug(Command root, Action& action) {
  const Command debug = root.add_verb("debug", "Look into single steps: token ids, prompts, logits",
                                      "carat debug tokenize tokenizer.json --jsonl texts.jsonl");
  debug.require_verb();
  define_debug_tokenize(debug, action);
  define_debug_detokenize(debug, action);
  define_debug_render(debug, action);
  define_debug_parse(debug, action);
  define_debug_logits(debug, action);
  define_debug_generate(debug, action);
  define_debug_encode(debug, action);
  define_debug_hear(debug, action);
  define_debug_see(debug, action);
}

}  // namespace carat
