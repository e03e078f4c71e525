// A pull with its progress on the terminal, and what MODEL means where a command takes one.
#pragma once

#include <string>

#include "store/model_store.h"

namespace carat {

PullResult pull_model(const std::string& name, const PullOptions& options, bool is_json);

// The files of the model that a person named: a path as it is, or a name in the store. One that is known but not here
// is offered to be pulled where there is a terminal to ask on. Throws Error(kNotFound).
StoredModel model_files(const std::string& name);

}  // namespace carat
