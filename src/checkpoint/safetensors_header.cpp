#include "checkpoint/safetensors_header.h"

#include <boost/json/basic_parser_impl.hpp>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace carat {
namespace {

constexpr std::size_t kMaxTensors = 65'535;
constexpr std::size_t kMaxNameBytes = 64U << 10;
constexpr std::size_t kMaxDims = 8;
constexpr std::size_t kMaxDepth = 4;  // header, tensor, list, and one more for the handler to refuse by name

// Takes Boost.JSON's events as they come, so that a header of 100 MB costs no tree of values and a member that stands
// twice is seen. Every event either fits what the format has at this place or throws.
class HeaderHandler {
 public:
  // Limits that basic_parser asks for, by its names; the tighter ones are checked below, where a message can name the
  // tensor. NOLINTBEGIN(readability-identifier-naming)
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();
  // NOLINTEND(readability-identifier-naming)

  explicit HeaderHandler(std::string_view where) : where_(where) {}

  std::vector<SafetensorsEntry> take_entries() { return std::move(entries_); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&);
  bool on_object_end(std::size_t, json::error_code&);
  bool on_array_begin(json::error_code&);
  bool on_array_end(std::size_t, json::error_code&);
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) { return append(part); }
  bool on_key(json::string_view part, std::size_t, json::error_code&);
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) { return append(part); }
  bool on_string(json::string_view part, std::size_t, json::error_code&);
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&);
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) { return on_natural(value); }
  bool on_double(double value, json::string_view, json::error_code&);
  bool on_bool(bool, json::error_code&) { fail_unexpected("a boolean"); }
  bool on_null(json::error_code&) { fail_unexpected("null"); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  enum class Place {
    kStart,
    kTop,      // between members of the header
    kTensor,   // before a tensor's value
    kMembers,  // between members of a tensor
    kDtype,    // before the value of a member
    kShape,
    kOffsets,
    kShapeList,  // inside a list
    kOffsetsList,
    kMetadata,       // before the value of __metadata__
    kMetadataPairs,  // between its members
    kMetadataText,   // before the value of one
    kEnd,
  };

  // A tensor as far as it has been read.
  struct Draft {
    std::string name;
    std::optional<std::string> dtype;
    std::optional<std::vector<std::uint64_t>> shape;
    std::optional<std::vector<std::uint64_t>> offsets;
  };

  bool append(json::string_view part);
  std::string take_text(json::string_view last_part);
  bool on_natural(std::uint64_t value);
  void begin_member(std::string_view name);
  void finish_tensor();

  [[noreturn]] void fail(const std::string& problem) const;
  [[noreturn]] void fail_unexpected(std::string_view found) const;
  std::string_view expected() const;
  std::string place_text() const;

  std::string where_;
  Place place_ = Place::kStart;
  bool has_metadata_ = false;
  std::string text_;  // parts of the key or string at hand
  Draft draft_;
  std::vector<SafetensorsEntry> entries_;
};

std::string_view HeaderHandler::expected() const {
  switch (place_) {
    case Place::kStart:
    case Place::kTensor:
    case Place::kMetadata:
      return "an object";
    case Place::kDtype:
    case Place::kMetadataText:
      return "a string";
    case Place::kShape:
    case Place::kOffsets:
      return "an array";
    case Place::kShapeList:
    case Place::kOffsetsList:
      return "integers of at least 0";
    default:
      return "a member's name";
  }
}

std::string HeaderHandler::place_text() const {
  switch (place_) {
    case Place::kMetadata:
    case Place::kMetadataPairs:
    case Place::kMetadataText:
      return "__metadata__";
    case Place::kTensor:
    case Place::kMembers:
      return str("tensor ", printable(draft_.name));
    case Place::kDtype:
      return str("dtype of tensor ", printable(draft_.name));
    case Place::kShape:
    case Place::kShapeList:
      return str("shape of tensor ", printable(draft_.name));
    case Place::kOffsets:
    case Place::kOffsetsList:
      return str("data_offsets of tensor ", printable(draft_.name));
    default:
      return "header";
  }
}

void HeaderHandler::fail(const std::string& problem) const {
  throw Error(ErrorKind::kBadFile,
              str(where_, ": ", place_text(), " ", problem, ". The file is damaged: download it again."));
}

void HeaderHandler::fail_unexpected(std::string_view found) const {
  fail(str("has ", found, ", expected ", expected()));
}

bool HeaderHandler::on_object_begin(json::error_code&) {
  if (place_ == Place::kStart) {
    place_ = Place::kTop;
  } else if (place_ == Place::kTensor) {
    place_ = Place::kMembers;
  } else if (place_ == Place::kMetadata) {
    place_ = Place::kMetadataPairs;
  } else {
    fail_unexpected("an object");
  }
  return true;
}

bool HeaderHandler::on_object_end(std::size_t, json::error_code&) {
  if (place_ == Place::kMembers) finish_tensor();
  place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
  return true;
}

