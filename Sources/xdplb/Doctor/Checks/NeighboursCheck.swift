// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import DataPlane
internal import Foundation

/// Whether the kernel knows the way to each backend, and to clients.
struct NeighboursCheck: DoctorCheck {
    /// The way to a backend.
    struct Way: Equatable, Sendable {
        /// Names of backends.
        var names: [String]
        var address: IPAddress
        /// Where packets to it go at layer 2; `nil` without a route.
        var nextHop: IPAddress?
        /// Whether the hardware address of that is known.
        var isResolved: Bool
    }

    var interface: String
    var isUp: Bool
    var ways: [Way]
    /// The gateway of the default route of a family, and whether it is resolved.
    var gateways: [Way]
    /// Why nothing could be read.
    var failure: String?

    private static let check = "neighbours"

    var findings: [Finding] {
        if let failure {
            return [.fail(Self.check, failure, "no next hop can be found")]
        }
        guard isUp else {
            return [
                .fail(
                    Self.check, "\(interface) is down, or has no carrier", "nothing is forwarded",
                    Remedy("ip link set \(interface) up"))
            ]
        }
        let bad = (ways + gateways).compactMap(problem)
        guard bad.isEmpty else { return bad }
        let hops = Set(ways.compactMap(\.nextHop)).count
        let known =
            ways.isEmpty
            ? "no backends are configured" : "\(hops) next hop\(hops == 1 ? "" : "s") resolved"
        guard !ways.isEmpty else { return [.ok(Self.check, "\(interface): \(known)")] }
        let gateway =
            gateways.isEmpty
            ? "no default route: only clients of known networks are reached"
            : "default gateway \(gateways.map(\.address.description).joined(separator: ", "))"
        return [.ok(Self.check, "\(interface): \(known); \(gateway)")]
    }

    private func problem(_ way: Way) -> Finding? {
        let name = way.names.joined(separator: ", ")
        guard let nextHop = way.nextHop else {
            return .fail(
                Self.check, "\(name): no route to \(way.address) leaves by \(interface)",
                "it gets no connection",
                Remedy(words: "ip route add \(IPPrefix(way.address)) via GATEWAY dev \(interface)"))
        }
        guard !way.isResolved else { return nil }
        return .fail(
            Self.check, "\(name): next hop \(nextHop) does not answer on \(interface)",
            way.names == [Self.gateway]
                ? "clients beyond it are not reached" : "it gets no connection",
            Remedy(words: "see whether it is up, and in the same network: ping \(nextHop)"))
    }

    /// What the way to clients is called.
    fileprivate static let gateway = "default route"
}

extension NeighboursCheck {
    /// How long the kernel is given to resolve what it does not know yet: an attempt takes a
    /// second, and there are three.
    private static let patience = Duration.milliseconds(3500)

    init(reading subject: DoctorSubject) {
        interface = subject.name
        isUp = true
        ways = []
        gateways = []
        let observed = ObservedInterface(
            name: subject.name, vlan: subject.configuration.interface.vlan)
        do throws(ObservationError) {
            var state = try NetworkMonitor.read(observed)
            isUp = state.isUp
            let end = ContinuousClock.now + Self.patience
            repeat {
                ways = Self.ways(subject.configuration, state)
                gateways = Self.gateways(subject.configuration, state)
                let unresolved = (ways + gateways).filter { !$0.isResolved }.compactMap(\.nextHop)
                guard isUp, !unresolved.isEmpty else { return }
                try NetworkMonitor.resolve(unresolved, on: observed)
                usleep(100_000)
                state = try NetworkMonitor.read(observed)
            } while ContinuousClock.now < end
        } catch {
            failure = error.description
        }
    }

    private static func ways(_ configuration: Configuration, _ state: ObservedState) -> [Way] {
        var names: [IPAddress: [String]] = [:]
        for service in configuration.services {
            for backend in configuration.backends(of: service) where backend.adminState != .disabled
            {
                names[backend.address, default: []].append("\(service.name)/\(backend.name)")
            }
        }
        return names.sorted { $0.key < $1.key }.map { address, names in
            let fixed = configuration.interface.fixedNextHops.first {
                $0.family == address.family
            }
            let nextHop = fixed ?? state.nextHop(towards: address)
            return Way(
                names: names, address: address, nextHop: nextHop,
                isResolved: isResolved(nextHop, state))
        }
    }

    /// Those of the families that clients come with.
    private static func gateways(_ configuration: Configuration, _ state: ObservedState) -> [Way] {
        let families = Set(configuration.services.flatMap { $0.vips.map(\.family) })
        let defaults = state.routes
            .filter { $0.prefix.length == 0 && families.contains($0.prefix.family) }
            .compactMap(\.gateway)
        return Set(defaults).sorted().map {
            Way(names: [gateway], address: $0, nextHop: $0, isResolved: isResolved($0, state))
        }
    }

    private static func isResolved(_ nextHop: IPAddress?, _ state: ObservedState) -> Bool {
        nextHop.flatMap { state.neighbours[$0]?.mac } != nil
    }
}
