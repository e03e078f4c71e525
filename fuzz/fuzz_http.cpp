// Any bytes from a client's socket: the server answers in HTTP or closes the connection, and holds nothing of it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "server/http_server.h"

namespace {

using namespace carat;

HttpCallbacks callbacks() {
  HttpCallbacks all;
  all.admit = [](const ServerRequest& head) {
    Admission admission;
    if (head.path == "/refused") admission.refusal = ServerResponse{401, "text/plain", {}, "no"};
    admission.max_body_bytes = 4096;
    admission.is_quick = true;
    return admission;
  };
  all.handle = [](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->request().path == "/stream") {
      exchange->begin_stream({200, "text/event-stream", {}, "one"});
      exchange->write(exchange->request().body);
      exchange->end_stream();
    } else {
      exchange->respond({200, "text/plain", {}, exchange->request().body});
    }
  };
  all.refuse = [](const ServerRequest&, int status, const std::string& message) {
    return ServerResponse{status, "text/plain", {}, message};
  };
  all.finished = [](const ServerRequest&, int, std::size_t, double) {};
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static HttpServer server({}, callbacks());
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const linger at_once{1, 0};  // no port waits for late packets: there are many connections a second
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  if (fd < 0) std::abort();
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) {  // that is the fuzzer's own clock
      std::perror("connect");
      std::abort();
    }
    ::close(fd);
    return 0;
  }
  // A second request ends the connection, where the first one left it open.
  std::string bytes(reinterpret_cast<const char*>(data), size);
  bytes += "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  ::shutdown(fd, SHUT_WR);
  std::string answer;
  std::array<char, 4096> piece;
  ssize_t count = 0;
  while ((count = ::recv(fd, piece.data(), piece.size(), 0)) > 0) {
    answer.append(piece.data(), static_cast<std::size_t>(count));
  }
  if (!answer.empty() && !answer.starts_with("HTTP/1.")) std::abort();
  if (count < 0 && errno == EAGAIN) std::abort();  // it neither answers nor closes
  ::close(fd);
  return 0;
}
