// SPDX-License-Identifier: Apache-2.0
internal import XSKRing

/// Whether the interface's XDP hook is free, or ours.
struct AttachCheck: DoctorCheck {
    var interface: String
    /// Who has the hook; `nil` when nobody has.
    var holder: XDPHolder?
    /// Whether a daemon that answers runs on the interface.
    var isRunning: Bool

    private static let check = "attach"
    private static let ownProgram = "xdplb_steer"

    var findings: [Finding] {
        guard let holder else {
            return [.ok(Self.check, "\(interface): no XDP program is attached")]
        }
        let mode = holder.mode?.rawValue ?? "offloaded"
        let owner = holder.process.map { "process \($0.identifier) (\($0.command))" }
        let fact = """
            \(interface): XDP program \(holder.programText), \(mode), \
            \(owner.map { "held by \($0)" } ?? "held by no process that can be seen")
            """
        if isRunning, holder.name == Self.ownProgram { return [.ok(Self.check, fact)] }
        return [
            .fail(
                Self.check, fact,
                holder.name == Self.ownProgram
                    ? "an xdplb that does not answer at the admin socket; start is refused"
                    : "start is refused, as it is never replaced",
                remedy(holder))
        ]
    }

    private func remedy(_ holder: XDPHolder) -> Remedy {
        if let process = holder.process {
            return Remedy("kill \(process.identifier)", or: "let that process do the job")
        }
        // 'off' alone would leave the program of another mode.
        let mode =
            switch holder.mode {
            case .native: "xdpdrv"
            case .generic: "xdpgeneric"
            case nil: "xdpoffload"
            }
        return Remedy("ip link set dev \(interface) \(mode) off")
    }
}

extension AttachCheck {
    init(reading subject: DoctorSubject) {
        interface = subject.name
        holder = subject.holder
        isRunning = subject.running != nil
    }
}
