import Cluster
import Contracts
import Primitives
import Testing

/// Two releases join their pipes: who knows no mark of retransmissions is sent none, and is not disturbed by one who offers to take them.
@Suite struct PipeEndTests {
    /// As the earlier release has it.
    private struct EarlierEnd: Codable, Equatable {
        var address: SocketAddress
        var flow: UInt32
        var key: [UInt8]
    }
    private let address = SocketAddress(host: "127.0.0.1", port: 9)!
    private let key = [UInt8](repeating: 7, count: 16)

    @Test func anEarlierReleasesEndTakesNoMarks() throws {
        let read = try CBORDecoder.decode(PipeEnd.self, from: CBOREncoder.encode(EarlierEnd(address: address, flow: 5, key: key)))
        #expect(read == PipeEnd(address: address, flow: 5, key: key) && read.takesRecovered == nil)
    }
    @Test func anEarlierReleaseReadsOurEnd() throws {
        let told = PipeEnd(address: address, flow: 5, key: key, takesRecovered: true)
        #expect(try CBORDecoder.decode(EarlierEnd.self, from: CBOREncoder.encode(told)) == EarlierEnd(address: address, flow: 5, key: key))
        #expect(try CBORDecoder.decode(PipeEnd.self, from: CBOREncoder.encode(told)) == told)
    }
}
