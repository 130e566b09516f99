// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// From the words of a request to the numbers that workers compare.
extension CaptureRequest {
    /// What the workers are to copy.
    ///
    /// - Throws: ``ChangeRefused`` when it names what there is not, or no number.
    func settings(_ view: ControlView) throws(ChangeRefused) -> CaptureSettings {
        var filter = CaptureFilter()
        var found: ServiceView?
        if let service {
            let view = try view.required(ServiceReference(service))
            found = view
            filter.service = view.id
        }
        if let backend { filter.backend = try ConnectionQuery.backend(backend, found, view).id }
        if let client {
            guard let address = IPAddress(client) else {
                throw Self.refused("client", "'\(client)' is not an IP address")
            }
            filter.client = address
        }
        if let reason { filter.reason = try Self.reason(reason) }
        filter.isOnlySYN = syn ?? false
        if let sample {
            guard let number = UInt32(exactly: sample), number > 0 else {
                throw Self.refused("sample", "one in \(sample) is not within 1...\(UInt32.max)")
            }
            filter.sampling = number
        }
        if let points { filter.points = try Self.points(points) }
        let length = snapLength ?? Self.longestCopy
        guard (1...Self.longestCopy).contains(length) else {
            throw Self.refused("snap_length", "\(length) is not within 1...\(Self.longestCopy)")
        }
        return CaptureSettings(filter: filter, snapLength: length)
    }

    /// When it ends by itself.
    ///
    /// - Throws: ``ChangeRefused`` when a number or the BPF program is none.
    func bounds() throws(ChangeRefused) -> CaptureBounds {
        let seconds = seconds ?? Self.usualSeconds
        guard seconds > 0, seconds <= Self.mostSeconds else {
            throw Self.refused(
                "seconds", "must be above 0 and at most \(Int(Self.mostSeconds)), not \(seconds)")
        }
        if let count, count < 1 { throw Self.refused("count", "must be at least 1, not \(count)") }
        var bounds = CaptureBounds(count: count, seconds: seconds)
        if let bpf {
            do throws(PacketFilterProgram.Invalid) {
                bounds.program = try PacketFilterProgram(bpf)
            } catch {
                throw Self.refused("bpf", error.description)
            }
        }
        return bounds
    }

    private static func reason(_ text: String) throws(ChangeRefused) -> DropReason {
        guard let reason = DropReason(token: text) else {
            let known = DropReason.allCases.map(\.token).joined(separator: ", ")
            throw refused("reason", "'\(text)' is not a drop reason; these are: \(known)")
        }
        return reason
    }

    private static func points(_ words: [String]) throws(ChangeRefused) -> CaptureFilter.Points {
        var points: CaptureFilter.Points = []
        for word in words {
            switch word {
            case "rx": points.insert(.received)
            case "tx": points.insert(.sent)
            case "drop": points.insert(.dropped)
            default: throw refused("points", "'\(word)' is not rx, tx or drop")
            }
        }
        guard !points.isEmpty else { throw refused("points", "give one or more of rx, tx, drop") }
        return points
    }

    private static func refused(_ member: String, _ problem: String) -> ChangeRefused {
        ChangeRefused(
            kind: .invalid, code: "capture",
            message: "\(member): \(problem). Nothing is captured", location: member)
    }
}
