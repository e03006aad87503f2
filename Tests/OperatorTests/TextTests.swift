import Testing

@testable import Operator

@Suite struct Widths {
    @Test(arguments: [
        ("", 0), ("Ada", 3), ("Zoë", 3), ("Zoe\u{308}", 3), ("日本語", 6), ("한국", 4), ("🎥", 2), ("👩‍👩‍👧", 2), ("❤️", 2), ("❤", 1), ("Ａ", 2), ("ﾊ", 1), ("–…·", 3), ("\u{200B}", 0),
    ])
    func areThoseOfATerminal(text: String, columns: Int) { #expect(DisplayText.width(text) == columns) }

    @Test(arguments: [
        ("Weekly stand-up", 20, "Weekly stand-up"), ("Weekly stand-up", 15, "Weekly stand-up"), ("Weekly stand-up", 10, "Weekly st…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("ab", 1, "…"), ("ab", 0, ""),
    ])
    func cuttingKeepsWithin(text: String, columns: Int, cut: String) {
        #expect(DisplayText.cut(text, to: columns) == cut)
        #expect(DisplayText.width(DisplayText.cut(text, to: columns)) <= columns)
    }

    @Test func nothingATerminalWouldObeyIsShown() {
        #expect(DisplayText.safe("a\u{1B}[31mred\u{7}") == "a\u{FFFD}[31mred\u{FFFD}")
        #expect(DisplayText.safe("two\nlines\tand a tab") == "two lines and a tab")
        #expect(DisplayText.safe("ab\u{202E}cd\u{2066}") == "ab\u{FFFD}cd\u{FFFD}")
        #expect(DisplayText.safe("\u{9B}2J") == "\u{FFFD}2J")
        #expect(DisplayText.safe("Zoë 👩‍👩‍👧 日本") == "Zoë 👩‍👩‍👧 日本")
    }
}

@Suite struct Tables {
    private func table(_ rows: [[String?]]) -> TextTable {
        var table = TextTable([.left("NAME"), .right("ROOMS"), .flexible("TITLE")])
        for row in rows { table.add(row) }
        return table
    }
    @Test func columnsStandBelowEachOther() {
        #expect(table([["日本", "7", "Zoë's room"], ["b", nil, "x"], ["node-10", "1234567", ""]]).text() == """
            NAME       ROOMS  TITLE
            日本           7  Zoë's room
            b              –  x
            node-10  1234567

            """)
    }
    @Test func aTableIsNeverWiderThanItsTerminal() {
        let title = "A very long title that nobody would want to see wrapped around"
        let text = table([["n1", "1", title], ["n2", "22", "短い題名ですがそれでも長い題名と言えます"]]).text(terminal: 40)
        for line in text.split(separator: "\n") { #expect(DisplayText.width(String(line)) <= 40, "\(line)") }
        #expect(text.contains("…"))
        #expect(!table([["n1", "1", title]]).text().contains("…"))
    }
    @Test func whatCannotBeCutIsNotCut() {
        let text = table([["a-node-with-a-long-name", "1", "title of the room"]]).text(terminal: 10)
        #expect(text.contains("a-node-with-a-long-name") && text.contains("title of th…"))
    }
    @Test func controlCharactersDoNotReachTheTerminal() { #expect(!table([["n", "1", "\u{1B}[2J\u{1B}]0;owned\u{7}"]]).text().unicodeScalars.contains("\u{1B}")) }
}

@Suite struct Quantities {
    @Test(arguments: [
        ("60", 60_000), ("60s", 60_000), ("500ms", 500), ("1m30s", 90_000), ("1.5h", 5_400_000), ("2d", 172_800_000), ("1h30m10s5ms", 5_410_005), ("0", 0), ("0.25", 250), ("365d", 31_536_000_000),
    ] as [(String, Int64)])
    func spansAreRead(text: String, milliseconds: Int64) { #expect(SpanText.parse(text) == .milliseconds(milliseconds)) }

    @Test(arguments: ["", "s", "-5s", "5x", "30s1m", "1m1m", "1,5s", "5 s", "1e3", "NaN", "inf", "366d", "1..5s", ".5s", "٣s", "99999999999999999999d", "5sm"])
    func otherTextIsNone(text: String) { #expect(SpanText.parse(text) == nil) }

    @Test(arguments: [(0.0004, "0ms"), (0.85, "850ms"), (12.9, "12s"), (60, "1m"), (310, "5m 10s"), (3600, "1h"), (183_600, "2d 3h"), (172_805, "2d"), (-5, "-5s"), (.infinity, "–")] as [(Double, String)])
    func spansAreShort(seconds: Double, text: String) { #expect(SpanText.short(seconds: seconds) == text) }

    @Test func amountsHaveUnits() {
        #expect(AmountText.count(999) == "999" && AmountText.count(1234) == "1.2k" && AmountText.count(34_000_000) == "34.0M")
        #expect(AmountText.bytes(1023) == "1023 B" && AmountText.bytes(1536) == "1.5 KiB" && AmountText.bytes(3 << 30) == "3.0 GiB")
        #expect(AmountText.bits(bytesPerSecond: 125_000) == "1.0 Mbit/s" && AmountText.percent(0.0123, 2) == "1.23 %")
        #expect(AmountText.fixed(-0.04, 1) == "0.0" && AmountText.fixed(-1.25, 1) == "-1.3" && AmountText.fixed(1.999, 2) == "2.00" && AmountText.fixed(.nan, 1) == "–")
    }
}
