import Primitives
import RTP
import Testing
@testable import Composition

@Suite struct LayoutTests {
    private static let pictures = [(640, 360), (854, 480), (960, 540), (1280, 720), (1600, 900), (1920, 1080)].map { VideoSize(width: $0.0, height: $0.1) }

    private func check(_ places: [Rectangle], in picture: VideoSize, _ what: String) {
        for (index, place) in places.enumerated() {
            #expect(Rectangle(picture).contains(place) && place.width > 0 && place.height > 0, "\(what): \(place) leaves the picture")
            #expect((place.x | place.y | place.width | place.height) & 1 == 0, "\(what): \(place) is odd")
            #expect(abs(place.width * 9 - place.height * 16) <= 48, "\(what): \(place) is not 16:9")
            for other in places[..<index] { #expect(!place.overlaps(other), "\(what): \(place) overlaps \(other)") }
        }
    }
    @Test(arguments: pictures) func tilesNeitherOverlapNorLeave(picture: VideoSize) {
        let arrangement = Arrangement(picture)
        for count in 0...40 {
            let grid = arrangement.grid(count)
            #expect(grid.count == min(count, 25) && Set(grid.map(\.size)).count == min(count, 1))
            check(grid, in: picture, "grid of \(count)")
        }
        for count in 0...40 {
            for (name, places) in [("speaker", arrangement.speaker(others: count)), ("sidebar", arrangement.sidebar(others: count)), ("screen", arrangement.screen(others: count))] {
                check([places.main] + places.others, in: picture, "\(name) with \(count)")
                #expect(places.others.count <= count && (count == 0 || places.others.count >= min(count, 3)))
                #expect(places.others.allSatisfy { $0.width * 2 < places.main.width }, "\(name): the large one is large")
            }
        }
    }
    @Test func peopleGetTheRoomThereIs() {
        let arrangement = Arrangement(VideoSize(width: 1280, height: 720))
        #expect(arrangement.grid(1) == [Rectangle(x: 0, y: 0, width: 1280, height: 720)])
        let two = arrangement.grid(2)
        #expect(two[0].y == two[1].y && two[0].width > 600)
        let three = arrangement.grid(3)
        #expect(abs(three[2].x - (1280 - three[2].width) / 2) <= 1, "the last row is centred")
        let least = [1: 900, 2: 110, 4: 200, 9: 200, 16: 200, 25: 200]
        for (count, thousandths) in least {
            let used = arrangement.grid(count).reduce(0) { $0 + $1.width * $1.height } * 1000 / (1280 * 720)
            #expect(used >= thousandths, "\(count): \(used)")
        }
    }
    /// Any picture in any tile: inside, even, its shape kept as far as even pixels allow, and touching two sides.
    @Test func picturesKeepTheirShape() {
        var random = SplitMix64(seed: 7)
        for _ in 0..<2_000 {
            let tile = Rectangle(x: Int(random.next() % 100) * 2, y: Int(random.next() % 100) * 2, width: 32 + Int(random.next() % 900) * 2, height: 32 + Int(random.next() % 500) * 2)
            let shape = VideoSize(width: 16 + Int(random.next() % 4_000), height: 16 + Int(random.next() % 2_000))
            let place = tile.fitting(shape)
            #expect(tile.contains(place) && (place.x | place.y | place.width | place.height) & 1 == 0 && place.width >= 2 && place.height >= 2)
            #expect(place.width == tile.width || place.height == tile.height)
            if place.width > 100, place.height > 100 {
                let wanted = Double(shape.width) / Double(shape.height), got = Double(place.width) / Double(place.height)
                #expect(abs(got / wanted - 1) < 0.025, "\(shape) became \(place)")
            }
        }
        #expect(Rectangle(x: 0, y: 0, width: 640, height: 360).fitting(VideoSize(width: 360, height: 640)) == Rectangle(x: 218, y: 0, width: 202, height: 360))
        #expect(Rectangle(x: 0, y: 0, width: 640, height: 360).fitting(VideoSize(width: 0, height: -3)).width > 0)
    }
}
