// Streams over loopback TCP: bytes, bounds, ends, errors.
import EventLoop
import Glibc
import Primitives
import Synchronization
import Testing

private let anyPort = SocketAddress(host: "127.0.0.1", port: 0)!

/// Waits for one value from a callback.
private func value<T: Sendable>(_ start: (@escaping @Sendable (T) -> Void) -> Void) async -> T {
    await withCheckedContinuation { continuation in start { continuation.resume(returning: $0) } }
}

@Suite struct NetworkTests {
    @Test func bytesGoBothWaysAndTheEndIsSeen() async throws {
        try await withLoop { loop in
            let network = UVNetwork(loop: loop)
            let listener = try await loop.call {
                try network.listen(anyPort) { stream in
                    stream.onBytes = { bytes in stream.write(Array(bytes)) }
                }
            }
            #expect(listener.address.port != 0)
            let received = Log<UInt8>()
            let text = [UInt8]("hello, loop".utf8)
            let end: StreamEnd = await value { done in
                loop.post {
                    network.connect(listener.address, timeout: .seconds(5)) { result in
                        guard case .success(let stream) = result else { return done(.failed(.closed)) }
                        stream.onBytes = { bytes in
                            for byte in bytes { received.append(byte) }
                            if received.all.count == text.count { stream.close() }
                        }
                        stream.onClose = { done($0) }
                        stream.write(Array(text.prefix(5)))
                        stream.write(Array(text.dropFirst(5)))
                    }
                }
            }
            #expect(end == .local)
            #expect(received.all == text)
            try await loop.call { listener.close() }
        }
    }

    @Test func slowReaderMeetsTheBoundAndDrainsLater() async throws {
        try await withLoop { loop in
            let network = UVNetwork(loop: loop)
            let total = 8 << 20
            let received = Tally()
            let far = Held<any Stream>(), farEnd = Held<StreamEnd>(), farGone = Gate()
            let listener = try await loop.call {
                try network.listen(anyPort, backlog: 8, bufferBound: 1 << 20) { stream in
                    stream.isReadingPaused = true
                    stream.onBytes = { received.increment(by: $0.count) }
                    stream.onClose = { farEnd.set($0); farGone.signal() }
                    far.set(stream)
                }
            }
            let chunk = [UInt8](repeating: 7, count: 64 << 10)
            let sent = Tally()
            let refused = Tally()
            let end: StreamEnd = await value { done in
                loop.post {
                    network.connect(listener.address, timeout: .seconds(5), bufferBound: 256 << 10) { result in
                        guard case .success(let stream) = result else { return done(.failed(.closed)) }
                        let pump: @Sendable () -> Void = {
                            while sent.value < total {
                                sent.increment(by: chunk.count)
                                if !stream.write(chunk) { refused.increment(); return }
                            }
                            stream.close()
                        }
                        stream.onDrain = pump
                        stream.onClose = { done($0) }
                        pump()
                        // The reader starts once the writer has been told to stop.
                        loop.schedule(after: .milliseconds(5)) { far.value?.isReadingPaused = false }
                    }
                }
            }
            #expect(end == .local)
            #expect(refused.value > 1)
            await farGone.wait()
            #expect(farEnd.value == .remote)
            #expect(received.value == total)
        }
    }

    @Test func takenPortIsNamed() async throws {
        try await withLoop { loop in
            let network = UVNetwork(loop: loop)
            let first = try await loop.call { try network.listen(anyPort) { _ in } }
            await #expect(throws: NetworkError.addressInUse(first.address)) {
                _ = try await loop.call { try network.listen(first.address) { _ in } }
            }
            #expect(NetworkError.addressInUse(first.address).description.contains("choose another port"))
        }
    }

    @Test func refusedConnectionIsNamed() async throws {
        try await withLoop { loop in
            let network = UVNetwork(loop: loop)
            let address = try await loop.call {
                let listener = try network.listen(anyPort) { _ in }
                listener.close()
                return listener.address
            }
            let result: Result<any Stream, NetworkError> = await value { done in
                loop.post { network.connect(address, timeout: .seconds(5)) { done($0) } }
            }
            guard case .failure(let error) = result else { Issue.record("connected to nobody"); return }
            #expect(error == .refused(address))
        }
    }

    @Test func abruptEndReachesTheOtherSide() async throws {
        try await withLoop { loop in
            let network = UVNetwork(loop: loop)
            let ends = Log<StreamEnd>()
            let listener = try await loop.call { try network.listen(anyPort) { $0.abort() } }
            let end: StreamEnd = await value { done in
                loop.post {
                    network.connect(listener.address, timeout: .seconds(5)) { result in
                        guard case .success(let stream) = result else { return done(.local) }
                        stream.onBytes = { _ in }
                        stream.onClose = { ends.append($0); done($0) }
                    }
                }
            }
            #expect(end == .remote || end == .failed(.reset))
            #expect(ends.all.count == 1)
        }
    }

    /// A stream whose far end is gone answers EPIPE; without this the signal would end the process.
    @Test func aLoopKeepsBrokenPipesFromEndingTheProcess() throws {
        let loop = try UVLoop(name: "pipes")
        var action = sigaction()
        #expect(sigaction(SIGPIPE, nil, &action) == 0)
        #expect(unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self))
        loop.stop()
    }

    @Test func namesResolve() async throws {
        try await withLoop { loop in
            let network = UVNetwork(loop: loop)
            let numeric = try await network.resolve("192.0.2.7"), local = try await network.resolve("localhost")
            #expect(numeric == [SocketAddress(host: "192.0.2.7", port: 0)!])
            #expect(local.contains { $0.isLoopback })
            await #expect(throws: NetworkError.nameNotFound("no such host")) { _ = try await network.resolve("no such host") }
        }
    }

    @Test func endOfTheLoopEndsItsStreams() async throws {
        let loop = try UVLoop(name: "short")
        loop.start()
        let network = UVNetwork(loop: loop)
        let ends = Log<StreamEnd>()
        let listener = try await loop.call { try network.listen(anyPort) { $0.onClose = { ends.append($0) } } }
        let _: Bool = await value { done in
            loop.post { network.connect(listener.address, timeout: .seconds(5)) { result in
                if case .success(let stream) = result { stream.onClose = { ends.append($0) }; stream.write([1]) }
                loop.schedule(after: .milliseconds(1)) { done(true) }
            } }
        }
        loop.stop()
        loop.join()
        #expect(ends.all == [.local, .local])
    }
}
