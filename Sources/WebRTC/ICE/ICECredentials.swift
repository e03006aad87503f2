// User name fragment and password of one side (RFC 8445 §5.3, RFC 8839 §5.4).
package import Primitives

package struct ICECredentials: Hashable, Sendable {
    package enum Limits {
        /// Characters we draw. 8 of 6 bits tell our sessions apart and stay within a small `String`; 24 of 6 bits are 144 bits of secret.
        package static let fragmentLength = 8
        package static let passwordLength = 24
    }
    package let fragment: String
    package let password: String
    package init(fragment: String, password: String) { self.fragment = fragment; self.password = password }

    /// Fresh ones out of the 64 ice-chars.
    package static func random(_ random: any RandomSource) -> ICECredentials {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        func text(_ count: Int) -> String { String(decoding: random.bytes(count).map { alphabet[Int($0 & 63)] }, as: UTF8.self) }
        return ICECredentials(fragment: text(Limits.fragmentLength), password: text(Limits.passwordLength))
    }
}

/// Credentials with the password's HMAC state prepared.
struct KeyedCredentials {
    let fragment: String
    let key: HMACSHA1
    init(_ credentials: ICECredentials) {
        fragment = credentials.fragment
        key = HMACSHA1(key: Array(credentials.password.utf8))
    }
}
