// Where the cluster's certificates lie.
package import Primitives

/// `ca.pem` may be handed out, `ca.key` is needed by `troupe keys` only, the operator's pair by `troupectl`.
package struct CertificatePaths: Sendable, Equatable {
    package let folder: String
    package init(folder: String) { self.folder = folder }
    package var authority: String { "\(folder)/ca.pem" }
    package var authorityKey: String { "\(folder)/ca.key" }
    package func certificate(_ node: NodeName) -> String { "\(folder)/nodes/\(node).pem" }
    package func key(_ node: NodeName) -> String { "\(folder)/nodes/\(node).key" }
    package var operatorCertificate: String { "\(folder)/operator.pem" }
    package var operatorKey: String { "\(folder)/operator.key" }
}
