// The library's own log lines, led into ours: it logs through one function per process.
internal import CWebSockets
internal import Synchronization

enum LibraryLog {
    enum Limits { static let lines = 200 }        // per process: a hostile client can cause them at will
    private struct State {
        var sink: (@Sendable (GatewayLogLine) -> Void)?
        var lines = 0
    }
    private static let state = Mutex(State())

    static func lead(to sink: @escaping @Sendable (GatewayLogLine) -> Void) {
        state.withLock { $0.sink = sink }
        lws_set_log_level(LLL_ERR | LLL_WARN) { level, text in
            guard let text else { return }
            LibraryLog.emit(isError: level == LLL_ERR, String(cString: text))
        }
    }
    private static func emit(isError: Bool, _ text: String) {
        let sink = state.withLock { state -> (@Sendable (GatewayLogLine) -> Void)? in
            state.lines += 1
            return state.lines <= Limits.lines ? state.sink : nil
        }
        let line = text.last == "\n" ? String(text.dropLast()) : text
        sink?(GatewayLogLine(isError ? .warning : .debug, "libwebsockets: " + line))
    }
}
