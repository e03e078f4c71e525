// Sources: huggingface_hub (hf_api.py, file_download.py) for the hub; the OCI distribution specification and Ollama's
// media types for its registry; kagglehub (clients.py, handle.py) for Kaggle.
#include "store/registry.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "store/http_client.h"
#include "store/places.h"

namespace carat {
namespace {

constexpr std::size_t kMaxListingBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxFiles = 10'000;

[[noreturn]] void refuse(const std::string& url, std::string_view what) {
  throw Error(ErrorKind::kBadFile, str(printable(url, 200), ": the server's answer makes no sense: ", what, "."));
}

json::value get_json(const std::string& url, const RegistryAccess& access, const std::vector<std::string>& headers) {
  HttpRequest request{.url = url, .token = access.token, .user_password = access.user_password, .headers = headers};
  HttpClient client;
  return parse_json(client.get_text(request, kMaxListingBytes, access.should_stop), printable(url, 200),
                    ErrorKind::kBadFile);
}

const json::object& as_object(const json::value& value, const std::string& url) {
  if (!value.is_object()) refuse(url, "no object");
  return value.get_object();
}

std::uint64_t size_of(const json::object& object, std::string_view key, const std::string& url) {
  const std::int64_t size = find_integer(object, key, url).value_or(-1);
  if (size < 0) refuse(url, str("\"", key, "\" is missing or negative"));
  return static_cast<std::uint64_t>(size);
}

// Characters that stand for themselves in a URL's path, and "/".
std::string escaped(std::string_view path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '_' || c == '.' || c == '~' || c == '/';
    if (is_plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

bool is_commit(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// ---- Hugging Face
// -----------------------------------------------------------------------------------------------------

RegistryListing list_hub(const Reference& reference, const FetchJson& fetch) {
  const std::string endpoint = hub_endpoint();
  const std::string url = str(endpoint, "/api/models/", escaped(reference.repository), "/revision/",
                              escaped(reference.revision), "?blobs=true");
  const json::value document = fetch(url, {});
  const json::object& root = as_object(document, url);
  RegistryListing listing;
  listing.commit = find_string(root, "sha", url).value_or("");
  if (!is_commit(listing.commit)) refuse(url, "\"sha\" is no commit");
  const json::array* siblings = find_array(root, "siblings", url);
  if (siblings == nullptr || siblings->size() > kMaxFiles) refuse(url, "\"siblings\" is missing or too long");
  for (const json::value& value : *siblings) {
    const json::object& sibling = as_object(value, url);
    RegistryFile file;
    file.name = find_string(sibling, "rfilename", url).value_or("");
    if (!is_safe_file_name(file.name)) continue;  // such a file is not for us
    file.remote.size_bytes = size_of(sibling, "size", url);
    file.remote.digest = Digest::from_etag(find_string(sibling, "blobId", url).value_or(""));
    if (const json::object* lfs = find_object(sibling, "lfs", url)) {
      file.remote.digest = Digest::from_etag(find_string(*lfs, "sha256", url).value_or(""));
      if (file.remote.digest.kind != DigestKind::kSha256) refuse(url, str("\"", file.name, "\" lacks its SHA-256"));
      file.remote.size_bytes = size_of(*lfs, "size", url);
    }
    if (file.remote.digest.kind == DigestKind::kNone) refuse(url, str("\"", file.name, "\" lacks its hash"));
    file.blob = file.remote.digest.hex;
    file.remote.label = str(reference.repository, "/", file.name);
    file.remote.url =
        str(endpoint, "/", escaped(reference.repository), "/resolve/", listing.commit, "/", escaped(file.name));
    listing.files.push_back(std::move(file));
  }
  return listing;
}

// ---- Ollama
// -----------------------------------------------------------------------------------------------------------

RegistryListing list_ollama(const Reference& reference, const FetchJson& fetch) {
  const std::string base = str(ollama_endpoint(), "/v2/", escaped(reference.repository));
  const std::string url = str(base, "/manifests/", escaped(reference.revision));
  const json::value document = fetch(url, {"Accept: application/vnd.docker.distribution.manifest.v2+json"});
  const json::object& root = as_object(document, url);
  const json::array* layers = find_array(root, "layers", url);
  if (layers == nullptr || layers->size() > kMaxFiles) refuse(url, "\"layers\" is missing or too long");
  struct Kind {
    std::string_view media_type, name;
  };
  constexpr Kind kKinds[] = {{"application/vnd.ollama.image.model", "model.gguf"},
                             {"application/vnd.ollama.image.projector", "mmproj.gguf"},
                             {"application/vnd.ollama.image.license", "LICENSE"}};
  RegistryListing listing;
  for (const json::value& value : *layers) {
    const json::object& layer = as_object(value, url);
    const std::string_view type = find_string(layer, "mediaType", url).value_or("");
    const auto* kind =
        std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.media_type == type; });
    if (kind == std::end(kKinds)) continue;
    const std::string digest(find_string(layer, "digest", url).value_or(""));
    RegistryFile file;
    file.name = kind->name;
    if (std::any_of(listing.files.begin(), listing.files.end(),
                    [&](const auto& other) { return other.name == file.name; })) {
      continue;  // models have several licences
    }
    if (digest.starts_with("sha256:")) file.remote.digest = Digest::from_etag(std::string_view(digest).substr(7));
    if (file.remote.digest.kind != DigestKind::kSha256) refuse(url, "a layer's digest is no SHA-256");
    file.remote.size_bytes = size_of(layer, "size", url);
    file.blob = file.remote.digest.hex;
    file.remote.label = str(reference.text(), " ", file.name);
    file.remote.url = str(base, "/blobs/", digest);
    if (file.name == "model.gguf") listing.commit = file.blob;
    listing.files.push_back(std::move(file));
  }
  if (listing.commit.empty()) {
    throw Error(ErrorKind::kUnsupported, str(reference.text(), ": its manifest names no GGUF model."));
  }
  return listing;
}

// ---- Kaggle
// -----------------------------------------------------------------------------------------------------------

RegistryListing list_kaggle(const Reference& reference, const FetchJson& fetch) {
  const std::string base = str(kaggle_endpoint(), "/api/v1/models/", escaped(reference.repository));
  std::string version = reference.revision;
  if (version.empty()) {
    const std::string url = base + "/get";
    const json::value document = fetch(url, {});
    version = std::to_string(find_integer(as_object(document, url), "versionNumber", url).value_or(0));
  }
  RegistryListing listing;
  listing.commit = version;
  if (version.empty() || !std::all_of(version.begin(), version.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    throw Error(ErrorKind::kBadInput,
                str(reference.text(), ": \"", printable(version), "\" is no version; expected a number."));
  }
  std::string page;
  std::size_t pages = 0;
  do {
    const std::string url =
        str(base, "/", version, "/files?page_size=200", page.empty() ? "" : "&page_token=", escaped(page));
    const json::value document = fetch(url, {});
    const json::object& root = as_object(document, url);
    const json::array* files = find_array(root, "files", url);
    if (files == nullptr || files->size() + listing.files.size() > kMaxFiles)
      refuse(url, "\"files\" is missing or too long");
    if (++pages > kMaxFiles) refuse(url, "its pages have no end");
    for (const json::value& value : *files) {
      const json::object& entry = as_object(value, url);
      RegistryFile file;
      file.name = find_string(entry, "name", url).value_or("");
      if (!is_safe_file_name(file.name)) continue;
      file.remote.size_bytes = size_of(entry, find_member(entry, "totalBytes") != nullptr ? "totalBytes" : "size", url);
      file.remote.label = str(reference.text(), " ", file.name);
      file.remote.url = str(base, "/", version, "/download/", escaped(file.name));
      // Kaggle's listing has no hashes: a file's name and version are its identity.
      file.blob = str(version, "-", file.name);
      std::replace(file.blob.begin(), file.blob.end(), '/', '-');
      listing.files.push_back(std::move(file));
    }
    page = find_string(root, "nextPageToken", url).value_or("");
  } while (!page.empty());
  return listing;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets variables
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

RegistryAccess registry_access(SourceKind kind, const std::string& token) {
  RegistryAccess access{.token = token};
  if (!token.empty()) return access;
  if (kind == SourceKind::kHuggingFace) access.token = hub_token();
  if (kind == SourceKind::kKaggle) {
    access.token = variable("KAGGLE_API_TOKEN");
    const std::string user = variable("KAGGLE_USERNAME");
    const std::string key = variable("KAGGLE_KEY");
    if (access.token.empty() && !user.empty() && !key.empty()) access.user_password = str(user, ":", key);
  }
  return access;
}

RegistryListing list_registry(const Reference& reference, const RegistryAccess& access) {
  return list_registry(reference, [&access](const std::string& url, const std::vector<std::string>& headers) {
    return get_json(url, access, headers);
  });
}

RegistryListing list_registry(const Reference& reference, const FetchJson& fetch) {
  switch (reference.kind) {
    case SourceKind::kHuggingFace:
      return list_hub(reference, fetch);
    case SourceKind::kOllama:
      return list_ollama(reference, fetch);
    case SourceKind::kKaggle:
      return list_kaggle(reference, fetch);
  }
  return {};
}

}  // namespace carat
