#include "store/download.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "base/error.h"
#include "store/atomic_file.h"
#include "store/http_client.h"

namespace carat {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kChunkBytes = std::uint64_t{8} << 20;
constexpr double kMaxWaitSeconds = 60;

fs::path part_path(const fs::path& path) {
  return path.string() + ".carat-part";
}
fs::path state_path(const fs::path& path) {
  return path.string() + ".carat-state";
}

[[noreturn]] void fail_to_write(const fs::path& path, int error, std::uint64_t needed) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    throw Error(ErrorKind::kOutOfMemory,
                str(path.string(), ": the disk is full; ", needed >> 20,
                    " MiB are needed. Make room and pull again: what has come so far is kept."));
  }
  throw Error(ErrorKind::kBadFile, str(path.string(), ": can't write: ", std::strerror(error), "."));
}

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0644)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// What the state file begins with; behind it stands a byte for each chunk, 1 for one that is there.
std::string state_head(const RemoteFile& file) {
  std::string head = str("carat 1 ", file.size_bytes, " ", kChunkBytes, " ", file.digest.hex);
  head.resize(128, ' ');
  return head;
}

std::size_t chunk_count(const RemoteFile& file) {
  return static_cast<std::size_t>((file.size_bytes + kChunkBytes - 1) / kChunkBytes);
}

// Which chunks an earlier download of the same file has left; all missing where there is none.
std::vector<char> read_state(const RemoteFile& file, const fs::path& path) {
  std::vector<char> chunks(chunk_count(file), 0);
  const Descriptor state(state_path(path), O_RDONLY);
  std::error_code ignored;
  if (state.get() < 0 || fs::file_size(part_path(path), ignored) != file.size_bytes || ignored) return chunks;
  const std::string head = state_head(file);
  std::string found(head.size() + chunks.size(), '\0');
  if (::pread(state.get(), found.data(), found.size(), 0) != static_cast<ssize_t>(found.size()) ||
      !found.starts_with(head)) {
    return chunks;
  }
  std::copy(found.begin() + static_cast<std::ptrdiff_t>(head.size()), found.end(), chunks.begin());
  for (char& chunk : chunks) chunk = chunk == 1 ? 1 : 0;
  return chunks;
}

std::uint64_t chunk_bytes(const RemoteFile& file, std::size_t chunk) {
  return std::min(kChunkBytes, file.size_bytes - chunk * kChunkBytes);
}

// One download: workers fetch chunks, the calling thread reports.
class Download {
 public:
  Download(const RemoteFile& file, const fs::path& path, const DownloadOptions& options,
           const std::function<void(std::uint64_t)>& on_progress)
      : file_(file),
        path_(path),
        options_(options),
        on_progress_(on_progress),
        chunks_(read_state(file, path)),
        part_(part_path(path), O_RDWR | O_CREAT),
        state_(state_path(path), O_RDWR | O_CREAT) {
    if (part_.get() < 0 || state_.get() < 0) fail_to_write(path, errno, file.size_bytes);
    prepare();
  }

  void run() {
    {
      std::vector<std::jthread> workers;
      const std::size_t missing = static_cast<std::size_t>(std::count(chunks_.begin(), chunks_.end(), 0));
      running_ = std::min(std::max<std::size_t>(options_.connections, 1), missing);
      for (std::size_t i = running_; i > 0; --i) workers.emplace_back([this] { work(); });
      report_until_done();
    }
    if (has_no_ranges_ && !failure_) {
      running_ = 1;
      const std::jthread worker([this] { work_without_ranges(); });
      report_until_done();
    }
    report();
    if (failure_) std::rethrow_exception(failure_);
    if (::fsync(part_.get()) != 0) fail_to_write(path_, errno, file_.size_bytes);
  }

