// What `troupe keys` makes and a starting node reads: the CA, each node's certificate, the API keys.
package import Configuration
package import Primitives

/// The PEM texts a node's TLS is made of.
package struct NodeCertificates: Sendable, Equatable {
    package var authority: [UInt8]
    package var certificate: [UInt8]
    package var key: [UInt8]
}

package enum ClusterKeys {
    /// The name in the certificate that `troupectl` connects with.
    package static let operatorName = "operator:admin"

    /// Makes whatever of a topology's keys is missing, ends soon or no longer fits, and leaves the rest alone.
    /// - Returns: one line for each thing that was made.
    package static func ensure(_ topology: Topology, now: WallTime, random: any RandomSource) throws -> [String] {
        var made: [String] = []
        let paths = CertificatePaths(folder: topology.caFolder)
        let authority = try authority(paths, now: now, made: &made)
        for node in topology.nodes { try ensure(node, authority, paths, now: now, made: &made) }
        try ensureOperator(authority, paths, now: now, made: &made)
        if try PrivateFile.read(topology.keysFile) == nil {
            try PrivateFile.write(Array(KeysFile.create(random: random).text.utf8), to: topology.keysFile)
            made.append("API keys: \(topology.keysFile)")
        }
        _ = try KeysFile.load(path: topology.keysFile)
        return made
    }

    /// A node's certificates, or what to do to have them.
    package static func certificates(of node: NodeName, in topology: Topology) throws(FileError) -> NodeCertificates {
        let paths = CertificatePaths(folder: topology.caFolder)
        func read(_ path: String) throws(FileError) -> [UInt8] {
            guard let bytes = try PrivateFile.read(path) else { throw FileError("\(path) is not there; run `troupe keys --topology FILE` to make it") }
            return bytes
        }
        try PrivateFile.requirePrivate(paths.key(node))
        return NodeCertificates(authority: try read(paths.authority), certificate: try read(paths.certificate(node)), key: try read(paths.key(node)))
    }

    private static func authority(_ paths: CertificatePaths, now: WallTime, made: inout [String]) throws -> CertificateAuthority {
        let certificate = try PrivateFile.read(paths.authority), key = try PrivateFile.read(paths.authorityKey)
        switch (certificate, key) {
        case (let certificate?, let key?):
            return try CertificateAuthority.read(certificate: certificate, key: key)
        case (nil, nil):
            let authority = try CertificateAuthority.create(now: now)
            let pem = try authority.pem()
            try PrivateFile.write(pem.key, to: paths.authorityKey)
            try PrivateFile.write(pem.certificate, to: paths.authority, permissions: 0o644)
            made.append("cluster CA: \(paths.authority)")
            return authority
        default:
            let missing = certificate == nil ? paths.authority : paths.authorityKey
            throw FileError("\(missing) is missing while its counterpart is there; put it back, or remove the folder \(paths.folder) and run `troupe keys` again, then restart every node")
        }
    }

    private static func ensure(_ node: TopologyNode, _ authority: CertificateAuthority, _ paths: CertificatePaths, now: WallTime, made: inout [String]) throws {
        let hosts = [node.host] + node.announced
        if let pem = try PrivateFile.read(paths.certificate(node.name)), let key = try PrivateFile.read(paths.key(node.name)),
            authority.objection(to: pem, key: key, of: node.name, hosts: hosts, now: now) == nil { return }
        let issued = try authority.issue(node.name, hosts: hosts, now: now)
        try PrivateFile.write(issued.key, to: paths.key(node.name))
        try PrivateFile.write(issued.certificate, to: paths.certificate(node.name), permissions: 0o644)
        made.append("certificate of \(node.name): \(paths.certificate(node.name))")
    }
    private static func ensureOperator(_ authority: CertificateAuthority, _ paths: CertificatePaths, now: WallTime, made: inout [String]) throws {
        if let pem = try PrivateFile.read(paths.operatorCertificate), let key = try PrivateFile.read(paths.operatorKey),
            authority.objection(to: pem, key: key, operator: operatorName, now: now) == nil { return }
        let issued = try authority.issue(operator: operatorName, now: now)
        try PrivateFile.write(issued.key, to: paths.operatorKey)
        try PrivateFile.write(issued.certificate, to: paths.operatorCertificate, permissions: 0o644)
        made.append("operator's certificate: \(paths.operatorCertificate)")
    }
}
