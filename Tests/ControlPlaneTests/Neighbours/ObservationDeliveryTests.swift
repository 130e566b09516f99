// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Testing

@testable import ControlPlane

/// When an observation is delivered.
@Suite struct ObservationDeliveryTests {
    private static func state(mtu: Int) -> ObservedState {
        ObservedState(
            mac: .zero, mtu: mtu, isUp: true, addresses: [], routes: [], neighbours: [:])
    }

    private let now = ContinuousClock.now

    @Test func `what is known already is not delivered`() {
        let delivery = ObservationDelivery(Self.state(mtu: 1500))
        #expect(!delivery.isDue(Self.state(mtu: 1500), at: now))
        #expect(delivery.isDue(Self.state(mtu: 1400), at: now))
    }

    @Test func `what was taken is not delivered again`() {
        var delivery = ObservationDelivery(Self.state(mtu: 1500))
        delivery.note(Self.state(mtu: 1400), isTaken: true, at: now)
        #expect(!delivery.isDue(Self.state(mtu: 1400), at: now + .seconds(3600)))
    }

    @Test func `what was refused is delivered again after a while, and news at once`() {
        var delivery = ObservationDelivery(Self.state(mtu: 1500))
        delivery.note(Self.state(mtu: 1400), isTaken: false, at: now)
        #expect(!delivery.isDue(Self.state(mtu: 1400), at: now))
        #expect(delivery.isDue(Self.state(mtu: 1300), at: now))
        let later = now + ObservationDelivery.retryInterval
        #expect(delivery.isRetryDue(at: later) && delivery.isDue(Self.state(mtu: 1400), at: later))
        delivery.note(Self.state(mtu: 1400), isTaken: true, at: later)
        #expect(!delivery.isRetryDue(at: later + .seconds(3600)))
    }
}
