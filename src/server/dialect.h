// What the dialects share: reading validated bodies, media in base64, times, and server-sent events.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "engine/request.h"
#include "engine/stream.h"

namespace carat {

// Members of a body that has been held against its schema; absent and null are the same.
std::optional<std::int64_t> integer_of(const json::object& object, std::string_view key);
std::optional<std::size_t> size_of(const json::object& object, std::string_view key);
std::optional<double> number_of(const json::object& object, std::string_view key);
std::optional<bool> boolean_of(const json::object& object, std::string_view key);
std::string string_of(const json::object& object, std::string_view key);  // empty when absent
const json::object* object_of(const json::object& object, std::string_view key);
const json::array* array_of(const json::object& object, std::string_view key);

// temperature, top_p, top_k, min_p, seed, the penalties and logit_bias, under the names that OpenAI and Ollama share.
void read_sampling(const json::object& body, SamplingParams& params);
// A string or an array of strings.
std::vector<std::string> stops_of(const json::object& body, std::string_view key);
// ignore_eos, min_tokens, loop_guard, cache_prompt, cache_salt: extensions.
void read_extensions(const json::object& body, Request& request);

// What is at a URL (https: or http:); throws Error, its message going on after the URL's place in the request. Null
// where nothing is fetched.
using FetchMedia = std::function<std::string(const std::string& url)>;
// Base64, or a data: URI. Throws ApiError naming param.
MediaPart media_of_base64(std::string_view data, MediaKind kind, const std::string& param);
// A data: URI, or where fetch is not null, what is there. Throws ApiError naming param, and BusyError.
MediaPart media_of_url(std::string_view url, MediaKind kind, const std::string& param, const FetchMedia& fetch);
// Soft tokens for OpenAI's `detail`; nullopt for "auto".
std::optional<std::size_t> soft_tokens_of_detail(std::string_view detail);

// Arguments of an earlier call: an object, or its JSON text. Throws ApiError naming param.
json::object arguments_of(const json::value* value, const std::string& param);

// Bytes of a token as text: what is no UTF-8 becomes U+FFFD.
std::string token_text(std::string_view bytes);
json::array byte_values(std::string_view bytes);

std::int64_t unix_time();
std::string rfc3339_time(std::int64_t unix_seconds);  // "2026-11-24T20:15:00Z"
std::string rfc3339_now();                            // with microseconds

// "data: {...}\n\n", and with "event: name\n" before it.
std::string sse_data(const json::value& data);
std::string sse_event(std::string_view name, const json::value& data);

}  // namespace carat
