// /v1/embeddings, /api/embed and /api/embeddings: texts -> vectors of length 1. JSON <-> Call.
#pragma once

#include "server/answer_format.h"
#include "text/tokenizer.h"

namespace carat {

// What parsing has to know of the model.
struct EmbeddingModel {
  const Tokenizer& tokenizer;
  std::size_t context = 0;  // tokens
  std::size_t size = 0;     // numbers of a vector
};

// body fits the schema of its route in the document. Throws ApiError naming the field.
Call parse_openai_embeddings(const json::object& body, const EmbeddingModel& model);
Call parse_ollama_embed(const json::object& body, const EmbeddingModel& model);
Call parse_ollama_embeddings(const json::object& body, const EmbeddingModel& model);  // the old form: one text

}  // namespace carat
