// A call goes to the engine, its answer to the client: as a stream, or whole.
#pragma once

#include <functional>
#include <memory>

#include "engine/answerer.h"
#include "server/answer_format.h"
#include "server/http_server.h"

namespace carat {

// An answer under way.
class OpenCall {
 public:
  virtual ~OpenCall() = default;
  virtual void cancel() = 0;
};

// Returns as soon as the requests are queued. The answerer is held until the answer is complete; a client that leaves
// cancels it. opened is called before anything is submitted, on_done with each request that was answered. Throws what
// submit throws, before anything is sent.
void run_call(std::shared_ptr<Answerer> answerer, Call call, const std::shared_ptr<Exchange>& exchange, Dialect dialect,
              std::vector<HttpHeader> headers, const std::function<void(std::weak_ptr<OpenCall>)>& opened,
              std::function<void(const Usage&, const Timings&)> on_done);

}  // namespace carat
