// Where the database is and how to get in, as libpq reads it; never part of a topology or a log.
// https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING
internal import CPostgres

/// A PostgreSQL URL (or `keyword=value` line) whose form has been checked. It holds a password: it is not printable.
package struct PostgresURL: Sendable {
    package enum Mistake: Error, Equatable, Sendable {
        /// The line of the text, counted from 1, and what to write instead; never words of the text itself.
        case line(Int, String)
    }
    package static let example = "postgresql://troupe:PASSWORD@db.example.org:5432/troupe?sslmode=verify-full"

    private let options: [(name: String, value: String)]

    /// - Parameter text: the contents of a file: one line, and comments that begin with `#`.
    package init(_ text: String) throws(Mistake) {
        var found: (line: Int, text: Substring)?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0.isWhitespace }.reversed()
            if line.isEmpty || line.first == "#" { continue }
            if let found { throw .line(index + 1, "the URL stands in line \(found.line) already; one line is all") }
            found = (index + 1, Substring(String(line)))
        }
        guard let found else { throw .line(1, "no URL is here; write one line, for instance \(Self.example)") }
        // libpq's own words would quote the text, and with it perhaps the password.
        guard !found.text.utf8.contains(0), let parsed = PQconninfoParse(String(found.text), nil) else {
            throw .line(found.line, "this is not a PostgreSQL URL; write for instance \(Self.example) (characters such as `@` and `/` in a password as %40 and %2F)")
        }
        defer { PQconninfoFree(parsed) }
        var options: [(name: String, value: String)] = []
        var option = parsed
        while let name = option.pointee.keyword {
            if let value = option.pointee.val { options.append((String(cString: name), String(cString: value))) }
            option += 1
        }
        self.options = options
    }

    /// libpq's keywords and values for one attempt to connect. Of several hosts the one the attempt's number falls on comes first:
    /// libpq goes on to the next host after a refusal, not after a silence.
    func parameters(attempt: Int) -> [(name: String, value: String)] {
        let hosts = options.filter { ["host", "hostaddr"].contains($0.name) }.map { $0.value.split(separator: ",", omittingEmptySubsequences: false).count }.max() ?? 1
        let given = options.map { option -> (name: String, value: String) in
            guard ["host", "hostaddr", "port"].contains(option.name) else { return option }
            let parts = option.value.split(separator: ",", omittingEmptySubsequences: false)
            guard parts.count == hosts, hosts > 1 else { return option }
            return (option.name, (0..<hosts).map { String(parts[($0 + attempt) % hosts]) }.joined(separator: ","))
        }
        return Self.defaults.filter { fallback in !options.contains { $0.name == fallback.name } } + given + [("client_encoding", "UTF8")]
    }

    /// What holds where the URL does not say otherwise.
    private static let defaults: [(name: String, value: String)] = [
        ("fallback_application_name", "troupe"),
        // Kerberos would be asked, and waited for, first.
        ("gssencmode", "disable"),
        // A server that vanished is noticed by the system before an hour has passed.
        ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"), ("tcp_user_timeout", "5000"),
    ]
}
