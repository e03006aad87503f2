// UDP between simulated machines: lost, late, out of order, twice.
import CShims
import EventLoop
import Primitives

/// A port that was opened by one life of one node.
final class SimulatedPort: DatagramWatch, @unchecked Sendable {
    enum Limits {
        /// Datagrams that wait to be read; the kernel drops what comes then.
        static let waiting = 1024
    }
    struct Datagram {
        var bytes: [UInt8]
        var source: SocketAddress
        /// Wall clock of the receiving machine, µs.
        var receivedAt: Int64
    }
    let address: SocketAddress
    let loop: SimulatedLoop
    private(set) var waiting: [Datagram] = []
    private(set) var dropped = 0
    private var readIsDue = false
    var onReadable: (@Sendable () -> Void)?

    init(_ address: SocketAddress, _ loop: SimulatedLoop) {
        self.address = address
        self.loop = loop
    }
    func close() { onReadable = nil }

    func arrives(_ bytes: [UInt8], from source: SocketAddress) {
        guard loop.state != .dead else { return }
        guard waiting.count < Limits.waiting else { dropped += 1; return }
        waiting.append(Datagram(bytes: bytes, source: source, receivedAt: loop.wall.microseconds))
        guard !readIsDue else { return }
        readIsDue = true
        loop.post { [self] in
            readIsDue = false
            onReadable?()
        }
    }
    func take(into receiver: OpaquePointer) -> Int32 {
        let count = min(waiting.count, Int(shim_receiver_capacity(receiver)))
        for (place, datagram) in waiting.prefix(count).enumerated() {
            datagram.bytes.withUnsafeBytes {
                shim_receiver_put(receiver, UInt32(place), $0.baseAddress!, UInt32($0.count), datagram.receivedAt, shim_address(datagram.source))
            }
        }
        waiting.removeFirst(count)
        return Int32(count)
    }
}

/// All UDP ports of a world.
package final class DatagramPorts: @unchecked Sendable {
    private let wires: Wires
    private var ports: [SocketAddress: SimulatedPort] = [:]
    private var byNumber: [Int32: SimulatedPort] = [:]
    private var lastNumber: Int32 = 0
    private var nextPort: UInt16 = 20_000

    init(_ wires: Wires) { self.wires = wires }

    func open(_ wanted: SocketAddress, _ loop: SimulatedLoop) throws(NetworkError) -> DatagramSocket {
        var address = wanted
        if wanted.port == 0 {
            nextPort = nextPort < 60_000 ? nextPort + 1 : 20_001
            address = wanted.with(port: nextPort)
        }
        if let other = ports[address], other.loop.state != .dead { throw .addressInUse(address) }
        lastNumber += 1
        let port = SimulatedPort(address, loop)
        ports[address] = port
        byNumber[lastNumber] = port
        return DatagramSocket(simulated: lastNumber, address: address)
    }
    func port(_ number: Int32) -> SimulatedPort? { byNumber[number] }

    func send(from number: Int32, _ bytes: UnsafeRawBufferPointer, to endpoint: shim_endpoint) -> Bool {
        var endpoint = endpoint
        let target = SocketAddress(shim_endpoint_address(&endpoint))
        guard let source = byNumber[number], let from = Wires.host(of: source.address), let to = Wires.host(of: target) else { return false }
        let copy = Array(bytes)
        for delay in wires.datagramDelays(from, to) {
            wires.world.after(delay) { [self] in
                guard wires.power[to] != .off else { return }
                ports[target]?.arrives(copy, from: source.address)
            }
        }
        return true
    }
}

extension SimulatedLoop: DatagramLoop {
    package func openDatagrams(_ address: SocketAddress) throws(NetworkError) -> DatagramSocket {
        guard let ports else { throw .addressNotAvailable(address) }
        return try ports.open(address, self)
    }
    package func watchDatagrams(_ socket: DatagramSocket, _ onReadable: @escaping @Sendable () -> Void) throws(NetworkError) -> any DatagramWatch {
        guard let port = ports?.port(socket.descriptor) else { throw .closed }
        port.onReadable = onReadable
        return port
    }
    package func receiveDatagrams(_ receiver: OpaquePointer, _ descriptor: Int32) -> Int32 { ports?.port(descriptor)?.take(into: receiver) ?? 0 }
    package func sendDatagrams(_ sender: OpaquePointer, _ items: UnsafePointer<shim_outgoing>, _ count: UInt32, _ report: inout shim_send_report) {
        for i in 0..<Int(count) {
            let item = items[i]
            let isTaken = ports?.send(from: item.fd, UnsafeRawBufferPointer(start: item.data, count: Int(item.length)), to: item.to.pointee) ?? false
            if isTaken { report.sent += 1 } else { report.refused += 1 }
        }
        report.calls += 1
    }
    package func sendDatagram(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, to endpoint: inout shim_endpoint) -> Int32 {
        ports?.send(from: descriptor, bytes, to: endpoint) == true ? 0 : -1
    }
}
