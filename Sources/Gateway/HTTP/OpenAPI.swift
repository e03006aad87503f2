// OpenAPI 3.1 from the route table.
package import Primitives

package enum OpenAPI {
    package static func document(_ table: RouteTable, version: String, server: String) -> JSON {
        var paths = JSONObject()
        for route in table.routes {
            var item = paths[route.template.openAPI]?.object ?? JSONObject()
            item[route.method.rawValue.lowercased()] = operation(route)
            paths[route.template.openAPI] = .object(item)
        }
        return [
            "openapi": "3.1.0",
            "info": ["title": "Troupe", "version": .string(version), "description": "Live rooms and their recordings. Signalling by WebSocket at /ws/{session_id}: docs/protocol."],
            "servers": [["url": .string(server)]],
            "paths": .object(paths),
            "components": [
                "schemas": ["Error": errorSchema],
                "securitySchemes": ["token": ["type": "http", "scheme": "bearer", "bearerFormat": "JWT"]],
            ],
        ]
    }

    private static let errorSchema: JSON = Schema.object([
        ("error", Schema.object([("code", Schema.string), ("message", Schema.string), ("request_id", Schema.string)]), true)
    ])

    private static func operation(_ route: Route) -> JSON {
        var members: [(String, JSON?)] = [
            ("operationId", .string(operationID(route))), ("tags", [.string(route.tag)]), ("summary", .string(route.summary)),
        ]
        let parameters = parameters(route)
        if !parameters.isEmpty { members.append(("parameters", .array(parameters))) }
        if !route.fields.isEmpty { members.append(("requestBody", requestBody(route))) }
        members.append(("responses", responses(route)))
        switch route.access {
        case .open: break
        case .visitor: members.append(("security", [["token": []], [:]]))
        case .bearer, .administrator: members.append(("security", [["token": []]]))
        }
        return .compact(members)
    }
    private static func operationID(_ route: Route) -> String {
        let words = route.template.description.split { !$0.isLetter && !$0.isNumber }
        return ([route.method.rawValue.lowercased()] + words.map(String.init)).joined(separator: "_")
    }
    private static func parameters(_ route: Route) -> [JSON] {
        var out = route.template.parameters.map { name -> JSON in
            ["name": .string(name), "in": "path", "required": true, "schema": ["type": "string"]]
        }
        out += route.query.map { ["name": .string($0.name), "in": "query", "required": .bool($0.isRequired), "description": .string($0.description), "schema": ["type": "string"]] }
        if route.isRepeatable {
            out.append(["name": "Idempotency-Key", "in": "header", "required": false, "description": "Repeating a request with the same key within 24 hours gives the first answer.", "schema": ["type": "string", "maxLength": 255]])
        }
        return out
    }
    private static func requestBody(_ route: Route) -> JSON {
        let schema = Schema.object(route.fields.map { ($0.name, $0.schema, $0.isRequired) })
        return ["required": .bool(route.fields.contains { $0.isRequired }), "content": ["application/json": ["schema": schema]]]
    }
    private static func responses(_ route: Route) -> JSON {
        var out = JSONObject()
        for answer in route.answers {
            out[String(answer.status)] = .compact([
                ("description", .string(answer.description)), ("content", answer.schema.map { ["application/json": ["schema": $0]] }),
            ])
        }
        let common = switch route.access {
        case .open: [400, 500]
        case .visitor, .bearer: [400, 401, 429, 500, 503]
        case .administrator: [400, 401, 403, 429, 500, 503]
        }
        for status in Set(common + route.failures).sorted() {
            out[String(status)] = [
                "description": .string(HTTPResponse.reason(status)),
                "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
            ]
        }
        return .object(out)
    }
}

/// Pieces of JSON Schema (2020-12).
package enum Schema {
    package static let string: JSON = ["type": "string"]
    package static let integer: JSON = ["type": "integer"]
    package static let number: JSON = ["type": "number"]
    package static let boolean: JSON = ["type": "boolean"]
    package static let time: JSON = ["type": "string", "format": "date-time"]
    package static func array(_ items: JSON) -> JSON { ["type": "array", "items": items] }
    package static func choice(_ values: [String]) -> JSON { ["type": "string", "enum": .array(values.map { .string($0) })] }
    package static func object(_ members: [(String, JSON, Bool)]) -> JSON {
        let properties = JSONObject(members.map { .init(name: $0.0, value: $0.1) })
        let required = members.filter(\.2).map { JSON.string($0.0) }
        return .compact([("type", "object"), ("properties", .object(properties)), ("required", required.isEmpty ? nil : .array(required))])
    }
    /// All members required.
    package static func object(_ members: [(String, JSON)]) -> JSON { object(members.map { ($0.0, $0.1, true) }) }
}
