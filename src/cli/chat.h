// An interactive chat at a terminal.
#pragma once

#include "cli/responder.h"
#include "cli/run_options.h"

namespace carat {

// Until the person leaves. Errors of a single answer are shown and the chat goes on.
void chat(Responder& responder, const RunOptions& options);

}  // namespace carat
