// Settles where each variable of a template lives, by the rules of Jinja's compiler.
#pragma once

#include "chat/jinja_ast.h"

namespace carat::jinja {

// Fills in every Slot, ScopeStart and slot_count of a freshly parsed program.
void resolve_names(Program& program);

}  // namespace carat::jinja
