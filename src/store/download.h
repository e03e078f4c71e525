// Download: one file from a server to a name that it gets only when it is whole and has been checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "store/digest.h"

namespace carat {

struct DownloadOptions {
  std::size_t connections = 4;
  int retries = 8;           // in a row without a byte more
  double retry_seconds = 1;  // before the first retry; doubled each time, up to a minute
  std::string token{};
  std::string user_password{};
  long low_speed_seconds = 30;
};

struct RemoteFile {
  std::string url;
  std::uint64_t size_bytes = 0;
  Digest digest{};
  std::string label{};  // for messages
};

// Fetches ranges of the file over several connections into PATH.carat-part; PATH.carat-state says which ranges are
// there, so that another call, after whatever end of this one, goes on with the rest. Then the digest is checked, and
// the file gets its name. A wrong digest throws all away and tries once more. on_progress hears of bytes that came (or
// were there already), a few times a second and always from the calling thread; it may throw to stop.
// The caller holds a lock on the path. Throws Error: NetworkError; kBadFile for a wrong digest; kOutOfMemory for a full
// disk, saying what is needed.
void download_file(const RemoteFile& file, const std::filesystem::path& path, const DownloadOptions& options,
                   const std::function<void(std::uint64_t bytes)>& on_progress);

// Bytes of a file that an earlier download has left behind, of those that it still needs.
std::uint64_t bytes_already_there(const RemoteFile& file, const std::filesystem::path& path);

}  // namespace carat
