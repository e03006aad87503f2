// Which distributed methods may be called on which type of actor.
//
// A name from a peer must never reach `executeDistributedTarget` unchecked: the runtime runs any distributed method it
// finds by name on whatever object it is given. So every call is looked up in the table of its actor's own type, and
// those tables are made of what is linked into this program, not of what anyone sends.
import CShims
import Distributed
import Glibc

/// The distributed methods of one actor type, by mangled name.
struct TargetTable: Sendable {
    let typeName: String
    /// Mangled name → the name in the source.
    private(set) var methods: [String: String]

    /// All methods of `type` that this program has. Generic types have none.
    init(of type: any DistributedActor.Type) {
        typeName = String(reflecting: type)
        methods = [:]
        guard let mangled = _mangledTypeName(type), let readable = Self.demangle("$s" + mangled) else { return }
        for target in Self.all where target.mangled.hasPrefix("$s" + mangled) {
            guard let name = Self.memberName(target.readable, of: readable) else { continue }
            methods[target.mangled] = name
        }
    }
    func allows(_ target: String) -> Bool { methods[target] != nil }
    /// Leaves only the methods named.
    func restricted(to names: Set<String>) -> TargetTable {
        var copy = self
        copy.methods = methods.filter { names.contains($0.value) }
        return copy
    }

    /// The method's name if `readable` ("distributed thunk Module.Type.method(…) …") is a member of exactly this type:
    /// a method of a type nested in it has a name that begins alike.
    static func memberName(_ readable: String, of type: String) -> String? {
        var rest = readable[...]
        guard rest.hasPrefix("distributed thunk ") else { return nil }
        rest = rest.dropFirst("distributed thunk ".count)
        if rest.hasPrefix("(extension in "), let end = rest.firstIndex(of: ":") { rest = rest[rest.index(after: end)...] }
        guard rest.hasPrefix(type + ".") else { return nil }
        rest = rest.dropFirst(type.count + 1)
        let name = rest.prefix { $0 != "(" && $0 != "<" && $0 != " " }
        if name.hasSuffix(".getter") { return plain(name.dropLast(".getter".count)) }
        return plain(name)
    }
    private static func plain(_ name: Substring) -> String? { name.isEmpty || name.contains(".") ? nil : String(name) }

    /// Every distributed method of the program, as mangled and as written.
    private static let all: [(mangled: String, readable: String)] = {
        let names = NameList()
        shim_each_distributed_target(Unmanaged.passUnretained(names).toOpaque()) { context, name in
            Unmanaged<NameList>.fromOpaque(context!).takeUnretainedValue().items.append(String(cString: name))
        }
        return names.items.compactMap { name in demangle(name).map { (name, $0) } }
    }()
    private final class NameList { var items: [String] = [] }

    private static func demangle(_ name: String) -> String? {
        var name = name
        return name.withUTF8 { utf8 -> String? in
            guard let text = utf8.withMemoryRebound(to: CChar.self, { shim_swift_demangle($0.baseAddress!, $0.count) }) else { return nil }
            defer { free(text) }
            return String(cString: text)
        }
    }
}
