// The ids that stand for media, by the names that a vocabulary gives them.
#pragma once

#include "model/config.h"
#include "text/vocab.h"

namespace carat {

// Looks up <|image|>, <|image>, <image|> and so on.
MediaTokenIds find_media_tokens(const Vocab& vocab);

}  // namespace carat
