// An interactive chat at a terminal.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/agent.h"
#include "cli/responder.h"
#include "cli/run_options.h"

namespace carat {

// Loads another model, as the options say: for /model. Throws as Model::load.
using ModelOpener = std::function<std::unique_ptr<Responder>(const std::string& model)>;

// Until the person leaves. Errors of a single answer are shown and the chat goes on. tools: null for none.
void chat(std::unique_ptr<Responder> responder, const ModelOpener& open_model, const RunOptions& options,
          std::unique_ptr<Tools> tools);

}  // namespace carat
