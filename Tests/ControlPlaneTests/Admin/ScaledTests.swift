// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import ControlPlane

/// Numbers as people read them.
@Suite struct ScaledTests {
    @Test(arguments: [
        (0, "0"), (0.4, "0"), (999, "999"), (999.4, "999"), (1000, "1.00 k"), (9994, "9.99 k"),
        (9996, "10.0 k"), (99_960, "100 k"), (999_499, "999 k"), (999_500, "1.00 M"),
        (3_910_000, "3.91 M"), (14.8e9, "14.8 G"), (2e12, "2000 G"),
    ])
    func `a number has three digits and a unit`(value: Double, text: String) {
        #expect(Scaled.rounded(value) == text)
    }

    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1 000"), (12_345, "12 345"), (1_234_567, "1 234 567"),
    ])
    func `a count has all its digits in groups`(count: UInt64, text: String) {
        #expect(Scaled.grouped(count) == text.replacing(" ", with: "\u{202f}"))
    }

    @Test func `a time is told from another one of a document`() {
        #expect(Scaled.since("2026-11-23T06:48:00Z", at: "2026-11-23T06:50:10Z") == "2m 10s")
        #expect(Scaled.since("2026-11-23T06:50:10Z", at: "2026-11-23T06:48:00Z") == "0.0s")
        #expect(Scaled.since("yesterday") == "?")
    }
}
