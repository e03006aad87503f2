import Contracts
import Primitives
import Testing

@testable import Gateway

/// `/admin/v1` over the real server.
@Suite(.serialized, .timeLimit(.minutes(2))) struct AdminTests {
    private func admin(_ gateway: TestGateway) throws -> [String: String] { ["Authorization": "Bearer \(try gateway.token { $0.roomAdmin = true })"] }

    @Test func everyAnswerIsAsDescribed() async throws {
        try await TestGateway.run { gateway in
            gateway.operations.happen(3)
            let client = try gateway.client(), headers = try admin(gateway)
            let looks: [(String, JSON)] = [
                ("nodes", AdminSchemas.nodes), ("top", AdminSchemas.top), ("rooms", AdminSchemas.rooms), ("rooms/R_1", AdminSchemas.room), ("recordings", AdminSchemas.recordings),
                ("jobs", AdminSchemas.jobs), ("events", AdminSchemas.events), ("rebalance", AdminSchemas.rebalance),
            ]
            for (path, schema) in looks {
                let response = try client.request("GET", "/admin/v1/\(path)", headers: headers)
                #expect(response.status == 200, "\(path): \(response.text)")
                #expect(SchemaCheck.problems(response.json, schema) == [], "\(path)")
            }
            let orders: [(String, String, String, JSON)] = [
                ("POST", "rooms/R_1/move", #"{"node":"n2"}"#, AdminSchemas.move), ("POST", "rooms/R_1/pin", #"{"node":"n2"}"#, AdminSchemas.pin), ("DELETE", "rooms/R_1/pin", "", AdminSchemas.pin),
                ("POST", "nodes/n1/drain", #"{"deadline_seconds":30}"#, AdminSchemas.drain), ("POST", "nodes/n1/undrain", "{}", AdminSchemas.drain), ("POST", "rebalance", #"{"action":"plan"}"#, AdminSchemas.rebalance),
            ]
            gateway.operations.state.withLock { $0.orders = [] }
            for (method, path, body, schema) in orders {
                let response = try client.request(method, "/admin/v1/\(path)", headers: headers, body: body)
                #expect(response.status == 200, "\(path): \(response.text)")
                #expect(SchemaCheck.problems(response.json, schema) == [], "\(path)")
            }
            #expect(gateway.operations.state.withLock { $0.orders } == ["move R_1 n2", "pin R_1 n2", "pin R_1 –", "drain n1 30.0", "undrain n1", "rebalance plan"])
        }
    }
    /// From outside: no token, a guest's, a host's (an administrator's of one room), one that may only list.
    @Test func onlyAdministratorsOfAllRoomsMayAsk() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client()
            let routes = gateway.gateway.routes.routes.filter { "\($0.template)".hasPrefix("/admin/") }
            #expect(routes.count == 14)
            let tokens = [
                try gateway.token(), try gateway.token { $0.roomAdmin = true; $0.room = "R_1" }, try gateway.token { $0.roomList = true; $0.roomCreate = true; $0.roomRecord = true },
            ]
            for route in routes {
                guard case .administrator = route.access else {
                    Issue.record("\(route.template) is open")
                    continue
                }
                let path = "\(route.template)".replacing("{id}", with: "R_1").replacing("{name}", with: "n1"), body = route.method == .get ? nil : "{}"
                #expect(try client.request(route.method.rawValue, path, body: body).status == 401, "\(path)")
                #expect(try client.request(route.method.rawValue, path, headers: ["Authorization": "Bearer a.b.c"], body: body).status == 401, "\(path)")
                for token in tokens {
                    let response = try client.request(route.method.rawValue, path, headers: ["Authorization": "Bearer \(token)"], body: body)
                    #expect(response.status == 403 && response.json["error"]?["code"] == "admin_only", "\(path): \(response.text)")
                }
            }
            #expect(gateway.operations.state.withLock { $0.orders } == [])
        }
    }
    @Test func whatIsWrongIsSaid() async throws {
        try await TestGateway.run { gateway in
            let client = try gateway.client(), headers = try admin(gateway)
            let wrong: [(String, String, String?, Int, String)] = [
                ("GET", "rooms/none", nil, 404, "unknown_room"), ("GET", "rooms?limit=0", nil, 400, "malformed"), ("GET", "rooms?limit=501", nil, 400, "malformed"), ("GET", "events?since=-1", nil, 400, "malformed"),
                ("POST", "rooms/R_1/move", "{}", 400, "malformed"), ("POST", "rooms/R_1/move", #"{"node":"n9"}"#, 404, "unknown_node"), ("POST", "nodes/n1/drain", #"{"deadline_seconds":3601}"#, 400, "malformed"),
                ("POST", "rebalance", #"{"action":"dance"}"#, 400, "malformed"), ("POST", "rebalance", #"{"action":"stop"}"#, 409, "no_plan"),
            ]
            for (method, path, body, status, code) in wrong {
                let response = try client.request(method, "/admin/v1/\(path)", headers: headers, body: body)
                #expect(response.status == status && response.json["error"]?["code"]?.string == code, "\(path): \(response.text)")
            }
            _ = try client.request("GET", "/admin/v1/rooms?node=n1&filter=stand&recorded=1&limit=7&after=R_0", headers: headers)
            #expect(gateway.operations.state.withLock { $0.rooms } == RoomQuery(after: "R_0", limit: 7, node: "n1", filter: "stand", isRecorded: true))
        }
    }
    /// Server-sent events: what is there, then what happens, each with the id to go on from.
    @Test func eventsAreFollowed() async throws {
        try await TestGateway.run { gateway in
            gateway.operations.happen(5)
            let client = try gateway.client()
            try client.send(TestClient.head("GET", "/admin/v1/events?follow=1&since=3&limit=1", headers: try admin(gateway)))
            let head = try client.response()
            #expect(head.status == 200 && head.headers["content-type"] == "text/event-stream" && head.headers["content-length"] == nil && head.headers["connection"] == "close")
            func event() throws -> [String] {
                var lines: [String] = []
                while let line = Optional(try client.readLine()), !line.isEmpty { lines.append(line) }
                return lines
            }
            for number in 4...5 {
                let lines = try event()
                #expect(lines.prefix(2) == ["id: \(number)", "event: chat"] && lines[2].hasPrefix(#"data: {"position":\#(number),"room_id":"R_1""#), "\(lines)")
            }
            gateway.operations.happen(200)
            for number in 6...205 { #expect(try event().first == "id: \(number)") }
            client.close()
        }
    }
    @Test func aStreamEndsWithItsNode() async throws {
        let gateway = try await TestGateway(), client = try gateway.client()
        try client.send(TestClient.head("GET", "/admin/v1/events?follow=1", headers: try admin(gateway)))
        #expect(try client.response().status == 200)
        await gateway.stop()
        #expect(client.isClosedByPeer())
    }
    @Test func onlySoManyStreamsAreOpen() async throws {
        try await TestGateway.run { gateway in
            var clients: [TestClient] = []
            for _ in 0..<AdminRoutes.Limits.streams {
                clients.append(try gateway.client())
                try clients.last!.send(TestClient.head("GET", "/admin/v1/events?follow=1", headers: try admin(gateway)))
                #expect(try clients.last!.response().status == 200)
            }
            let late = try gateway.client().request("GET", "/admin/v1/events?follow=1", headers: try admin(gateway))
            #expect(late.status == 503 && late.json["error"]?["code"] == "too_many_streams")
            for client in clients { client.close() }
        }
    }
}
