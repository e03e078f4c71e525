#include "server/run_call.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <mutex>
#include <utility>

namespace carat {
namespace {

// Requests of a call that the engine has at a time, so that a long list of texts doesn't fill its queue.
constexpr std::size_t kMostAtOnce = 128;

// The answers of one call, on their way. Listeners come from the engine's thread.
class RunningCall : public OpenCall, public std::enable_shared_from_this<RunningCall> {
 public:
  RunningCall(std::shared_ptr<Answerer> answerer, Call& call, std::shared_ptr<Exchange> exchange, Dialect dialect,
              std::vector<HttpHeader> headers, std::function<void(const Usage&, const Timings&)> on_done)
      : answerer_(std::move(answerer)),
        format_(std::move(call.format)),
        is_streaming_(call.is_streaming),
        exchange_(std::move(exchange)),
        dialect_(dialect),
        headers_(std::move(headers)),
        on_done_(std::move(on_done)),
        answers_(call.requests.size()),
        open_(call.requests.size()) {}

  void submit(std::vector<Request> requests) {
    try {
      const std::size_t first = std::min(requests.size(), kMostAtOnce);
      waiting_.assign(std::make_move_iterator(requests.begin() + static_cast<std::ptrdiff_t>(first)),
                      std::make_move_iterator(requests.end()));
      for (std::size_t i = 0; i < first; ++i) {
        AnswerHandle handle = submit(std::move(requests[i]), i);
        const std::scoped_lock lock(mutex_);
        keep(std::move(handle));
      }
    } catch (...) {
      {
        const std::scoped_lock lock(mutex_);
        is_over_ = true;  // the caller says why
      }
      cancel();
      throw;
    }
    const std::scoped_lock lock(mutex_);
    if (is_over_) return;
    if (is_streaming_) begin();
    exchange_->on_gone([self = shared_from_this()] {
      {
        const std::scoped_lock gone_lock(self->mutex_);
        self->is_over_ = true;
      }
      self->cancel();
    });
  }

  void cancel() override {
    std::vector<AnswerHandle> handles;
    {
      const std::scoped_lock lock(mutex_);
      is_cancelled_ = true;
      handles = handles_;
    }
    for (const AnswerHandle& handle : handles) handle.cancel();
  }

 private:
  void hear(std::size_t request, Event&& event) {
    const std::scoped_lock lock(mutex_);
    try {
      take(request, std::move(event));
    } catch (const std::exception& error) {
      fail_quietly(error);
    }
  }

  // Where there is no memory even to say so, the exchange is dropped, and its client is told 500, or sees an end that
  // is none.
  void fail_quietly(const std::exception& failure) noexcept {
    try {
      if (!is_over_) fail(to_api_error(failure));
    } catch (const std::exception&) {
      is_over_ = true;
      exchange_.reset();
    }
  }

  AnswerHandle submit(Request request, std::size_t index) {
    return answerer_->submit(
        std::move(request), [self = shared_from_this(), index](Event&& event) { self->hear(index, std::move(event)); });
  }

  // Those that follow need mutex_.

  void keep(AnswerHandle handle) {
    if (is_cancelled_) handle.cancel();
    handles_.push_back(std::move(handle));
  }

  void take(std::size_t request, Event&& event) {
    if (const auto* done = std::get_if<Done>(&event.body)) {
      on_done_(done->usage, done->timings);
      --open_;
      if (!waiting_.empty() && is_cancelled_ && !is_over_) {
        return fail(passing_error(503, "draining", "the server stopped before it came to all of the request.", 1));
      }
      if (!waiting_.empty() && !is_over_) {
        Request next = std::move(waiting_.front());
        waiting_.pop_front();
        keep(submit(std::move(next), answers_.size() - waiting_.size() - 1));
      }
    }
    if (is_over_) return;
    if (const auto* finished = std::get_if<Finished>(&event.body);
        finished != nullptr && finished->reason == FinishReason::kError) {
      return fail(to_api_error(finished->error_kind, finished->error));
    }
    if (is_streaming_) {
      begin();
      exchange_->write(format_->event(request, event));
      if (open_ == 0) {
        exchange_->write(format_->end());
        end();
      }
      return;
    }
    answers_[request].add(std::move(event));
    if (open_ > 0) return;
    ServerResponse response = format_->whole(answers_);
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
    exchange_->respond(std::move(response));
    is_over_ = true;
  }

  void begin() {
    if (has_begun_ || is_over_) return;
    ServerResponse head;
    head.content_type = format_->stream_type();
    head.headers = headers_;
    head.headers.push_back({"Cache-Control", "no-cache"});
    head.headers.push_back({"X-Accel-Buffering", "no"});
    head.body = format_->begin();
    exchange_->begin_stream(std::move(head));
    has_begun_ = true;
  }

  void end() {
    exchange_->end_stream();
    is_over_ = true;
  }

  void fail(const ApiError& error) {
    const std::string& id = exchange_->request().id;
    if (is_streaming_) {
      begin();
      exchange_->write(format_->stream_error(error, id));
      end();
    } else {
      ServerResponse response = error_response(dialect_, error, id);
      response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
      exchange_->respond(std::move(response));
      is_over_ = true;
    }
  }

  const std::shared_ptr<Answerer> answerer_;  // a model in use is not unloaded
  const std::unique_ptr<AnswerFormat> format_;
  const bool is_streaming_;
  std::shared_ptr<Exchange> exchange_;  // null only where is_over_
  const Dialect dialect_;
  const std::vector<HttpHeader> headers_;
  const std::function<void(const Usage&, const Timings&)> on_done_;

  std::mutex mutex_;             // guards what follows
  std::deque<Request> waiting_;  // the last of the call's requests, not submitted yet
  std::vector<AnswerHandle> handles_;
  std::vector<WholeAnswer> answers_;
  std::size_t open_;  // requests whose Done has not come
  bool has_begun_ = false;
  bool is_cancelled_ = false;  // also for requests still to be submitted
  bool is_over_ = false;       // the client has got all it will get
};

}  // namespace

void run_call(std::shared_ptr<Answerer> answerer, Call call, const std::shared_ptr<Exchange>& exchange, Dialect dialect,
              std::vector<HttpHeader> headers, const std::function<void(std::weak_ptr<OpenCall>)>& opened,
              std::function<void(const Usage&, const Timings&)> on_done) {
  std::vector<Request> requests = std::move(call.requests);
  call.requests.resize(requests.size());
  const auto running = std::make_shared<RunningCall>(std::move(answerer), call, exchange, dialect, std::move(headers),
                                                     std::move(on_done));
  opened(running);
  running->submit(std::move(requests));
}

}  // namespace carat
