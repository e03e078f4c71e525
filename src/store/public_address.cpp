#include "store/public_address.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace carat {
namespace {

// The first `bits` of an address.
struct Network {
  std::array<std::uint8_t, 16> prefix;
  unsigned bits;
};

// IPv4; all others are public.
constexpr std::array kSpecialV4{
    Network{{0}, 8},             // this network
    Network{{10}, 8},            // private
    Network{{100, 64}, 10},      // shared by a provider's customers
    Network{{127}, 8},           // this machine
    Network{{169, 254}, 16},     // the link; clouds tell secrets there
    Network{{172, 16}, 12},      // private
    Network{{192, 0, 0}, 24},    // protocols
    Network{{192, 0, 2}, 24},    // documentation
    Network{{192, 88, 99}, 24},  // relays to IPv6
    Network{{192, 168}, 16},     // private
    Network{{198, 18}, 15},      // benchmarks
    Network{{198, 51, 100}, 24},
    Network{{203, 0, 113}, 24},
    Network{{224}, 3},  // multicast, and what is reserved
};
// IPv6: of the global addresses, those that are not public after all; others than global ones never are.
constexpr Network kGlobalV6{{0x20}, 3};
constexpr std::array kSpecialV6{
    Network{{0x20, 0x01, 0, 0}, 23},        // protocols, tunnels among them
    Network{{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    Network{{0x20, 0x02}, 16},              // IPv4 within it
    Network{{0x3f, 0xff}, 20},              // documentation
};

bool contains(const Network& network, std::span<const std::uint8_t> address) {
  for (unsigned bit = 0; bit < network.bits; ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if (((network.prefix[bit / 8] ^ address[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

}  // namespace

bool is_public_address(const sockaddr& address) {
  const auto is_in = [](std::span<const std::uint8_t> bytes) {
    return [bytes](const Network& network) { return contains(network, bytes); };
  };
  if (address.sa_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, bytes.size());
    return std::ranges::none_of(kSpecialV4, is_in(bytes));
  }
  if (address.sa_family == AF_INET6) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, bytes.size());
    return contains(kGlobalV6, bytes) && std::ranges::none_of(kSpecialV6, is_in(bytes));
  }
  return false;
}

}  // namespace carat