 private:
  // Reserves the space, so that a full disk shows now.
  void prepare() {
    const bool is_new = std::count(chunks_.begin(), chunks_.end(), 1) == 0;
    if (is_new && ::ftruncate(part_.get(), 0) != 0) fail_to_write(path_, errno, file_.size_bytes);
    if (::ftruncate(part_.get(), static_cast<off_t>(file_.size_bytes)) != 0) {
      fail_to_write(path_, errno, file_.size_bytes);
    }
    if (file_.size_bytes != 0 && ::fallocate(part_.get(), 0, 0, static_cast<off_t>(file_.size_bytes)) != 0 &&
        errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR) {
      fail_to_write(path_, errno, file_.size_bytes);
    }
    std::string state = state_head(file_);
    state.append(chunks_.begin(), chunks_.end());
    if (::ftruncate(state_.get(), 0) != 0 ||
        ::pwrite(state_.get(), state.data(), state.size(), 0) != static_cast<ssize_t>(state.size())) {
      fail_to_write(path_, errno, file_.size_bytes);
    }
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      if (chunks_[i] != 0) arrived_ += chunk_bytes(file_, i);
    }
  }

  // ---- the calling thread
  // ---------------------------------------------------------------------------------------------

  void report() {
    const std::uint64_t now = arrived_;
    // A chunk that is begun again takes back what it had counted: never report less than before.
    if (now > reported_) {
      on_progress_(now - reported_);
      reported_ = now;
    }
  }

  void report_until_done() {
    constexpr auto kInterval = std::chrono::milliseconds(100);
    std::unique_lock lock(mutex_);
    while (running_ != 0) {
      done_.wait_for(lock, kInterval);
      lock.unlock();
      try {
        report();
        if (!failure_set_) on_progress_(0);
      } catch (...) {
        fail(std::current_exception());
      }
      lock.lock();
    }
  }

  // ---- workers
  // ----------------------------------------------------------------------------------------------------------

  void fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    failure_set_ = true;
    wake_.notify_all();
  }

  bool should_stop() const { return failure_set_ || has_no_ranges_; }

  template <typename Body>
  void as_worker(const Body& body) {
    try {
      body();
    } catch (...) {
      fail(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    --running_;
    done_.notify_all();
  }

  void work() {
    as_worker([this] {
      HttpClient client;
      while (!should_stop()) {
        const std::size_t chunk = next_++;
        if (chunk >= chunks_.size()) return;
        if (chunks_[chunk] == 0) fetch_chunk(client, chunk);
      }
    });
  }

  // Calls attempt() until it returns; it throws NetworkError. attempts_left starts anew whenever bytes have come.
  template <typename Attempt>
  void with_retries(const Attempt& attempt) {
    int failures = 0;
    while (!should_stop()) {
      const std::uint64_t before = came_;
      try {
        attempt();
        return;
      } catch (const NetworkError& error) {
        if (should_stop()) return;
        failures = came_ != before ? 1 : failures + 1;
        if (!error.may_pass() || failures > options_.retries) throw;
        wait(failures);
      }
    }
  }

  void wait(int failures) {
    thread_local std::minstd_rand random(std::random_device{}());
    const double longest =
        std::min(kMaxWaitSeconds, options_.retry_seconds * std::pow(2.0, std::min(failures - 1, 20)));
    const double seconds = longest * std::uniform_real_distribution<double>(0.5, 1.0)(random);
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return should_stop(); });
  }

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(part_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) fail_to_write(path_, n == 0 ? ENOSPC : errno, file_.size_bytes);
      offset += static_cast<std::uint64_t>(n);
      arrived_ += static_cast<std::uint64_t>(n);
      came_ += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }

  HttpRequest request() const {
    HttpRequest request{.url = file_.url, .token = options_.token, .user_password = options_.user_password};
    request.low_speed_seconds = options_.low_speed_seconds;
    return request;
  }

  void fetch_chunk(HttpClient& client, std::size_t chunk) {
    const std::uint64_t first = chunk * kChunkBytes;
    const std::uint64_t size = chunk_bytes(file_, chunk);
    std::uint64_t have = 0;
    with_retries([&] {
      HttpRequest ranged = request();
      const bool is_whole_file = size == file_.size_bytes && have == 0;
      if (!is_whole_file) ranged.range = {first + have, first + size - 1};
      const std::string expected = str("bytes ", first + have, "-", first + size - 1, "/", file_.size_bytes);
      const HttpResponse response = client.perform(
          ranged,
          [&](const HttpResponse& head, std::span<const std::byte> data) {
            if (head.status == 200 && !is_whole_file) {
              has_no_ranges_ = true;
              return false;
            }
            if (head.status == 206 && head.header("content-range") != expected) return false;
            if (head.status != 200 && head.status != 206) return true;  // an error's text
            if (data.size() > size - have) return false;
            write_at(first + have, data);
            have += data.size();
            return true;
          },
          [this] { return should_stop(); });
      if (response.status != 200 && response.status != 206) throw status_error(file_.url, response);
      if (have != size) throw NetworkError(str(file_.label, ": the server sent less than it should."), true);
    });
    if (have != size) return;  // stopped
    mark(chunk);
  }

  void mark(std::size_t chunk) {
    const char there = 1;
    if (::pwrite(state_.get(), &there, 1, static_cast<off_t>(state_head(file_).size() + chunk)) != 1) {
      fail_to_write(path_, errno, file_.size_bytes);
    }
  }

  // For servers that send the whole file whatever is asked for: from the start each time.
  void work_without_ranges() {
    has_no_ranges_ = false;  // it stops workers
    as_worker([this] {
      HttpClient client;
      with_retries([&] {
        std::uint64_t have = 0;
        const HttpResponse response = client.perform(
            request(),
            [&](const HttpResponse& head, std::span<const std::byte> data) {
              if (head.status != 200) return true;
              if (data.size() > file_.size_bytes - have) return false;
              write_at(have, data);
              have += data.size();
              return true;
            },
            [this] { return should_stop(); });
        if (response.status != 200) throw status_error(file_.url, response);
        if (have != file_.size_bytes)
          throw NetworkError(str(file_.label, ": the server sent less than it should."), true);
      });
    });
  }

  const RemoteFile& file_;
  const fs::path& path_;
  const DownloadOptions& options_;
  const std::function<void(std::uint64_t)>& on_progress_;
  std::vector<char> chunks_;  // 1: there from the start
  Descriptor part_;
  Descriptor state_;

  std::atomic<std::size_t> next_{0};  // chunk that no worker has looked at
  std::atomic<std::uint64_t> arrived_{0};
  std::atomic<std::uint64_t> came_{0};  // of these, in this download
  std::atomic<bool> has_no_ranges_{false};
  std::atomic<bool> failure_set_{false};
  std::uint64_t reported_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable done_;
  std::condition_variable wake_;
  std::size_t running_ = 0;
  std::exception_ptr failure_;
};

