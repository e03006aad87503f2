// How patient the failure detector is, and how much it remembers.

extension Membership {
    /// Defaults for nodes of one machine or one site. Links over long ways need larger times: `acknowledgement` above the
    /// worst round trip, `lossShortest` above three of them (a link is made anew in three).
    package struct Timing: Sendable, Equatable {
        /// One member is probed each time, all of them in a round.
        package var probe = Duration.milliseconds(100)
        /// How long an answer may take; as long again by way of others.
        package var acknowledgement = Duration.milliseconds(150)
        /// Others asked to probe for us, and confirmations that shorten a suspicion to the shortest.
        package var indirect = 3
        /// A member that does not answer is suspect for so long before this node votes it down: the shortest once
        /// `indirect` others confirm, the longest while nobody does.
        package var silenceShortest = Duration.milliseconds(500)
        package var silenceLongest = Duration.seconds(2)
        /// The same where the link to it broke and was not made anew.
        package var lossShortest = Duration.milliseconds(250)
        package var lossLongest = Duration.seconds(1)
        /// A timer this late is our own stall: everyone gets that time again.
        package var late = Duration.milliseconds(50)
        package var gossip = Duration.milliseconds(20)
        package var fanout = 4
        /// Between two exchanges of everything with one other member.
        package var sync = Duration.seconds(5)
        /// A node that meets nobody is up alone after this.
        package var lonely = Duration.milliseconds(300)
        /// How long a complaint holds unless repeated.
        package var complaint = Duration.seconds(3)
        package init() {}
    }

    package enum Limits {
        package static let members = 256
        /// Lives whose death, with its votes, is remembered; of older ones only the incarnation.
        package static let graves = 256
        /// Names whose last dead incarnation is remembered.
        package static let deadNames = 2048
        /// Probes under way, those for others included.
        package static let probes = 1024
        /// Others that wait for one probe.
        package static let requesters = 64
        /// Rumors with a ping or its answer, and alone. Bytes, about.
        package static let piggyback = 2048
        package static let gossip = 16_384
        package static let sync = 512 << 10
        /// A rumor is sent so often times the logarithm of the cluster's size.
        package static let lambda = 3
        package static let rumors = 2048
    }
}

/// Lifeguard's local health (Dadgar, Phillips, Currey 2017): whoever misses answers may be the slow one itself, and gives
/// the others more time.
package struct LocalHealth: Sendable, Equatable {
    package enum Limits { package static let most = 4 }
    package private(set) var score = 0
    package mutating func worse(by count: Int = 1) { score = min(Limits.most, score + count) }
    package mutating func better() { score = max(0, score - 1) }
    package func scaled(_ time: Duration) -> Duration { time * (score + 1) }
}
