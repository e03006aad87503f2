// The cluster's own certificate authority: one key that signs every node's certificate (RFC 5280).
internal import COpenSSL
package import Primitives

/// Signs certificates for nodes. Links between nodes trust it alone; browsers and curl are told to trust it for HTTPS.
package final class CertificateAuthority {
    package enum Limits {
        package static let authorityDays: Int64 = 3_650
        package static let nodeDays: Int64 = 820
        /// A node certificate that ends sooner is made anew.
        package static let renewBeforeDays: Int64 = 30
        /// Clocks of machines differ.
        package static let backdatedSeconds: Int64 = 3_600
        /// Bytes of a serial number (RFC 5280 §4.1.2.2: at most 20, positive).
        package static let serialBytes = 16
    }
    let certificate: Certificate
    let key: PrivateKey

    private init(certificate: Certificate, key: PrivateKey) { self.certificate = certificate; self.key = key }

    /// Makes a new authority, with a name of its own so that two clusters' are told apart.
    package static func create(now: WallTime) throws(CertificateError) -> CertificateAuthority {
        let key = try PrivateKey.generate()
        var mark = [UInt8](repeating: 0, count: 4)
        guard RAND_bytes(&mark, Int32(mark.count)) == 1 else { throw .library("drawing random bytes") }
        let name = "Troupe cluster CA " + mark.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let certificate = try make(
            subject: name, key: key, issuer: nil, signer: key, now: now, days: Limits.authorityDays,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"),
            ])
        return CertificateAuthority(certificate: certificate, key: key)
    }

    package static func read(certificate: [UInt8], key: [UInt8]) throws(CertificateError) -> CertificateAuthority {
        let authority = CertificateAuthority(certificate: try .read(pem: certificate), key: try .read(pem: key))
        guard authority.certificate.belongs(to: authority.key) else { throw CertificateError("the authority's certificate and key do not belong together") }
        return authority
    }
    package func pem() throws(CertificateError) -> (certificate: [UInt8], key: [UInt8]) { (try certificate.pem(), try key.pem()) }

    /// A key and certificate for one node, for both ends of TLS: its links and its HTTPS.
    package func issue(_ name: NodeName, hosts: [String], now: WallTime) throws(CertificateError) -> (certificate: [UInt8], key: [UInt8]) {
        try issue(subject: name.rawValue, names: Self.names(name, hosts), usage: "serverAuth,clientAuth", now: now)
    }
    /// A key and certificate for an operator's client: it names the operator (`operator:…`, which no node can be called) and no host.
    package func issue(operator name: String, now: WallTime) throws(CertificateError) -> (certificate: [UInt8], key: [UInt8]) {
        try issue(subject: name, names: [name], usage: "clientAuth", now: now)
    }
    private func issue(subject: String, names: [String], usage: String, now: WallTime) throws(CertificateError) -> (certificate: [UInt8], key: [UInt8]) {
        let newKey = try PrivateKey.generate()
        let alternatives = names.map { SocketAddress(host: $0, port: 0) == nil ? "DNS:\($0)" : "IP:\($0)" }
        let made = try Self.make(
            subject: subject, key: newKey, issuer: certificate, signer: key, now: now, days: Limits.nodeDays,
            extensions: [
                (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
                (NID_ext_key_usage, usage), (NID_subject_alt_name, alternatives.joined(separator: ",")),
                (NID_subject_key_identifier, "hash"), (NID_authority_key_identifier, "keyid"),
            ])
        return (try made.pem(), try newKey.pem())
    }

    /// Why a node's certificate must be made anew; nil when it serves on.
    package func objection(to pem: [UInt8], key keyPEM: [UInt8], of name: NodeName, hosts: [String], now: WallTime) -> String? {
        objection(to: pem, key: keyPEM, names: Self.names(name, hosts), now: now)
    }
    /// The same of an operator's.
    package func objection(to pem: [UInt8], key keyPEM: [UInt8], operator name: String, now: WallTime) -> String? {
        objection(to: pem, key: keyPEM, names: [name], now: now)
    }
    private func objection(to pem: [UInt8], key keyPEM: [UInt8], names: [String], now: WallTime) -> String? {
        guard let found = try? Certificate.read(pem: pem), let foundKey = try? PrivateKey.read(pem: keyPEM) else { return "it cannot be read" }
        if !found.belongs(to: foundKey) { return "it does not belong to its key" }
        if !found.isSigned(by: certificate) { return "another authority signed it" }
        if !found.isValid(from: now, to: now + .seconds(Limits.renewBeforeDays * 86_400)) { return "it ends within \(Limits.renewBeforeDays) days" }
        if let missing = names.first(where: { !found.names($0) }) { return "it does not name \(missing)" }
        return nil
    }

    /// The node's own name first, then every host it is reached by, and loopback.
    private static func names(_ name: NodeName, _ hosts: [String]) -> [String] {
        var names: [String] = []
        for candidate in [name.rawValue] + hosts + ["localhost", "127.0.0.1", "::1"] where !names.contains(candidate) { names.append(candidate) }
        return names
    }

    // MARK: Making one

    private static func make(
        subject: String, key: PrivateKey, issuer: Certificate?, signer: PrivateKey, now: WallTime, days: Int64, extensions: [(Int32, String)]
    ) throws(CertificateError) -> Certificate {
        guard let pointer = X509_new() else { throw .library("allocating a certificate") }
        let made = Certificate(pointer)
        guard X509_set_version(pointer, 2) == 1, setSerial(pointer),
            ASN1_TIME_set(X509_getm_notBefore(pointer), time_t(now.seconds - Limits.backdatedSeconds)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(pointer), time_t(now.seconds + days * 86_400)) != nil,
            X509_set_pubkey(pointer, key.pointer) == 1,
            let name = X509_get_subject_name(pointer),
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, subject, -1, -1, 0) == 1,
            X509_set_issuer_name(pointer, issuer.map { X509_get_subject_name($0.pointer) } ?? name) == 1
        else { throw .library("filling a certificate") }
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer?.pointer ?? pointer, pointer, nil, nil, 0)
        for (kind, value) in extensions {
            guard let made = X509V3_EXT_nconf_nid(nil, &context, kind, value) else { throw .library("the extension \(value)") }
            defer { X509_EXTENSION_free(made) }
            guard X509_add_ext(pointer, made, -1) == 1 else { throw .library("adding the extension \(value)") }
        }
        guard X509_sign(pointer, signer.pointer, EVP_sha256()) > 0 else { throw .library("signing a certificate") }
        return made
    }

    private static func setSerial(_ certificate: OpaquePointer) -> Bool {
        var serial = [UInt8](repeating: 0, count: Limits.serialBytes)
        guard RAND_bytes(&serial, Int32(serial.count)) == 1 else { return false }
        serial[0] = serial[0] & 0x7F | 0x40
        guard let number = BN_bin2bn(serial, Int32(serial.count), nil) else { return false }
        defer { BN_free(number) }
        return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil
    }
}
