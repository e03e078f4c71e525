#include "store/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace carat {

Digest Digest::from_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (!std::all_of(etag.begin(), etag.end(), is_hex)) return {};
  if (etag.size() == 64) return {DigestKind::kSha256, std::string(etag)};
  if (etag.size() == 40) return {DigestKind::kGitSha1, std::string(etag)};
  return {};
}

std::string digest_file(const std::filesystem::path& path, DigestKind kind,
                        const std::function<void(std::uint64_t)>& on_bytes) {
  constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20;
  const EVP_MD* algorithm = kind == DigestKind::kSha256 ? EVP_sha256()
                            : kind == DigestKind::kMd5  ? EVP_md5()
                                                        : EVP_sha1();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const auto require = [&](int ok) {
    if (ok != 1) throw Error(ErrorKind::kInternal, str(path.string(), ": can't compute its hash."));
  };
  require(EVP_DigestInit_ex(context.get(), algorithm, nullptr));
  const File file(path);
  if (kind == DigestKind::kGitSha1) {
    const std::string head = str("blob ", file.size_bytes());
    require(EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1));
  }
  std::vector<std::byte> block(std::min(kBlockBytes, file.size_bytes()));
  for (std::uint64_t at = 0; at < file.size_bytes(); at += block.size()) {
    block.resize(std::min(kBlockBytes, file.size_bytes() - at));
    file.read_at(at, block);
    require(EVP_DigestUpdate(context.get(), block.data(), block.size()));
    if (on_bytes) on_bytes(block.size());
  }
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  require(EVP_DigestFinal_ex(context.get(), bytes, &size));
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[bytes[i] >> 4];
    hex += kDigits[bytes[i] & 15];
  }
  return hex;
}

}  // namespace carat
