// As much of JSON Schema (2020-12) as the repository's schemas use.
import Primitives

@testable import Gateway

enum SchemaCheck {
    /// What is wrong with `value`; empty when it fits.
    static func problems(_ value: JSON, _ schema: JSON, at path: String = "$") -> [String] {
        var out: [String] = []
        if let type = schema["type"], !fits(value, type) { return ["\(path): not \(type.text)"] }
        if let constant = schema["const"], constant != value { out.append("\(path): not \(constant.text)") }
        if let values = schema["enum"]?.array, !values.contains(value) { out.append("\(path): not one of \(values.map(\.text))") }
        if let text = value.string { out += lengthProblems(text, schema, path) }
        if let number = value.double {
            if let least = schema["minimum"]?.double, number < least { out.append("\(path): below \(least)") }
            if let most = schema["maximum"]?.double, number > most { out.append("\(path): above \(most)") }
            if let bound = schema["exclusiveMinimum"]?.double, number <= bound { out.append("\(path): not above \(bound)") }
        }
        if let elements = value.array {
            if let least = schema["minItems"]?.integer, elements.count < least { out.append("\(path): too few") }
            if let items = schema["items"] { for (i, e) in elements.enumerated() { out += problems(e, items, at: "\(path)[\(i)]") } }
        }
        if let object = value.object { out += objectProblems(object, schema, path) }
        if let any = schema["anyOf"]?.array, !any.contains(where: { problems(value, $0, at: path).isEmpty }) { out.append("\(path): fits none of anyOf") }
        return out
    }
    private static func lengthProblems(_ text: String, _ schema: JSON, _ path: String) -> [String] {
        var out: [String] = []
        if let least = schema["minLength"]?.integer, text.unicodeScalars.count < least { out.append("\(path): too short") }
        if let most = schema["maxLength"]?.integer, text.unicodeScalars.count > most { out.append("\(path): too long") }
        if schema["format"]?.string == "date-time", text.wholeMatch(of: #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/#) == nil { out.append("\(path): no date-time") }
        return out
    }
    private static func objectProblems(_ object: JSONObject, _ schema: JSON, _ path: String) -> [String] {
        var out: [String] = []
        for name in schema["required"]?.array ?? [] where object[name.string!] == nil { out.append("\(path): \(name.text) is missing") }
        for member in object.members {
            if let property = schema["properties"]?[member.name] { out += problems(member.value, property, at: path + "." + member.name) }
            else if schema["additionalProperties"] == .bool(false) { out.append("\(path): \(member.name) is not described") }
            for name in schema["dependentRequired"]?[member.name]?.array ?? [] where object[name.string!] == nil { out.append("\(path): \(name.text) is missing beside \(member.name)") }
        }
        return out
    }
    private static func fits(_ value: JSON, _ type: JSON) -> Bool {
        if let types = type.array { return types.contains { fits(value, $0) } }
        switch (type.string, value) {
        case ("object", .object), ("array", .array), ("string", .string), ("boolean", .bool), ("null", .null), ("integer", .integer): return true
        case ("number", .integer), ("number", .number): return true
        case ("integer", .number(let n)): return n == n.rounded()
        default: return false
        }
    }
}
