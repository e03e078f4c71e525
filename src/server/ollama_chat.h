// /api/chat and /api/generate of Ollama. JSON <-> Call.
#pragma once

#include "server/answer_format.h"

namespace carat {

// bodies fit OllamaChatRequest and OllamaGenerateRequest of the document. Throw ApiError.
Call parse_ollama_chat(const json::object& body);
Call parse_ollama_generate(const json::object& body);

// What these answer when there is nothing to say: the model was loaded, or unloaded.
json::object ollama_load_answer(const std::string& model, bool is_chat, bool is_unload);

}  // namespace carat
