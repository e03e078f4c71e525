#include "server/dialect.h"

#include <array>
#include <charconv>
#include <chrono>
#include <ctime>

#include "base/base64.h"
#include "base/unicode.h"
#include "engine/answerer.h"
#include "server/api_error.h"

namespace carat {
namespace {

constexpr std::string_view kWhere = "the request's body";

// The kinds of picture, sound and film are told by their bytes later; base64 with line breaks is common.
std::string without_line_breaks(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c != '\r' && c != '\n') out += c;
  }
  return out;
}

// A member that is not what its reader needs is refused by name, also where no schema has said what it has to be.
template <typename Find>
auto checked(Find find, const json::object& object, std::string_view key) {
  try {
    return find(object, key, kWhere);
  } catch (const Error& error) {
    throw ApiError(400, "invalid_type", error.what(), std::string(key));
  }
}

const char* kind_code(MediaKind kind) {
  return kind == MediaKind::kImage ? "invalid_image" : kind == MediaKind::kAudio ? "invalid_audio" : "invalid_video";
}

}  // namespace

std::optional<std::int64_t> integer_of(const json::object& object, std::string_view key) {
  return checked(find_integer, object, key);
}

std::optional<std::size_t> size_of(const json::object& object, std::string_view key) {
  const auto value = integer_of(object, key);
  return value && *value >= 0 ? std::optional(static_cast<std::size_t>(*value)) : std::nullopt;
}

std::optional<double> number_of(const json::object& object, std::string_view key) {
  return checked(find_number, object, key);
}

std::optional<bool> boolean_of(const json::object& object, std::string_view key) {
  return checked(find_boolean, object, key);
}

