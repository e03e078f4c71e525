// Registries: what a model's repository holds, as its server says.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "store/download.h"
#include "store/reference.h"

namespace carat {

struct RegistryFile {
  std::string name;  // within the repository; safe
  RemoteFile remote;
  std::string blob;  // what it is called in the cache: its hash, or a name made of the revision's
};

struct RegistryListing {
  std::string commit;  // what the revision stands for; safe as a folder's name
  std::vector<RegistryFile> files;
};

// How a server is spoken to.
struct RegistryAccess {
  std::string token{};
  std::string user_password{};  // of Kaggle
  std::function<bool()> should_stop{};
};
// The token that the environment holds for that kind of server; token: one given by hand, which comes first.
RegistryAccess registry_access(SourceKind kind, const std::string& token);

// Asks the hub, the Ollama registry or Kaggle, whichever the reference names. Every name and hash in the answer is held
// against what it may be. Throws NetworkError, and Error(kBadFile) for an answer that makes no sense.
RegistryListing list_registry(const Reference& reference, const RegistryAccess& access);

// The same over whatever gets a JSON document from a URL.
using FetchJson = std::function<json::value(const std::string& url, const std::vector<std::string>& headers)>;
RegistryListing list_registry(const Reference& reference, const FetchJson& fetch);

}  // namespace carat
