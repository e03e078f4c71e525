#include "checkpoint/gguf_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/unicode.h"

namespace carat {
namespace {

constexpr std::uint32_t kVersion = 3;

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <typename T>
void append_number(std::vector<std::byte>& out, T value) {
  append(out, std::as_bytes(std::span<const T>(&value, 1)));
}

void append_string(std::vector<std::byte>& out, std::string_view text) {
  append_number(out, std::uint64_t{text.size()});
  append(out, std::as_bytes(std::span(text)));
}

template <typename Strings>
std::vector<std::byte> encode_strings(const Strings& strings) {
  std::vector<std::byte> out;
  for (const std::string_view text : strings) append_string(out, text);
  return out;
}

}  // namespace

// The file under its temporary name; removed again unless it is published.
class GgufWriter::Output {
 public:
  // Reserves size_bytes on the disk where the file system can, so that a full disk shows at once.
  Output(const std::filesystem::path& path, std::uint64_t size_bytes) : path_(path.string() + ".part") {
    while (!open_locked()) {
    }
    if (::ftruncate(fd_, 0) != 0) fail(errno);
    if (::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes)) != 0 && errno == ENOSPC) {
      discard();
      fail(ENOSPC);
    }
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { discard(); }

  std::uint64_t size_bytes() const { return size_bytes_; }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) fail(errno);
      if (n <= 0) continue;
      size_bytes_ += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    send_to_disk();
  }

  // Zeros up to the next multiple of alignment.
  void pad(std::uint64_t alignment) {
    static constexpr std::array<std::byte, 4096> kZeros{};
    std::uint64_t missing = *checked_align(size_bytes_, alignment) - size_bytes_;
    while (missing > 0) {
      const std::uint64_t n = std::min<std::uint64_t>(missing, kZeros.size());
      write(std::span(kZeros).first(n));
      missing -= n;
    }
  }

  void publish(const std::filesystem::path& path) {
    if (::fsync(fd_) != 0) fail(errno);
    if (::rename(path_.c_str(), path.c_str()) != 0) fail(errno);
    path_.clear();
    if (::close(std::exchange(fd_, -1)) != 0) fail(errno);  // only now: with it goes the lock
    sync_folder_of(path);
  }

 private:
  // Has the kernel begin to write what has come, so that little is left to wait for at the end. A wish: its failing is
  // fsync's to tell.
  void send_to_disk() noexcept {
    constexpr std::uint64_t kStepBytes = std::uint64_t{16} << 20;
    if (size_bytes_ - sent_bytes_ < kStepBytes) return;
    ::sync_file_range(fd_, static_cast<off_t>(sent_bytes_), static_cast<off_t>(size_bytes_ - sent_bytes_),
                      SYNC_FILE_RANGE_WRITE);
    sent_bytes_ = size_bytes_;
  }

  // Opens the file and locks it against other processes. False where its name has gone to another file meanwhile: one
  // that held the lock before has published it.
  bool open_locked() {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(errno);
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      ::close(std::exchange(fd_, -1));
      const std::string taken = path_.string();
      path_.clear();  // not ours to remove
      throw Error(ErrorKind::kBadInput, str(taken, ": another process is writing this file. Wait for it to end."));
    }
    struct stat opened {};
    struct stat named {};
    if (::fstat(fd_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
        opened.st_dev == named.st_dev) {
      return true;
    }
    ::close(std::exchange(fd_, -1));
    return false;
  }

  // Makes the new name last through a loss of power; file systems that can't are left alone.
  static void sync_folder_of(const std::filesystem::path& path) noexcept {
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
  }

  void discard() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  [[noreturn]] void fail(int error) const {
    throw Error(ErrorKind::kBadInput, str(path_.string(), ": can't write: ", std::strerror(error),
                                          ". Check the folder and the space on the disk."));
  }

  std::filesystem::path path_;  // empty once published
  int fd_ = -1;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t sent_bytes_ = 0;
};

GgufWriter::GgufWriter(std::filesystem::path path, std::uint32_t alignment)
    : path_(std::move(path)), alignment_(alignment) {
  if (!std::has_single_bit(alignment) || alignment < kGgufMinAlignment || alignment > kGgufMaxAlignment) {
    fail(str("alignment ", alignment, ", expected a power of two from ", kGgufMinAlignment, " to ", kGgufMaxAlignment));
  }
  if (alignment != kGgufDefaultAlignment) add(kGgufAlignmentKey, alignment);
}

GgufWriter::~GgufWriter() = default;

void GgufWriter::fail(const std::string& problem) const {
  throw Error(ErrorKind::kBadInput, str(path_.string(), ": can't write ", problem, "."));
}

