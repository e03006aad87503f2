// What the gateway counts, as Prometheus text.
internal import Primitives

/// Requests by route and status, with their time. Confined to the loop.
struct GatewayMetrics {
    private struct Key: Hashable { let route: String; let status: Int }
    private var requests: [Key: Int] = [:]
    private var seconds: [String: (sum: Double, count: Int)] = [:]
    private var sentBytes: Int64 = 0

    mutating func request(route: String, status: Int, sentBytes: Int64, duration: Duration) {
        requests[Key(route: route, status: status), default: 0] += 1
        let old = seconds[route] ?? (0, 0)
        seconds[route] = (old.sum + duration.inSeconds, old.count + 1)
        self.sentBytes += sentBytes
    }
    func text(server: WebServer.Counters, openSockets: Int, refused: [String: Int]) -> String {
        var lines: [String] = []
        func metric(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: String)]) {
            lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(type)"]
            lines += samples.map { "\(name)\($0.labels) \($0.value)" }
        }
        let keys = requests.keys.sorted { ($0.route, $0.status) < ($1.route, $1.status) }
        metric("troupe_http_requests_total", "counter", "HTTP requests answered.", keys.map { ("{route=\"\($0.route)\",status=\"\($0.status)\"}", String(requests[$0]!)) })
        let routes = seconds.keys.sorted()
        lines += ["# HELP troupe_http_request_seconds Time from a request's head to its answer's end.", "# TYPE troupe_http_request_seconds summary"]
        for route in routes {
            lines.append("troupe_http_request_seconds_sum{route=\"\(route)\"} \(seconds[route]!.sum)")
            lines.append("troupe_http_request_seconds_count{route=\"\(route)\"} \(seconds[route]!.count)")
        }
        metric("troupe_http_sent_bytes_total", "counter", "Bytes of HTTP answers.", [("", String(sentBytes))])
        metric("troupe_http_connections_lost_total", "counter", "Connections that ended before their answer.", [("", String(server.httpConnectionsLost))])
        metric("troupe_http_unreadable_total", "counter", "Connections dropped for a request that cannot be read.", [("", String(server.unreadableRequests))])
        metric("troupe_http_large_bodies_refused_total", "counter", "Chunks refused because too many were under way.", [("", String(server.largeBodiesRefused))])
        metric("troupe_websocket_open", "gauge", "Open WebSockets.", [("", String(openSockets))])
        metric("troupe_websocket_opened_total", "counter", "WebSockets opened.", [("", String(server.webSocketsOpened))])
        metric("troupe_websocket_messages_total", "counter", "WebSocket messages.", [
            ("{direction=\"in\"}", String(server.webSocketMessagesIn)), ("{direction=\"out\"}", String(server.webSocketMessagesOut)),
        ])
        metric("troupe_websocket_upgrades_refused_total", "counter", "WebSocket upgrades refused.", [("", String(server.upgradesRefused))])
        metric("troupe_signalling_refused_total", "counter", "Signalling messages and connections refused, by reason.", refused.keys.sorted().map { ("{reason=\"\($0)\"}", String(refused[$0]!)) })
        return lines.joined(separator: "\n") + "\n"
    }
}
