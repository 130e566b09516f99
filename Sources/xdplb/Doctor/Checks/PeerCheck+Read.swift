// SPDX-License-Identifier: Apache-2.0
internal import ControlPlane
internal import Foundation
internal import Netlink
internal import XSKRing

extension PeerCheck {
    init(reading subject: DoctorSubject) {
        interface = subject.name
        driver = subject.interface.driver
        peer = driver == "veth" ? Self.peer(of: subject.name) : .none
    }

    private static func peer(of interface: String) -> Peer {
        guard var socket = try? NetlinkSocket(for: .requests), let links = try? socket.links(),
            let link = links.first(where: { $0.name == interface }), let index = link.parent
        else { return .hidden }
        guard let number = link.parentNamespace else {
            return links.first { $0.index == index }.flatMap { OffloadFacts(interface: $0.name) }
                .map { .read($0, prefix: "") } ?? .hidden
        }
        for place in places where identifier(of: place.path, &socket) == number {
            if let offloads = OffloadFacts(index: index, namespace: place.path) {
                return .read(offloads, prefix: place.prefix)
            }
        }
        return .hidden
    }

    /// Network namespaces that can be seen, and how a command is run there: those with a name,
    /// and those of processes.
    private static var places: [(path: String, prefix: String)] {
        let named = KernelText.names(in: "/run/netns")
            .map { (path: "/run/netns/\($0)", prefix: "ip netns exec \($0) ") }
        let numbered = KernelText.names(in: "/proc").filter { Int($0) != nil }
            .map { (path: "/proc/\($0)/ns/net", prefix: "nsenter --net=/proc/\($0)/ns/net ") }
        return named + numbered
    }

    private static func identifier(of path: String, _ socket: inout NetlinkSocket) -> Int? {
        guard let handle = FileHandle(forReadingAtPath: path) else { return nil }
        defer { try? handle.close() }
        return (try? socket.namespaceIdentifier(of: handle.fileDescriptor)) ?? nil
    }
}
