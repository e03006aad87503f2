import Conference
import EventLoop
import Primitives
import Testing

@testable import Gateway

@Suite struct OpenAPITests {
    static func gateway() throws -> Gateway {
        let configuration = GatewayConfiguration(node: "north", bind: SocketAddress(host: "127.0.0.1", port: 0)!, keys: [TestGateway.key], mediaDirectory: "/tmp")
        return try Gateway(configuration: configuration, loop: try UVLoop(name: "unused"), service: TestConference(), composition: TestComposition(), uploads: TestUploads(), operations: TestOperations(), store: TestRoomStore())
    }
    /// Every endpoint of API.md that exists so far, and nothing undescribed.
    @Test func describesEveryRoute() throws {
        let routes = try Self.gateway().routes
        let document = OpenAPI.document(routes, version: "1", server: "https://n")
        #expect(document["openapi"] == "3.1.0")
        let expected: [String: [String]] = [
            "/api/v1/sessions/create": ["post"], "/api/v1/sessions/{id}": ["get", "delete"], "/api/v1/sessions/{id}/join": ["post"], "/api/v1/rooms/{id}/participants/{pid}/mute": ["post"],
            "/api/v1/rooms/{id}/participants/{pid}/remove": ["post"], "/recording/start": ["post"], "/recording/stop": ["post"], "/recording/{id}": ["get", "delete"], "/api/recordings": ["get", "post"], "/recording/exclude": ["post"],
            "/admin/v1/nodes": ["get"], "/admin/v1/top": ["get"], "/admin/v1/rooms": ["get"], "/admin/v1/rooms/{id}": ["get"], "/admin/v1/recordings": ["get"], "/admin/v1/jobs": ["get"],
            "/api/v1/events": ["get"], "/admin/v1/events": ["get"], "/admin/v1/rebalance": ["get", "post"], "/admin/v1/rooms/{id}/move": ["post"], "/admin/v1/rooms/{id}/pin": ["post", "delete"],
            "/admin/v1/nodes/{name}/drain": ["post"], "/admin/v1/nodes/{name}/undrain": ["post"],
            "/recordings/{id}": ["get"], "/recordings/{id}/composition/token": ["post"], "/recordings/{id}/preview": ["post"], "/recordings/{id}/composition": ["get", "put"],
            "/recordings/{id}/export": ["post"], "/jobs/{id}": ["get", "delete"], "/jobs/{id}/events": ["get"], "/api/recordings/{id}/guest-token": ["post"],
            "/api/recordings/upload-url": ["get"], "/api/recordings/chunk": ["put"], "/api/recordings/{id}/uploads": ["get"],
            "/api/recordings/{id}/uploads/{upload}/complete": ["post"], "/api/v1/time": ["get"], "/api/v1/node": ["get"], "/healthz": ["get"], "/readyz": ["get"], "/metrics": ["get"], "/media/{path}": ["get"], "/openapi.json": ["get"],
        ]
        let paths = try #require(document["paths"]?.object)
        #expect(Set(paths.members.map(\.name)) == Set(expected.keys))
        for (path, methods) in expected { #expect(Set(paths[path]?.object?.members.map(\.name) ?? []) == Set(methods), "\(path)") }
        let ids = routes.routes.map { "\($0.method) \($0.template)" }
        #expect(Set(ids).count == ids.count)
    }
    @Test func operationsAreComplete() throws {
        let document = OpenAPI.document(try Self.gateway().routes, version: "1", server: "https://n")
        var operationIDs = Set<String>()
        for path in try #require(document["paths"]?.object).members {
            for operation in try #require(path.value.object).members {
                let value = operation.value
                #expect(operationIDs.insert(try #require(value["operationId"]?.string)).inserted)
                #expect(value["summary"]?.string?.isEmpty == false)
                let declared = value["parameters"]?.array?.filter { $0["in"] == "path" }.compactMap { $0["name"]?.string } ?? []
                let inPath: [String] = path.name.split(separator: "/").filter { $0.first == "{" }.map { String($0.dropFirst().dropLast()) }
                #expect(declared == inPath)
                let responses = try #require(value["responses"]?.object)
                #expect(responses.members.contains { $0.name.hasPrefix("2") } && responses["500"] != nil)
                for response in responses.members { #expect(response.value["description"]?.string != nil) }
            }
        }
        let create = document["paths"]?["/api/v1/sessions/create"]?["post"]
        #expect(create?["requestBody"]?["content"]?["application/json"]?["schema"]?["required"] == ["title", "host_name"])
        #expect(create?["responses"]?["403"]?["content"]?["application/json"]?["schema"]?["$ref"] == "#/components/schemas/Error")
    }
}
