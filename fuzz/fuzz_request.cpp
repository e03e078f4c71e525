// Any bytes as the body of a request, in all dialects: refused by an error that blames the client, or a call. The first
// byte chooses.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/byte_tokenizer.h"
#include "server/anthropic_messages.h"
#include "server/api_document.h"
#include "server/api_error.h"
#include "server/embeddings.h"
#include "server/http_framing.h"
#include "server/http_message.h"
#include "server/multipart.h"
#include "server/ollama_chat.h"
#include "server/openai_audio.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/openai_responses.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace carat;
  static const Tokenizer tokenizer = byte_tokenizer(kFirstWord);
  static const EmbeddingModel embedding{tokenizer, 128, 64};
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto json_of = [&](const char* path) { return parse_body(body, *body_schema("POST", path)); };
  try {
    switch (data[0] % 16) {
      case 0:
        parse_openai_chat(json_of("/v1/chat/completions"));
        break;
      case 1:
        parse_openai_responses(json_of("/v1/responses"), true);
        break;
      case 2:
        parse_anthropic_messages(json_of("/v1/messages"));
        break;
      case 3: {
        const json::object object = json_of("/api/chat");
        if (find_member(object, "messages") != nullptr) parse_ollama_chat(object);
        break;
      }
      case 4:
        parse_ollama_generate(json_of("/api/generate"));
        break;
      case 5:
        parse_openai_audio(parse_multipart(body, "multipart/form-data; boundary=b"), false, false);
        break;
      case 6:
        check_head(body);
        break;
      case 7:
        parse_openai_completion(json_of("/v1/completions"), tokenizer);
        break;
      case 8:
        parse_openai_embeddings(json_of("/v1/embeddings"), embedding);
        break;
      case 9:
        parse_ollama_embed(json_of("/api/embed"), embedding);
        break;
      case 10:
        parse_anthropic_messages(json_of("/v1/messages/count_tokens"));
        break;
      default:
        percent_decode(body);
        query_parameter(body, "model");
    }
  } catch (const ApiError& error) {
    if (error.status() >= 500) std::abort();
  } catch (const Error& error) {  // no sound
    if (to_api_error(error).status() >= 500) std::abort();
  }
  return 0;
}