void GgufWriter::check_name(std::string_view kind, std::string_view name, std::unordered_set<std::string>& taken) {
  if (output_) {
    throw Error(ErrorKind::kInternal,
                str(path_.string(), ": ", kind, " ", printable(name), " added after the header."));
  }
  if (name.empty() || name.size() > kGgufMaxNameBytes || !is_valid_utf8(name)) {
    fail(str(kind, " ", printable(name), ": expected UTF-8 of 1 to ", kGgufMaxNameBytes, " bytes"));
  }
  if (!taken.emplace(name).second) fail(str(kind, " ", printable(name), " twice"));
}

void GgufWriter::add_encoded(std::string_view key, GgufType type, std::span<const std::byte> value) {
  check_name("key", key, keys_);
  append_string(metadata_, key);
  append_number(metadata_, static_cast<std::uint32_t>(type));
  append(metadata_, value);
}

void GgufWriter::add_encoded_array(std::string_view key, GgufType element, std::uint64_t count,
                                   std::span<const std::byte> values) {
  std::vector<std::byte> value;
  append_number(value, static_cast<std::uint32_t>(element));
  append_number(value, count);
  append(value, values);
  add_encoded(key, GgufType::kArray, value);
}

void GgufWriter::add(std::string_view key, std::string_view value) {
  std::vector<std::byte> encoded;
  append_string(encoded, value);
  add_encoded(key, GgufType::kString, encoded);
}

void GgufWriter::add_array(std::string_view key, std::span<const std::string> values) {
  add_encoded_array(key, GgufType::kString, values.size(), encode_strings(values));
}

void GgufWriter::add_array(std::string_view key, const std::vector<bool>& values) {
  std::vector<std::byte> bytes;
  bytes.reserve(values.size());
  for (const bool value : values) bytes.push_back(std::byte{value});
  add_encoded_array(key, GgufType::kBool, values.size(), bytes);
}

void GgufWriter::add_array(std::string_view key, std::span<const std::string_view> values) {
  add_encoded_array(key, GgufType::kString, values.size(), encode_strings(values));
}

void GgufWriter::copy_keys(const Gguf& from) {
  for (const std::string_view key : from.keys()) {
    if (key == kGgufAlignmentKey || keys_.contains(std::string(key))) continue;
    const auto value = from.encoded(key);
    add_encoded(key, value->type, value->bytes);
  }
}

void GgufWriter::add_tensor(std::string_view name, DType dtype, std::vector<std::uint64_t> shape) {
  check_name("tensor", name, names_);
  const auto bytes = tensor_bytes(dtype, shape);
  if (shape.size() > kGgufMaxDims || !bytes || *bytes == 0) {
    fail(str("tensor ", printable(name), " of shape ", shape_text(shape), ": expected at most ", kGgufMaxDims,
             " extents above 0, the last a multiple of ", dtype_info(dtype).block_values));
  }
  const std::uint64_t offset = data_bytes_;
  const auto padded = checked_align(*bytes, alignment_);
  const auto end = padded ? checked_add(offset, *padded) : padded;
  if (!end) fail(str("tensor ", printable(name), " of shape ", shape_text(shape), ": too large"));
  data_bytes_ = *end;
  entries_.push_back({std::string(name), dtype, std::move(shape), *bytes, offset});
}

void GgufWriter::write_header() {
  std::vector<std::byte> header;
  append(header, std::as_bytes(std::span(std::string_view("GGUF"))));
  append_number(header, kVersion);
  append_number(header, std::uint64_t{entries_.size()});
  append_number(header, std::uint64_t{keys_.size()});
  append(header, metadata_);
  for (const Entry& entry : entries_) {
    append_string(header, entry.name);
    append_number(header, static_cast<std::uint32_t>(entry.shape.size()));
    std::for_each(entry.shape.rbegin(), entry.shape.rend(), [&](std::uint64_t dim) { append_number(header, dim); });
    append_number(header, dtype_info(entry.dtype).gguf_id);
    append_number(header, entry.offset);
  }
  output_ = std::make_unique<Output>(path_, header.size() + alignment_ + data_bytes_);
  output_->write(header);
  output_->pad(alignment_);
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  if (!output_) write_header();
  if (current_ == entries_.size() || bytes.size() > entries_[current_].bytes - current_bytes_) {
    throw Error(ErrorKind::kInternal, str(path_.string(), ": more bytes than the tensor at hand has left."));
  }
  output_->write(bytes);
  current_bytes_ += bytes.size();
  if (current_bytes_ < entries_[current_].bytes) return;
  output_->pad(alignment_);
  ++current_;
  current_bytes_ = 0;
}

void GgufWriter::finish() {
  if (!output_) write_header();
  if (current_ != entries_.size()) {
    throw Error(ErrorKind::kInternal, str(path_.string(), ": tensor ", printable(entries_[current_].name), " lacks ",
                                          entries_[current_].bytes - current_bytes_, " bytes."));
  }
  output_->publish(path_);
}

}  // namespace carat
