// What is in the picture at one moment: the planner's state between two changes.
internal import Primitives

/// People and tracks by their index in the scene. Changes go in, tiles and sounds come out.
struct Stage {
    enum Change {
        case present(person: Int, Bool)
        case live(track: Int, Bool)
        case turned(track: Int, degrees: Int)
        case speaks(person: Int)
        case edit(CompositionState.Action)
    }
    /// What a tile shows.
    private enum Subject: Equatable {
        case person(Int)
        case screen(track: Int)
    }
    private let tracks: [RenderPlan.Source]
    private let arrangement: Arrangement
    private let picture: Rectangle
    private let indices: [ParticipantID: Int]
    /// By track: what it adds to the mix; nil where it is silent all the time.
    private let gains: [Int?]

    private var layout: CompositionLayout
    /// All sorted by index, but for `pins`: the latest last.
    private var people: [Int] = []
    private var cameras: [Int] = []
    private var screens: [Int] = []
    private var microphones: [Int] = []
    private var rotations: [Int: Int] = [:]
    private var pins: [Int] = []
    private var muted: Set<Int> = []
    private var hidden: Set<Int> = []
    private var speaker: Int?

    init(_ state: CompositionState, _ scene: RecordedScene) {
        tracks = scene.tracks.map(\.source)
        arrangement = Arrangement(state.export.size)
        picture = Rectangle(state.export.size)
        indices = Dictionary(scene.people.enumerated().map { ($0.element.id, $0.offset) }, uniquingKeysWith: { first, _ in first })
        layout = state.layout
        let wishes = Dictionary(state.tracks.map { ($0.peer, $0) }, uniquingKeysWith: { _, last in last })
        gains = scene.tracks.map { track in
            guard let wish = wishes[scene.people[track.source.person].id] else { return 0 }
            return wish.isMuted ? nil : wish.gain
        }
    }

    mutating func apply(_ change: Change) {
        switch change {
        case .present(let person, let isPresent): Self.set(person, isPresent, in: &people)
        case .live(let track, let isLive):
            switch (tracks[track].kind, tracks[track].isScreen) {
            case (.audio, _): Self.set(track, isLive, in: &microphones)
            case (.video, true): Self.set(track, isLive, in: &screens)
            case (.video, false): Self.set(track, isLive, in: &cameras)
            }
        case .turned(let track, let degrees): rotations[track] = degrees
        case .speaks(let person): speaker = person
        case .edit(let action): edit(action)
        }
    }
    private mutating func edit(_ action: CompositionState.Action) {
        if case .layout(let wanted) = action { layout = wanted }
        if case .unpin(nil) = action { pins = [] }
        // Somebody who never sent anything is in no picture.
        guard let person = action.peer.flatMap({ indices[$0] }) else { return }
        switch action {
        case .pin:
            pins.removeAll { $0 == person }
            pins.append(person)
        case .unpin: pins.removeAll { $0 == person }
        case .mute: muted.insert(person)
        case .unmute: muted.remove(person)
        case .hide: hidden.insert(person)
        case .show: hidden.remove(person)
        case .layout, .cut, .chapter: break
        }
    }
    private static func set(_ index: Int, _ isIn: Bool, in list: inout [Int]) {
        let at = list.firstIndex { $0 >= index } ?? list.count
        let isThere = at < list.count && list[at] == index
        if isIn, !isThere { list.insert(index, at: at) }
        if !isIn, isThere { list.remove(at: at) }
    }

    // MARK: - What is seen and heard

    var sounds: [RenderPlan.Sound] {
        microphones.compactMap { track in
            guard let gain = gains[track], !muted.contains(tracks[track].person) else { return nil }
            return RenderPlan.Sound(source: track, gain: gain)
        }
    }

    func tiles() -> [RenderPlan.Tile] {
        let seen = people.filter { !hidden.contains($0) }
        let shared = screens.filter { !hidden.contains(tracks[$0].person) }
        let pinned = pins.last { seen.contains($0) }
        if layout == .grid, pinned == nil, shared.isEmpty {
            let kept = chosen(seen.map { .person($0) }, Arrangement.Limits.tiles)
            return zip(kept, arrangement.grid(kept.count)).map(tile)
        }
        guard let large = large(seen, shared, pinned) else { return [] }
        if layout == .single { return [tile(large, picture)] }
        let others = shared.map { Subject.screen(track: $0) }.filter { $0 != large } + seen.map { .person($0) }.filter { $0 != large }
        let places = switch layout {
        case .speaker: arrangement.speaker(others: others.count)
        case .sidebar: arrangement.sidebar(others: others.count)
        case .grid, .single: arrangement.screen(others: others.count)
        }
        return [tile(large, places.main)] + zip(chosen(others, places.others.count), places.others).map(tile)
    }
    /// The pinned person (their screen before their face), a shared screen (the latest), who speaks, or whoever came first.
    private func large(_ seen: [Int], _ shared: [Int], _ pinned: Int?) -> Subject? {
        if let pinned { return shared.last { tracks[$0].person == pinned }.map { .screen(track: $0) } ?? .person(pinned) }
        if let screen = shared.max(by: { start($0) < start($1) }) { return .screen(track: screen) }
        if let speaker, seen.contains(speaker) { return .person(speaker) }
        return seen.first.map { .person($0) }
    }
    private func start(_ track: Int) -> Int64 { tracks[track].pieces.first?.range.lowerBound ?? 0 }

    /// The first `count`; who speaks is among them.
    private func chosen(_ subjects: [Subject], _ count: Int) -> [Subject] {
        var kept = Array(subjects.prefix(count))
        if let speaker, count > 0, subjects.count > count, subjects.contains(.person(speaker)), !kept.contains(.person(speaker)) { kept[count - 1] = .person(speaker) }
        return kept
    }
    private func tile(_ subject: Subject, _ place: Rectangle) -> RenderPlan.Tile {
        switch subject {
        case .screen(let track): RenderPlan.Tile(person: tracks[track].person, source: track, place: place, rotation: rotations[track] ?? 0)
        case .person(let person):
            // Of several cameras the one that began last.
            if let camera = cameras.filter({ tracks[$0].person == person }).max(by: { start($0) < start($1) }) {
                RenderPlan.Tile(person: person, source: camera, place: place, rotation: rotations[camera] ?? 0)
            } else {
                RenderPlan.Tile(person: person, source: nil, place: place)
            }
        }
    }
}
