// A loop with UDP ports: what a media loop needs, so that it runs on libuv and in a simulation alike.
import CShims
import Primitives

/// Tells when a port has something to read, until closed. Confined to its loop.
package protocol DatagramWatch: AnyObject, Sendable {
    func close()
}

/// Beyond `Loop`: the end of a turn, timers that do not allocate, and batched datagram IO. Everything is called on the loop.
package protocol DatagramLoop: Loop {
    /// Jobs and posted closures run so far: tells the turn's end whether anyone but a socket has been at work.
    var jobsRun: UInt64 { get }
    /// A timer for one place that sets it often: `setTimer` does not allocate.
    func reusableTimer(_ work: @escaping @Sendable () -> Void) -> TimerToken
    /// Moves a reusable timer; nil stops it.
    func setTimer(_ timer: TimerToken, to deadline: Instant?)
    /// Runs `work` once a turn, after its jobs and right before the loop sleeps.
    @discardableResult
    func onPrepare(_ work: @escaping @Sendable () -> Void) -> Int

    /// Binds a UDP port; port 0 lets the system choose.
    func openDatagrams(_ address: SocketAddress) throws(NetworkError) -> DatagramSocket
    func watchDatagrams(_ socket: DatagramSocket, _ onReadable: @escaping @Sendable () -> Void) throws(NetworkError) -> any DatagramWatch
    /// Fills the receiver with what waits. - Returns: how many datagrams, 0 when none wait, or a negative errno.
    func receiveDatagrams(_ receiver: OpaquePointer, _ descriptor: Int32) -> Int32
    /// Sends a batch, in order per endpoint; never blocks. Adds to `report`.
    func sendDatagrams(_ sender: OpaquePointer, _ items: UnsafePointer<shim_outgoing>, _ count: UInt32, _ report: inout shim_send_report)
    /// - Returns: 0 or a negative errno.
    func sendDatagram(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, to endpoint: inout shim_endpoint) -> Int32
}

extension FileWatch: DatagramWatch {}

extension UVLoop: DatagramLoop {
    package func openDatagrams(_ address: SocketAddress) throws(NetworkError) -> DatagramSocket { try DatagramSocket(bind: address) }
    package func watchDatagrams(_ socket: DatagramSocket, _ onReadable: @escaping @Sendable () -> Void) throws(NetworkError) -> any DatagramWatch {
        let watch = try watch(socket.descriptor) { _ in onReadable() }
        watch.wait(for: .readable)
        return watch
    }
    package func receiveDatagrams(_ receiver: OpaquePointer, _ descriptor: Int32) -> Int32 { shim_receive(receiver, descriptor) }
    package func sendDatagrams(_ sender: OpaquePointer, _ items: UnsafePointer<shim_outgoing>, _ count: UInt32, _ report: inout shim_send_report) {
        shim_send(sender, items, count, &report)
    }
    package func sendDatagram(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, to endpoint: inout shim_endpoint) -> Int32 {
        shim_send_one(descriptor, bytes.baseAddress!, UInt32(bytes.count), &endpoint)
    }
}
