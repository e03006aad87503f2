#pragma once
#include <stdint.h>

/// An address and port, host order; IPv4 as IPv4-mapped IPv6. Laid out as the fields of Primitives' SocketAddress.
typedef struct { uint64_t high, low; uint16_t port; } shim_address;

/// A prepared sockaddr, so that sending costs no conversion. `length` 0: no address.
typedef struct { _Alignas(8) uint8_t bytes[28]; uint32_t length; } shim_endpoint;
/// `ipv6`: whether the socket it is used with is an IPv6 one (an IPv4 address is then written mapped).
void shim_endpoint_set(shim_endpoint *_Nonnull endpoint, shim_address address, int ipv6);

/// The address in an endpoint; of length 0, the zero address.
shim_address shim_endpoint_address(const shim_endpoint *_Nonnull endpoint);

/// Opens a non-blocking UDP socket bound to `address`, with kernel receive timestamps and overflow counts.
/// Returns the descriptor, or a negative errno. Buffer sizes are asked for beyond the system limit first, then within it.
int shim_udp_open(shim_address address, int receive_buffer, int send_buffer);
int shim_udp_local(int fd, shim_address *_Nonnull address);
int shim_udp_receive_buffer(int fd);

/// One received datagram. `data` stays valid until the next `shim_receive`.
typedef struct {
    void *_Nonnull data;
    uint32_t length;
    uint32_t truncated;       // it was longer than the buffer
    int64_t received_at;      // wall clock, microseconds, stamped by the kernel
    shim_address source;
} shim_datagram;
typedef struct shim_receiver shim_receiver;
shim_receiver *_Nullable shim_receiver_new(uint32_t capacity, uint32_t buffer_bytes);
void shim_receiver_free(shim_receiver *_Nonnull);
shim_datagram *_Nonnull shim_receiver_datagrams(shim_receiver *_Nonnull);
/// One recvmmsg. Returns the number of datagrams, 0 when none wait, or a negative errno.
int shim_receive(shim_receiver *_Nonnull, int fd);
/// Puts a datagram at `place` as if it had been received: for a network that is not the kernel's. What does not fit is cut.
void shim_receiver_put(shim_receiver *_Nonnull, uint32_t place, const void *_Nonnull data, uint32_t length, int64_t received_at, shim_address source);
uint32_t shim_receiver_capacity(const shim_receiver *_Nonnull);
/// Datagrams the kernel dropped for want of buffer space, as last told; grows and wraps per socket.
uint32_t shim_receiver_overflow(const shim_receiver *_Nonnull);

/// One datagram to send. Neighbours with the same endpoint and length go as one UDP_SEGMENT call where that pays.
typedef struct {
    const void *_Nonnull data;
    uint32_t length;
    int32_t fd;
    const shim_endpoint *_Nonnull to;
} shim_outgoing;
typedef struct {
    uint64_t sent;            // datagrams the kernel took
    uint64_t segmented;       // of these, in UDP_SEGMENT runs
    uint64_t runs;            // UDP_SEGMENT messages
    uint64_t calls;           // sendmmsg calls
    uint64_t full;            // datagrams dropped: no room in the socket's buffer
    uint64_t refused;         // datagrams dropped: any other error
    int32_t last_error;       // errno of the last refused one
} shim_send_report;
typedef struct shim_sender shim_sender;
shim_sender *_Nullable shim_sender_new(uint32_t capacity);
void shim_sender_free(shim_sender *_Nonnull);
/// Sends `count` (at most the capacity) datagrams, in order per endpoint; adds to `report`. Never blocks, never allocates.
void shim_send(shim_sender *_Nonnull, const shim_outgoing *_Nonnull items, uint32_t count, shim_send_report *_Nonnull report);
/// One datagram. Returns 0 or a negative errno.
int shim_send_one(int fd, const void *_Nonnull data, uint32_t length, const shim_endpoint *_Nonnull to);
