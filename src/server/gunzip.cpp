#include "server/gunzip.h"

#include <zlib.h>

#include <algorithm>
#include <memory>

#include "server/api_error.h"

namespace carat {

std::string gunzip(std::string_view bytes, std::size_t max_bytes) {
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  constexpr std::size_t kPiece = 65536;
  z_stream stream{};
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, void (*)(z_stream*)> owner(&stream, [](z_stream* s) { inflateEnd(s); });
  // zlib takes no const pointer; it does not write there.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int status = Z_OK;
  while (status == Z_OK) {
    const std::size_t begin = out.size();
    const std::size_t room = std::min(kPiece, max_bytes + 1 - begin);
    out.resize(begin + room);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + begin);
    stream.avail_out = static_cast<uInt>(room);
    status = inflate(&stream, Z_NO_FLUSH);
    out.resize(begin + room - stream.avail_out);
    if (out.size() > max_bytes) {
      throw ApiError(413, "request_too_large", str("the request's body has more than ", max_bytes, " bytes unpacked."));
    }
  }
  if (status != Z_STREAM_END || stream.avail_in > 0) {
    throw ApiError(400, "invalid_encoding", "the request's body is not what its Content-Encoding, gzip, says.");
  }
  return out;
}

}  // namespace carat
