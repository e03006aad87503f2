// What editors save: `PUT /recordings/{id}/composition`.
internal import Composition
internal import Primitives

extension FuzzTarget {
    /// What is read is written, read again the same, checked against a recording and never traps.
    static let composition = FuzzTarget("composition", longest: 8_192) {
        [
            #"{"layout":"grid","timeline":[{"t":0,"type":"layout","layout":"speaker"},{"t":5,"type":"pin","peer_id":"ann","until":9},{"t":9,"type":"unpin"}]}"#,
            #"{"timeline":[{"t":1,"type":"cut","until":2},{"t":1,"type":"mute","peer_id":"bob"},{"t":3,"type":"chapter","title":"Q"}],"export":{"resolution":"1920x1080","fps":60}}"#,
            #"{"tracks":[{"peer_id":"ann","muted":true,"gain_db":-3.25,"denoise":true}],"export":{"resolution":360}}"#,
        ].map { Array($0.utf8) }
    } run: { bytes in
        guard let state = try? CompositionState.read(Array(bytes)) else { return }
        check((try? CompositionState.read(state.json.bytes)) == state, "what was written is read")
        _ = try? state.validate(against: CompositionSubject(peers: ["ann", "bob"], duration: 10_000))
    }
}
