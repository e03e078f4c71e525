// Call and AnswerFormat: a parsed request of any dialect, and how its answer is worded. No I/O.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/answerer.h"
#include "engine/request.h"
#include "engine/stream.h"
#include "server/api_error.h"
#include "server/http_message.h"

namespace carat {

// An answer in the words of a dialect: a stream, or whole. Functions are called one at a time, by any thread.
class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;

  // A stream: begin(), event()... of all requests of the call, end() after the last Done or stream_error(). What they
  // return is sent as it is; may be empty.
  virtual std::string_view stream_type() const = 0;  // Content-Type
  virtual std::string begin() { return {}; }
  // request: which of the call's requests the event belongs to. Events of kError never come here.
  virtual std::string event(std::size_t request, const Event& event) = 0;
  virtual std::string end() = 0;
  virtual std::string stream_error(const ApiError& error, std::string_view request_id) = 0;

  // answers: of the call's requests, in their order.
  virtual ServerResponse whole(std::span<WholeAnswer> answers) = 0;
};

struct Call {
  std::vector<Request> requests;  // more than one: several prompts or texts to embed, pieces of a recording
  bool is_streaming = false;
  std::unique_ptr<AnswerFormat> format;
};

}  // namespace carat