std::string string_of(const json::object& object, std::string_view key) {
  const json::value* value = find_member(object, key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

const json::object* object_of(const json::object& object, std::string_view key) {
  return checked(find_object, object, key);
}

const json::array* array_of(const json::object& object, std::string_view key) {
  return checked(find_array, object, key);
}

void read_sampling(const json::object& body, SamplingParams& params) {
  if (const auto value = number_of(body, "temperature")) params.temperature = *value;
  if (const auto value = number_of(body, "top_p")) params.top_p = *value;
  if (const auto value = number_of(body, "min_p")) params.min_p = *value;
  if (const auto value = integer_of(body, "top_k")) params.top_k = static_cast<std::int32_t>(*value);
  if (const auto value = number_of(body, "repeat_penalty")) params.repetition_penalty = *value;
  if (const auto value = number_of(body, "presence_penalty")) params.presence_penalty = *value;
  if (const auto value = number_of(body, "frequency_penalty")) params.frequency_penalty = *value;
  if (const auto value = integer_of(body, "repeat_last_n")) params.repeat_last_n = static_cast<std::int32_t>(*value);
  if (const auto value = integer_of(body, "seed")) params.seed = static_cast<std::uint64_t>(*value);
  const json::object* biases = object_of(body, "logit_bias");
  if (biases == nullptr) return;
  for (const auto& [key, value] : *biases) {
    const double bias = value.to_number<double>();
    if (bias == 0) continue;  // says nothing, whatever the token
    std::int32_t token = 0;
    const char* end = key.data() + key.size();
    const auto read = std::from_chars(key.data(), end, token);
    if (read.ec != std::errc() || read.ptr != end || token < 0) {
      throw ApiError(400, "invalid_value", str("logit_bias: \"", printable(key), "\" is no token id."), "logit_bias");
    }
    params.logit_bias.push_back({token, bias});
  }
}

std::vector<std::string> stops_of(const json::object& body, std::string_view key) {
  const json::value* value = find_member(body, key);
  std::vector<std::string> stops;
  if (value == nullptr) return stops;
  const auto add = [&](const json::string& text) {
    if (!text.empty()) stops.emplace_back(text);
  };
  if (value->is_string()) {
    add(value->get_string());
  } else {
    for (const json::value& text : value->get_array()) add(text.get_string());
  }
  return stops;
}

void read_extensions(const json::object& body, Request& request) {
  request.limits.ignores_end = boolean_of(body, "ignore_eos").value_or(false);
  request.limits.min_tokens = size_of(body, "min_tokens").value_or(0);
  request.limits.guards_against_loops = boolean_of(body, "loop_guard").value_or(true);
  request.uses_prefix_cache = boolean_of(body, "cache_prompt").value_or(true);
  request.cache_salt = string_of(body, "cache_salt");
}

MediaPart media_of_base64(std::string_view data, MediaKind kind, const std::string& param) {
  if (data.starts_with("data:")) return media_of_url(data, kind, param, {});
  auto bytes = base64_decode(data);
  if (!bytes) bytes = base64_decode(without_line_breaks(data));
  if (!bytes || bytes->empty()) {
    throw ApiError(400, kind_code(kind), str(param, " is no base64 of a file."), param);
  }
  MediaPart part;
  part.kind = kind;
  part.bytes = std::move(*bytes);
  return part;
}

MediaPart media_of_url(std::string_view url, MediaKind kind, const std::string& param, const FetchMedia& fetch) {
  constexpr std::string_view kBase64 = ";base64";
  const bool is_remote =
      equals_ignoring_case(url.substr(0, 8), "https://") || equals_ignoring_case(url.substr(0, 7), "http://");
  if (is_remote && fetch) {
    MediaPart part;
    part.kind = kind;
    try {
      part.bytes = fetch(std::string(url));
    } catch (const BusyError&) {
      throw;
    } catch (const Error& error) {
      throw ApiError(400, "invalid_image_url", str(param, " ", error.what()), param);
    }
    return part;
  }
  const std::size_t comma = url.find(',');
  if (!url.starts_with("data:") || comma == std::string_view::npos) {
    throw ApiError(400, "invalid_image_url",
                   str(param, " must be a data: URI (data:image/png;base64,...)",
                       fetch ? " or an address at a host that was allowed." : "; this server fetches no URLs."),
                   param);
  }
  if (!url.substr(0, comma).ends_with(kBase64)) {
    throw ApiError(400, kind_code(kind), str(param, ": the data: URI must be in base64."), param);
  }
  const std::string_view data = url.substr(comma + 1);
  if (data.starts_with("data:")) throw ApiError(400, kind_code(kind), str(param, " is no base64."), param);
  return media_of_base64(data, kind, param);
}

std::optional<std::size_t> soft_tokens_of_detail(std::string_view detail) {
  constexpr std::size_t kLow = 70;
  constexpr std::size_t kHigh = 1120;
  if (detail == "low") return kLow;
  if (detail == "high" || detail == "original") return kHigh;
  return std::nullopt;
}

json::object arguments_of(const json::value* value, const std::string& param) {
  if (value == nullptr || value->is_null()) return {};
  if (value->is_object()) return value->get_object();
  const std::string_view text = value->get_string();
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return {};
  try {
    json::value parsed = parse_json(text, param, ErrorKind::kBadInput);
    if (parsed.is_object()) return std::move(parsed.get_object());
  } catch (const Error&) {
    // Said below: what is wrong is the same.
  }
  throw ApiError(400, "invalid_value", str(param, " must be the JSON text of an object."), param);
}

std::string token_text(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = utf8_character_length(bytes);
    text += length > 0 ? bytes.substr(0, length) : std::string_view("\xef\xbf\xbd");
    bytes.remove_prefix(std::max<std::size_t>(1, length));
  }
  return text;
}

json::array byte_values(std::string_view bytes) {
  json::array values;
  for (const char byte : bytes) values.push_back(static_cast<std::int64_t>(static_cast<unsigned char>(byte)));
  return values;
}

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string rfc3339_time(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string rfc3339_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  constexpr std::size_t kDigits = 6;
  const std::string digits = std::to_string(micros % 1'000'000);
  std::string text = rfc3339_time(micros / 1'000'000);
  text.back() = '.';  // in place of the Z
  return text.append(kDigits - digits.size(), '0') + digits + "Z";
}

std::string sse_data(const json::value& data) {
  return "data: " + json::serialize(data) + "\n\n";
}

std::string sse_event(std::string_view name, const json::value& data) {
  return str("event: ", name, "\n", sse_data(data));
}

}  // namespace carat
