// Whether an address is one of the public internet.
#pragma once

#include <sys/socket.h>

namespace carat {

// False for this machine, private and shared networks, the local link, multicast, documentation, benchmarks, and
// whatever stands for IPv4 within IPv6 (RFC 6890 and IANA's registries of special-purpose addresses); also for what is
// no address of IP.
bool is_public_address(const sockaddr& address);

}  // namespace carat
