// A scripted engine: the same queue, scheduler, sampling, parsing and streams as with a model, but the "model" says
// what a file tells it to. Client suites run against it in seconds and always alike.
//
//   {
//     "name": "scripted",          // ModelInfo::name; optional, as is all but "answers"
//     "context": 8192,
//     "step_ms": 0,                // how long a step takes
//     "prompt_ms_per_token": 0,    // and each token of a prompt
//     "takes_any_media": false,    // bytes that are no picture or sound pass for one
//     "answers": [                 // the first whose conditions hold; the last should have none
//       {"if_text": "weather",     // the prompt's text contains this behind its last <|turn>user (or anywhere, if
//       none)
//        "if_tools": true,         // the prompt declares tools, or doesn't
//        "if_tool_response": true, // the prompt ends with a tool's answer, or doesn't
//        "if_thinking": true,      // the prompt turns thinking on, or doesn't
//        // As a model writes it, control tokens spelled out; the end of the turn is added.
//        "output": "<|channel>thought\nHm.<channel|>It rains.",
//        "step_ms": 20,            // in place of the engine's
//        "error": {"after": 3, "message": "..."}}  // after so many tokens the sequence fails (kOutOfMemory)
//     ]
//   }
//
// Pieces of the output between white space are tokens of their own, all other text is bytes, a token each. Where a
// grammar forbids the scripted token, the likeliest allowed one is taken (the end, if that is allowed).
#pragma once

#include <filesystem>
#include <memory>

#include "base/json.h"
#include "engine/engine.h"

namespace carat {

// Throws Error(kNotFound, kBadFile) naming file, entry and field.
std::shared_ptr<Answerer> make_scripted_answerer(const std::filesystem::path& script, EngineOptions options = {});
// The same from a document; `where` begins the messages.
std::shared_ptr<Answerer> make_scripted_answerer(const json::value& script, std::string_view where,
                                                 EngineOptions options = {});

}  // namespace carat
