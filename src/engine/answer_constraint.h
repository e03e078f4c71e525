// What a request asks of an answer's form, as a grammar for it.
#pragma once

#include <memory>

#include "engine/engine.h"

namespace carat {

// Compiles grammars for the vocabulary of the tokenizer it is called with (always the same one), with a compiler that
// is made when the first request needs it, and remembers those used of late.
ConstraintFactory grammar_constraints();

}  // namespace carat
