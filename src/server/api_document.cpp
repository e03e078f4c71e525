#include "server/api_document.h"

#include <string>

#include "server/api_error.h"
#include "server/embedded_files.h"
#include "server/schema_check.h"

namespace carat {
namespace {

constexpr JsonLimits kDocumentLimits{.max_depth = 64, .max_bytes = std::size_t{1} << 20};

std::string error_schema_of(std::string_view path, const json::object& operation) {
  if (path.starts_with("/v1/models")) return "OpenAiOrAnthropicError";  // by the header
  const std::string tag(operation.at("tags").as_array().at(0).as_string());
  return tag == "Anthropic" ? "AnthropicError" : tag == "Ollama" ? "OllamaError" : "OpenAiError";
}

// Any request may be refused like this, whatever it asks for.
void add_errors(std::string_view path, json::object& operation, bool is_head) {
  json::object& responses = operation.at("responses").as_object();
  const std::string schema = error_schema_of(path, operation);
  for (const char* status : {"400", "401", "403", "404", "405", "408", "413", "415", "429", "500", "501", "503"}) {
    if (is_head) {
      responses[status] = {{"description", "An error"}};
    } else {
      responses[status] = {{"$ref", "#/components/responses/" + schema}};
    }
  }
  if (schema == "AnthropicError") responses["529"] = {{"$ref", "#/components/responses/" + schema}};
}

json::value make_document() {
  json::object paths;
  json::object schemas;
  for (const EmbeddedFile& file : embedded_files()) {
    if (!file.name.starts_with("api/")) continue;
    json::value part = parse_json(file.text, file.name, ErrorKind::kInternal, kDocumentLimits);
    for (auto& [path, operations] : part.at("paths").as_object()) paths[path] = std::move(operations);
    for (auto& [name, schema] : part.at("schemas").as_object()) schemas[name] = std::move(schema);
  }
  for (auto& [path, operations] : paths) {
    for (auto& [method, operation] : operations.as_object()) add_errors(path, operation.as_object(), method == "head");
  }
  schemas["OpenAiOrAnthropicError"] = {
      {"anyOf", json::array{json::object{{"$ref", "#/components/schemas/OpenAiError"}},
                            json::object{{"$ref", "#/components/schemas/AnthropicError"}}}}};
  json::object responses;
  for (const char* name : {"OpenAiError", "OllamaError", "AnthropicError", "OpenAiOrAnthropicError"}) {
    const json::object schema{{"schema", {{"$ref", str("#/components/schemas/", name)}}}};
    responses[name] = {{"description", "An error"}, {"content", {{"application/json", schema}}}};
  }
  const json::object key{{"type", "http"}, {"scheme", "bearer"}};
  return {
      {"openapi", "3.1.0"},
      {"info", {{"title", "carat"}, {"version", "1"}, {"license", {{"name", "Apache-2.0"}}}}},
      {"security", json::array{json::object{{"key", json::array{}}}, json::object{}}},
      {"paths", std::move(paths)},
      {"components",
       {{"schemas", std::move(schemas)}, {"responses", std::move(responses)}, {"securitySchemes", {{"key", key}}}}}};
}

}  // namespace

const json::value& api_document() {
  static const json::value document = make_document();
  return document;
}

const json::value* body_schema(std::string_view method, std::string_view path) {
  std::string key(method);
  for (char& c : key) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const json::object& operation = api_document().at("paths").at(path).at(key).get_object();
  const json::value* body = operation.if_contains("requestBody");
  if (body == nullptr) return nullptr;
  const json::value* content = body->at("content").get_object().if_contains("application/json");
  return content == nullptr ? nullptr : &content->at("schema");
}

json::object parse_body(std::string_view body, const json::value& schema) {
  json::value value;
  try {
    value = parse_json(body, "the request's body", ErrorKind::kBadInput);
  } catch (const Error& error) {
    throw ApiError(400, "invalid_json", error.what());
  }
  if (const auto problem = check_schema(value, schema, api_document())) {
    const std::string what = problem->path.empty() ? "the request's body" : problem->path;
    const char* code = problem->kind == SchemaProblem::Kind::kMissing ? "missing_required_parameter"
                       : problem->kind == SchemaProblem::Kind::kType  ? "invalid_type"
                                                                      : "invalid_value";
    throw ApiError(400, code, str(what, " ", problem->message, "."), problem->path);
  }
  if (!value.is_object()) throw ApiError(400, "invalid_type", "the request's body must be an object.");
  drop_unchecked(value, schema, api_document());
  return std::move(value.get_object());
}

}  // namespace carat
