// SPDX-License-Identifier: Apache-2.0

/// What became of packets that fill a tunnel.
struct FullSizeRecord: Equatable {
    /// Probes from one of full size to the next.
    private static let every = 10
    /// Lost in a row until a tunnel counts as one that carries no large packets.
    private static let fall = 2

    private var lost = 0

    /// Whether large packets are lost while small ones pass.
    var areLost: Bool { lost >= Self.fall }

    /// Whether the probe of a number, counted from 1, is to have one: now and then, and with every
    /// probe while they are lost.
    func isDue(_ number: UInt16) -> Bool { lost > 0 || Int(number) % Self.every == 1 }

    /// Takes into account whether one got through; `nil` when small ones did not either, which says
    /// nothing.
    mutating func note(_ carried: Bool?) {
        guard let carried else { return }
        lost = carried ? 0 : lost + 1
    }
}
