// Where things lie: caches, configuration, tokens, servers, as the environment says.
#pragma once

#include <filesystem>
#include <string>

namespace carat {

// Of the Hugging Face hub, shared with its Python library: CARAT_MODELS, HF_HUB_CACHE, HF_HOME/hub,
// XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub: the first that is set.
std::filesystem::path hub_cache();
// Of the other registries: CARAT_MODELS/registries, XDG_CACHE_HOME/carat/registries, ~/.cache/carat/registries.
std::filesystem::path registry_cache();
// What comes with carat, such as the demo model: CARAT_DATA; without it share/carat beside the folder that the program
// lies in, wherever that was installed or built; /usr/share/carat where /proc doesn't tell.
std::filesystem::path data_folder();
// XDG_CONFIG_HOME/carat, ~/.config/carat.
std::filesystem::path config_folder();

// HF_TOKEN, the file HF_TOKEN_PATH, HF_HOME/token, ~/.cache/huggingface/token; empty where there is none.
std::string hub_token();
// HF_ENDPOINT, https://huggingface.co; without a slash at the end.
std::string hub_endpoint();
// CARAT_OLLAMA_ENDPOINT, https://registry.ollama.ai.
std::string ollama_endpoint();
// CARAT_KAGGLE_ENDPOINT, https://www.kaggle.com.
std::string kaggle_endpoint();
// HF_HUB_OFFLINE or CARAT_OFFLINE is set to something other than 0.
bool is_offline();

}  // namespace carat
