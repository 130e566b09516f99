// SPDX-License-Identifier: Apache-2.0
import DataPlane
import Foundation
import TestSupport

/// A file of the conformance vectors, as far as steering depends on it.
struct SteeringVectors: Decodable {
    let configs: [String: Configuration]
    private let cases: [Case]

    private struct Case: Decodable {
        let config: String
        let steps: [Step]
    }

    private struct Step: Decodable {
        /// In hexadecimal; `nil` for what is no frame.
        let `in`: String?
    }

    /// The vectors' neutral configuration, as far as steering depends on it.
    struct Configuration: Decodable {
        let interface: Interface
        let icmpEchoReply: Bool?
        let snat: SNAT?
        let services: [Service]
    }

    struct Interface: Decodable {
        let mac: String
        let mtu: Int
        let vlan: UInt16?
    }

    struct SNAT: Decodable {
        let ipv4: [String]
        let ipv6: [String]
        let ports: [UInt16]
    }

    struct Service: Decodable {
        let vip: String
        let prefixLen: Int?
        let proto: String
        let port: Port
        let portEnd: UInt16?
        let mode: String
        let backends: [Backend]
    }

    struct Backend: Decodable {
        let addr: String
        let port: UInt16?
    }

    /// A number, or the word `any`; `nil` stands for the word.
    struct Port: Decodable {
        let number: UInt16?

        init(from decoder: any Decoder) throws {
            number = try? decoder.singleValueContainer().decode(UInt16.self)
        }
    }

    /// The files of Tests/Conformance.
    static func load() throws -> [SteeringVectors] {
        let archive = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Conformance/vectors.tar.xz").standardized
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "steering-vectors-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let tar = try Process.run(
            URL(filePath: "/usr/bin/env"),
            arguments: ["tar", "-xJf", archive.path(), "-C", folder.path()])
        tar.waitUntilExit()
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var vectors: [SteeringVectors] = []
        while let file = files?.nextObject() as? URL {
            let isConfiguration = file.lastPathComponent.hasSuffix(".config.json")
            guard file.pathExtension == "json", !isConfiguration else { continue }
            vectors.append(try decoder.decode(SteeringVectors.self, from: Data(contentsOf: file)))
        }
        return vectors
    }

    /// The frames for a configuration, each once.
    func frames(for config: String) -> [[UInt8]] {
        let steps = cases.filter { $0.config == config }.flatMap(\.steps)
        return Set(steps.compactMap(\.in)).map(Self.bytes)
    }

    /// The bytes of a frame in hexadecimal.
    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.utf8.map { UInt8($0 > 57 ? $0 - 87 : $0 - 48) }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}

extension SteeringVectors.Configuration {
    var plan: ForwardingPlan {
        var plan = ForwardingPlan(
            link: .init(
                mac: MACAddress(interface.mac) ?? .zero, mtu: interface.mtu, ipv4: nil,
                vlan: interface.vlan),
            hashKey: PlanFixture.key)
        plan.icmp.answersEcho = icmpEchoReply ?? true
        for (index, text) in ((snat?.ipv4 ?? []) + (snat?.ipv6 ?? [])).enumerated() {
            let ports = snat?.ports ?? [1, 1]
            plan.snatAddresses.append(
                .init(
                    id: UInt16(index), address: PlanFixture.address(text),
                    ports: [ports[0]...ports[1]]))
        }
        for service in services { service.add(to: &plan) }
        return plan
    }
}

extension SteeringVectors.Service {
    fileprivate func add(to plan: inout ForwardingPlan) {
        let address = PlanFixture.address(vip)
        let prefix = prefixLen.flatMap { IPPrefix(address, length: $0) } ?? IPPrefix(address)
        let ports = port.number.map { $0...(portEnd ?? $0) } ?? ServiceKey.anyPort
        let key = ServiceKey(
            vips: prefix, ports: ports, transport: TransportProtocol(proto) ?? .tcp)
        plan.services.append(
            .init(
                id: UInt16(plan.services.count), keys: [key],
                mode: mode == "snat" ? .snat : .dsr,
                maglev: MaglevTable(members: [], size: 251, key: PlanFixture.key)))
        for backend in backends {
            let address = PlanFixture.address(backend.addr)
            plan.backends.append(
                .init(id: UInt16(plan.backends.count), address: address, port: backend.port ?? 0))
            guard mode == "snat" else { continue }
            plan.snatSources.insert(
                .init(
                    address: address, port: backend.port ?? key.port ?? 0,
                    transport: key.transport))
        }
    }
}
