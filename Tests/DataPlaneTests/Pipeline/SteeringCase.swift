// SPDX-License-Identifier: Apache-2.0
import DataPlane
import TestSupport
import Testing

/// A frame, and whether it is ours.
struct SteeringCase: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var isOurs: Bool
    var frame: [UInt8]

    /// A case whose frame is a TCP SYN from 10.0.0.9 to 40.1.1.1:80 but for `change`.
    static func frame(
        _ sentence: String, ours: Bool, _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> Self {
        Self(
            testDescription: sentence, isOurs: ours, frame: PacketBuilder().with(change).frame)
    }

    /// The same of both families.
    static func frames(
        _ sentence: String, ours: Bool, to destination: (ipv4: String, ipv6: String),
        from source: (ipv4: String, ipv6: String) = ("10.0.0.9", "2001:db8:9::9"),
        _ change: (inout PacketBuilder) -> Void = { _ in }
    ) -> [Self] {
        [(source.ipv4, destination.ipv4), (source.ipv6, destination.ipv6)].map { from, to in
            frame("\(sentence) (\(from) > \(to))", ours: ours) {
                ($0.source, $0.destination) = (from, to)
                change(&$0)
            }
        }
    }

    /// One list of several: as a long sum the compiler would take its time for it.
    static func all(_ lists: [[Self]]) -> [Self] { lists.flatMap(\.self) }

    static let dsrVIPs = ("40.1.1.1", "2001:db8:40::1")
    static let snatVIPs = ("40.1.1.2", "2001:db8:40::2")
    static let strangers = ("40.9.9.9", "2001:db8:99::9")
    static let pool = ("20.1.1.2", "2001:db8:20::2")
    static let snatBackends = ("20.1.1.20", "2001:db8:20::20")
    static let dsrBackends = ("20.1.1.10", "2001:db8:20::10")

    /// Two VIPs with one port each, and 40.8.0.0/16:8000-8099/tcp around 40.8.1.1:any/udp.
    static let plan: ForwardingPlan = {
        var plan = PlanFixture.mixedPlan()
        plan.services[0].keys += [
            "40.8.0.0/16:8000-8099/tcp", "40.8.1.1:any/udp", "[2001:db8:48::/48]:any/tcp",
        ].compactMap(ServiceKey.init)
        return plan
    }()

    static func isOurs(_ frame: [UInt8], _ plan: ForwardingPlan) -> Bool {
        let snapshot = ForwardingSnapshot(plan)
        let answer = unsafe frame.withUnsafeBytes { unsafe Steering.decide($0, with: snapshot) }
        return answer == .redirect
    }

    /// The same with one byte of the frame changed.
    func changing(_ offset: Int, to byte: UInt8) -> Self {
        var copy = self
        copy.frame[offset] = byte
        return copy
    }
}
