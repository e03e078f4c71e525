// Digest: what a file's bytes have to hash to.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace carat {

enum class DigestKind {
  kNone,
  kSha256,
  kGitSha1,  // of "blob SIZE\0" and the bytes: what git, and so the hub, calls small files
  kMd5,
};

struct Digest {
  DigestKind kind = DigestKind::kNone;
  std::string hex{};  // lower case

  // By length: 64 digits are SHA-256, 40 git's SHA-1; none for anything else.
  static Digest from_etag(std::string_view etag);
  bool operator==(const Digest&) const = default;
};

// The file's digest of that kind. on_bytes, if given, hears of every few megabytes and may throw.
std::string digest_file(const std::filesystem::path& path, DigestKind kind,
                        const std::function<void(std::uint64_t)>& on_bytes = {});

}  // namespace carat