bool HeaderHandler::on_array_begin(json::error_code&) {
  if (place_ == Place::kShape) {
    place_ = Place::kShapeList;
    draft_.shape.emplace();
  } else if (place_ == Place::kOffsets) {
    place_ = Place::kOffsetsList;
    draft_.offsets.emplace();
  } else {
    fail_unexpected("an array");
  }
  return true;
}

bool HeaderHandler::on_array_end(std::size_t, json::error_code&) {
  if (place_ == Place::kOffsetsList && draft_.offsets->size() != 2) {
    fail(str("has ", draft_.offsets->size(), " numbers, expected 2: begin and end"));
  }
  place_ = Place::kMembers;
  return true;
}

bool HeaderHandler::append(json::string_view part) {
  if (text_.size() + part.size() > kMaxNameBytes && place_ != Place::kMetadataPairs && place_ != Place::kMetadataText) {
    fail(str("has a text above ", kMaxNameBytes, " bytes"));
  }
  text_.append(part.data(), part.size());
  return true;
}

std::string HeaderHandler::take_text(json::string_view last_part) {
  append(last_part);
  return std::exchange(text_, {});
}

bool HeaderHandler::on_key(json::string_view part, std::size_t, json::error_code&) {
  std::string name = take_text(part);
  if (place_ == Place::kMembers) {
    begin_member(name);
  } else if (place_ == Place::kMetadataPairs) {
    place_ = Place::kMetadataText;
  } else if (name == "__metadata__") {
    if (std::exchange(has_metadata_, true)) fail("has __metadata__ twice");
    place_ = Place::kMetadata;
  } else {
    if (name.empty()) fail("has a tensor without a name");
    if (entries_.size() == kMaxTensors) fail(str("has more than ", kMaxTensors, " tensors"));
    draft_ = Draft();
    draft_.name = std::move(name);
    place_ = Place::kTensor;
  }
  return true;
}

void HeaderHandler::begin_member(std::string_view name) {
  const auto begin = [&](bool is_known_already, Place place) {
    if (is_known_already) fail(str("has ", name, " twice"));
    place_ = place;
  };
  if (name == "dtype") {
    begin(draft_.dtype.has_value(), Place::kDtype);
  } else if (name == "shape") {
    begin(draft_.shape.has_value(), Place::kShape);
  } else if (name == "data_offsets") {
    begin(draft_.offsets.has_value(), Place::kOffsets);
  } else {
    fail(str("has a member \"", printable(name), "\", expected dtype, shape and data_offsets"));
  }
}

bool HeaderHandler::on_string(json::string_view part, std::size_t, json::error_code&) {
  if (place_ == Place::kMetadataText) {
    text_.clear();
    place_ = Place::kMetadataPairs;
    return true;
  }
  if (place_ != Place::kDtype) fail_unexpected("a string");
  draft_.dtype = take_text(part);
  place_ = Place::kMembers;
  return true;
}

bool HeaderHandler::on_int64(std::int64_t value, json::string_view, json::error_code&) {
  if (value < 0) fail_unexpected(std::to_string(value));
  return on_natural(static_cast<std::uint64_t>(value));
}

bool HeaderHandler::on_natural(std::uint64_t value) {
  if (place_ == Place::kShapeList) {
    if (draft_.shape->size() == kMaxDims) fail(str("has more than ", kMaxDims, " dimensions"));
    draft_.shape->push_back(value);
  } else if (place_ == Place::kOffsetsList) {
    if (draft_.offsets->size() == 2) fail("has more than 2 numbers");
    draft_.offsets->push_back(value);
  } else {
    fail_unexpected("a number");
  }
  return true;
}

bool HeaderHandler::on_double(double value, json::string_view, json::error_code&) {
  fail_unexpected(str("the number ", value));
}

void HeaderHandler::finish_tensor() {
  const auto require = [&](bool is_there, std::string_view member) {
    if (!is_there) fail(str("has no ", member));
  };
  require(draft_.dtype.has_value(), "dtype");
  require(draft_.shape.has_value(), "shape");
  require(draft_.offsets.has_value(), "data_offsets");
  entries_.push_back({std::move(draft_.name), std::move(*draft_.dtype), std::move(*draft_.shape),
                      draft_.offsets->front(), draft_.offsets->back()});
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view text, std::string_view where) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::basic_parser<HeaderHandler> parser(options, where);
  json::error_code code;
  std::size_t used = parser.write_some(false, text.data(), text.size(), code);
  if (!code) {
    const std::size_t rest = text.find_first_not_of(' ', used);  // headers are padded with spaces
    if (rest != std::string_view::npos) {
      used = rest;
      code = json::error::extra_data;
    }
  }
  if (code) {
    throw Error(ErrorKind::kBadFile, str(where, ": the header is not valid JSON near its byte ", used, ": ",
                                         code.message(), ". The file is damaged: download it again."));
  }
  return parser.handler().take_entries();
}

}  // namespace carat
