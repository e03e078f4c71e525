// /v1/audio/transcriptions and /translations: a recording -> what is said in it.
#pragma once

#include <vector>

#include "server/answer_format.h"
#include "server/multipart.h"

namespace carat {

// A recording longer than the model hears at once is cut where nobody speaks, a request for each piece. is_translation:
// into English. is_opaque: the file is not looked at, and goes to the engine as it is. Throws ApiError naming the
// field; Error(kBadInput) for a file that is no sound.
Call parse_openai_audio(const std::vector<FormPart>& form, bool is_translation, bool is_opaque);

// A field of a form; empty where there is none.
std::string form_value(const std::vector<FormPart>& form, std::string_view name);

}  // namespace carat