void remove_leftovers(const fs::path& path) {
  std::error_code ignored;
  fs::remove(part_path(path), ignored);
  fs::remove(state_path(path), ignored);
}

}  // namespace

std::uint64_t bytes_already_there(const RemoteFile& file, const fs::path& path) {
  const std::vector<char> chunks = read_state(file, path);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i] != 0) bytes += chunk_bytes(file, i);
  }
  return bytes;
}

void download_file(const RemoteFile& file, const fs::path& path, const DownloadOptions& options,
                   const std::function<void(std::uint64_t)>& on_progress) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail_to_write(path, error.value(), file.size_bytes);
  constexpr int kAttempts = 2;  // the bytes on a disk may be bad, or the server's
  std::string found;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Download(
        file, path, options, attempt == 0 ? on_progress : [&](std::uint64_t) { on_progress(0); })
        .run();
    if (file.digest.kind == DigestKind::kNone) break;
    found = digest_file(part_path(path), file.digest.kind, [&](std::uint64_t) { on_progress(0); });
    if (found == file.digest.hex) break;
    remove_leftovers(path);
  }
  if (file.digest.kind != DigestKind::kNone && found != file.digest.hex) {
    throw Error(ErrorKind::kBadFile,
                str(file.label, ": what the server sends has the hash ", found, ", expected ", file.digest.hex,
                    ". Nothing was kept. Try again later, or from another network."));
  }
  if (::rename(part_path(path).c_str(), path.c_str()) != 0) fail_to_write(path, errno, file.size_bytes);
  sync_folder(path.parent_path());
  remove_leftovers(path);
}

}  // namespace carat
