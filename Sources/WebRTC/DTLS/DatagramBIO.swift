// An OpenSSL BIO that keeps datagrams apart: one read returns one datagram, one write makes one. (A memory BIO would join them.)
internal import COpenSSL

/// The two ends of a DTLS connection's traffic, owned by the connection and used only within its calls.
final class DatagramBIO {
    enum Limits {
        /// Bytes of one UDP payload; a path of 1280 bytes carries it over IPv6 with room to spare.
        static let datagramLength = 1200
        /// Datagrams waiting to be taken; a flight has three or four. What comes on top is lost, as on a network.
        static let outgoing = 32
    }
    /// The one datagram being fed in; cleared by the read that takes it.
    var incoming: UnsafeRawBufferPointer?
    private(set) var outgoing: [[UInt8]] = []

    func takeOutgoing() -> [[UInt8]] {
        defer { outgoing.removeAll() }
        return outgoing
    }

    /// A BIO over `self`. Whoever takes it must be gone before `self` is.
    func makeBIO() -> OpaquePointer? {
        guard let method = Self.method, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        BIO_set_init(bio, 1)
        return bio
    }

    private static func owner(_ bio: OpaquePointer?) -> DatagramBIO? {
        guard let bio, let data = BIO_get_data(bio) else { return nil }
        return Unmanaged<DatagramBIO>.fromOpaque(data).takeUnretainedValue()
    }

    private func read(_ bio: OpaquePointer, into target: UnsafeMutableRawPointer, capacity: Int) -> Int32 {
        shim_bio_clear_retry(bio)
        guard let datagram = incoming, !datagram.isEmpty else {
            shim_bio_set_retry_read(bio)
            return -1
        }
        incoming = nil
        let count = min(datagram.count, capacity) // the rest of a longer datagram is lost, as with recv(2)
        target.copyMemory(from: datagram.baseAddress!, byteCount: count)
        return Int32(count)
    }
    private func write(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        if outgoing.count < Limits.outgoing { outgoing.append(Array(bytes)) }
        return Int32(bytes.count)
    }

    /// Made once, never freed, not changed afterwards: safe to share.
    private nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams") else { return nil }
        BIO_meth_set_read(method) { bio, target, capacity in
            guard let bio, let target, capacity > 0, let owner = DatagramBIO.owner(bio) else { return -1 }
            return owner.read(bio, into: target, capacity: Int(capacity))
        }
        BIO_meth_set_write(method) { bio, source, length in
            guard let bio, let source, length > 0, let owner = DatagramBIO.owner(bio) else { return -1 }
            shim_bio_clear_retry(bio)
            return owner.write(UnsafeRawBufferPointer(start: source, count: Int(length)))
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in
            switch command {
            case BIO_CTRL_FLUSH: 1
            case BIO_CTRL_DGRAM_QUERY_MTU, BIO_CTRL_DGRAM_GET_FALLBACK_MTU: Limits.datagramLength
            default: 0
            }
        }
        return method
    }()
}
