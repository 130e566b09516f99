// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import DataPlane
import Foundation
import XSKRing

/// `xdplb decap attach|detach|status`, on a backend.
struct DecapCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decap",
        abstract: "On a backend: take tunnels from the load balancers apart.",
        discussion: """
            Needs no ipip module in the kernel. For example:
              xdplb decap attach --interface eth0 --vip 40.1.1.1 --trust 20.1.1.1/32 --setup
            """,
        subcommands: [Attach.self, Detach.self, Status.self])

    struct Attach: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Attach the decapsulation program; it stays when the command ends.",
            discussion: """
                Tunnels are taken apart when their outer source is in a trusted prefix and their \
                inner destination is one of the VIPs; everything else passes untouched. Repeating \
                the command with other VIPs or prefixes replaces them without a gap.
                """)

        @Option(help: ArgumentHelp("Where the tunnels arrive.", valueName: "if"))
        var interface: String
        @Option(
            name: .customLong("vip"),
            help: ArgumentHelp("A VIP; may be repeated.", valueName: "addr"))
        var vips: [String]
        @Option(help: "tc, or xdp, which is faster and needs a driver with XDP.")
        var mode: String = "tc"
        @Option(
            name: .customLong("trust"),
            help: ArgumentHelp(
                "Prefix of the load balancers' outer source; may be repeated. The interface's own networks unless given.",
                valueName: "prefix"))
        var trust: [String] = []
        @Flag(help: "Put the VIPs on lo and set arp_ignore, arp_announce and rp_filter, too.")
        var setup = false

        func run() throws {
            guard let mode = DecapMode(rawValue: mode) else {
                throw CommandFailure(.invalid, "mode '\(mode)' is neither tc nor xdp")
            }
            let vips = try self.vips.map(DecapCommand.vip)
            let interface = try NetworkInterface(interface)
            let trusted = try self.trusted(interface)
            let present = DecapAttachment.find(on: interface)
            if let present, present.mode == mode {
                try present.maps.set(vips: vips, trusted: trusted)
            } else {
                try attach(mode, interface, vips, trusted)
                // The new one takes over before the old one of the other mode goes.
                if let present { try DecapCommand.detach(present, interface) }
            }
            let setup = BackendSetup(interface: interface.name, vips: vips)
            print(
                """
                \(interface.name): decapsulating (\(mode.rawValue)) for \
                \(vips.map(\.description).joined(separator: ", ")) from \
                \(trusted.map(\.description).joined(separator: ", "))
                """)
            if self.setup {
                try setup.apply()
                print("VIPs are on lo; arp_ignore=1, arp_announce=2, rp_filter=0")
            } else {
                print("the backend also needs (--setup does it):")
                setup.commands.forEach { print("  \($0)") }
            }
        }

        private func attach(
            _ mode: DecapMode, _ interface: NetworkInterface, _ vips: [IPAddress],
            _ trusted: [IPPrefix]
        ) throws {
            let object: BPFObject
            do {
                object = try BPFObject(EmbeddedBPF.decap)
            } catch {
                throw CommandFailure(.refused, error.description)
            }
            // The maps are filled first: no tunnel is refused between attach and fill.
            try DecapMaps(of: object).set(vips: vips, trusted: trusted)
            guard let program = object.program(mode.programName) else {
                throw CommandFailure(.refused, "the embedded object lacks \(mode.programName)")
            }
            switch mode {
            case .tc: try DecapHook.attachTC(program, interface)
            case .xdp: try DecapHook.attachXDP(program, interface)
            }
        }

        private func trusted(_ interface: NetworkInterface) throws -> [IPPrefix] {
            if trust.isEmpty {
                let own = InterfaceAddresses.all().filter { $0.interface == interface.name }
                    .map(\.network)
                guard !own.isEmpty else {
                    throw CommandFailure(
                        .refused,
                        """
                        \(interface.name) has no address whose network could be trusted; name the \
                        load balancers with --trust PREFIX
                        """)
                }
                return own
            }
            return try trust.map { text in
                let prefix = IPPrefix(text) ?? IPAddress(text).map { IPPrefix($0) }
                guard let prefix else {
                    throw CommandFailure(
                        .invalid,
                        "'\(text)' is not a prefix, such as 20.1.1.1/32 or 2001:db8::1/128")
                }
                return prefix
            }
        }
    }

    struct Detach: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove what 'attach' put on an interface, and nothing else.",
            discussion: "With --setup the VIPs are taken off lo, too.")

        @Option(help: ArgumentHelp("Where it is attached.", valueName: "if")) var interface: String
        @Flag(help: "Take the VIPs off lo, too.") var setup = false

        func run() throws {
            let interface = try NetworkInterface(interface)
            guard let attachment = DecapAttachment.find(on: interface) else {
                let other = DecapHook.xdpProgram(interface).flatMap(DecapProgramInfo.init)
                let more = other.map { "; XDP program '\($0.name)' there is not ours and stays" }
                throw CommandFailure(
                    .refused,
                    "no decapsulation program of xdplb is attached to \(interface.name)\(more ?? "")"
                )
            }
            let vips = attachment.maps.vipAddresses
            try DecapCommand.detach(attachment, interface)
            if setup { try BackendSetup(interface: interface.name, vips: vips).undo() }
            print("\(interface.name): detached (\(attachment.mode.rawValue))")
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show mode, VIPs, trusted prefixes and counters.",
            discussion: "For example:  xdplb decap status --interface eth0 -o json")

        private struct Document: Codable {
            var schema = "xdplb.decap/1"
            var interface: String
            var attached: Bool
            var mode: String?
            var vips: [String] = []
            var trusted: [String] = []
            var counters: DecapCounters?
        }

        @Option(help: ArgumentHelp("Where it is attached.", valueName: "if")) var interface: String
        @OptionGroup var output: OutputOptions

        func run() throws {
            let interface = try NetworkInterface(interface)
            var document = Document(interface: interface.name, attached: false)
            if let attachment = DecapAttachment.find(on: interface) {
                document.attached = true
                document.mode = attachment.mode.rawValue
                document.vips = attachment.maps.vipAddresses.map(\.description)
                document.trusted = attachment.maps.trustedPrefixes.map(\.description)
                document.counters = attachment.maps.counters
            }
            if output.format == .json { return try output.printJSON(document) }
            guard let counters = document.counters else {
                print("\(interface.name): nothing of ours is attached")
                return
            }
            print(
                """
                \(interface.name)          \(document.mode ?? "")
                VIPs          \(document.vips.joined(separator: ", "))
                trusted       \(document.trusted.joined(separator: ", "))
                decapsulated  \(counters.decapsulated)
                passed        \(counters.notTunnelled) not tunnelled, \(counters.untrusted) \
                untrusted, \(counters.notVIP) for another address, \(counters.malformed) malformed
                """)
        }
    }

    private static func vip(_ text: String) throws -> IPAddress {
        guard let vip = IPAddress(text) else {
            throw CommandFailure(.invalid, "'\(text)' is not an IP address")
        }
        return vip
    }

    private static func detach(_ attachment: DecapAttachment, _ interface: NetworkInterface) throws
    {
        switch attachment.mode {
        case .tc: try DecapHook.detachTC(interface)
        case .xdp: try DecapHook.detachXDP(attachment.program, interface)
        }
    }
}
