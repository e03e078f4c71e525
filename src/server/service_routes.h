// The table of routes: part of Service, shared by its files only.
#pragma once

#include "server/service.h"

namespace carat {

enum class BodyKind { kNone, kSmallJson, kMediaJson, kForm };

struct Service::Route {
  std::string_view method;
  std::string_view path;  // as in the document; "{model}" at its end stands for all that follows
  Service::Handler handler;
  BodyKind body = BodyKind::kNone;
  bool is_open = false;  // no key is asked for, and it is there while the server drains
};

}  // namespace carat
