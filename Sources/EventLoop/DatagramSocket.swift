// A UDP socket for batched IO: opened and bound here, read and written by its owner through CShims.
import CShims
import Glibc
import Primitives

extension shim_address {
    package init(_ address: SocketAddress) { self.init(high: address.high, low: address.low, port: address.port) }
}
extension SocketAddress {
    package init(_ address: shim_address) { self.init(high: address.high, low: address.low, port: address.port) }
}

/// Owns one bound, non-blocking UDP descriptor. Receive timestamps come from the kernel.
package final class DatagramSocket: Sendable {
    package enum Limits {
        package static let receiveBufferBytes: Int32 = 4 << 20   // a quarter of a second of 130 Mbit/s
        package static let sendBufferBytes: Int32 = 4 << 20
    }
    package let descriptor: Int32
    package let address: SocketAddress
    private let isSystems: Bool
    package var isIPv6: Bool { !address.isIPv4 }

    package init(bind wanted: SocketAddress) throws(NetworkError) {
        let fd = shim_udp_open(shim_address(wanted), Limits.receiveBufferBytes, Limits.sendBufferBytes)
        guard fd >= 0 else { throw NetworkError(status: fd, operation: "bind UDP \(wanted)", address: wanted) }
        var local = shim_address()
        let status = shim_udp_local(fd, &local)
        guard status == 0 else {
            close(fd)
            throw NetworkError(status: status, operation: "read the address of a UDP socket")
        }
        descriptor = fd
        address = SocketAddress(local)
        isSystems = true
    }
    /// A port of a network that is not the system's: a number only its loop knows.
    package init(simulated number: Int32, address: SocketAddress) {
        descriptor = number
        self.address = address
        isSystems = false
    }
    deinit { if isSystems { close(descriptor) } }

    /// An address as this socket's sends want it.
    package func endpoint(_ address: SocketAddress) -> shim_endpoint {
        var endpoint = shim_endpoint()
        shim_endpoint_set(&endpoint, shim_address(address), isIPv6 ? 1 : 0)
        return endpoint
    }
}
