// SPDX-License-Identifier: Apache-2.0
internal import DataPlane

/// The comment that joins the copies of a captured frame:
/// `web dsr web-3 connection=hit worker=2`, `dns connection=miss worker=0 drop=policy`.
struct CaptureWords: Sendable {
    private let services: [UInt16: ServiceView]
    private let backends: [UInt16: String]

    /// Words by the names of a view.
    init(_ view: ControlView) {
        services = Dictionary(view.services.map { ($0.id, $0) }) { first, _ in first }
        backends = Dictionary(
            view.services.flatMap(\.backends).map { ($0.id, $0.configuration.name) }
        ) { first, _ in first }
    }

    /// The comment on both copies of a frame.
    func comment(on pair: CapturedPair, worker: Int) -> String {
        let record = pair.record
        var words: [String] = []
        if let service = record.service {
            words.append(services[service]?.configuration.name ?? "service-\(service)")
            if let mode = mode(of: pair) { words.append(mode.description) }
        }
        if let backend = record.backend { words.append(backends[backend] ?? "backend-\(backend)") }
        if record.backend == nil, record.outcome == .sent { words.append("answer") }
        switch record.lookup {
        case .hit: words.append("connection=hit")
        case .miss: words.append("connection=miss")
        case .none: break
        }
        words.append("worker=\(worker)")
        if record.isHandedOver { words.append("handed-over") }
        if let reason = record.reason { words.append("drop=\(reason.token)") }
        switch record.outcome {
        case .refused: words.append("answered")
        case .waiting: words.append("waits-for-next-hop")
        case .sent, .dropped: break
        }
        return words.joined(separator: " ")
    }

    /// The mode that the frame was sent in, as a connection ends in the mode it began in.
    ///
    /// Of a frame that was not sent, that of the service.
    private func mode(of pair: CapturedPair) -> ForwardingMode? {
        if pair.record.outcome == .sent, pair.record.backend != nil,
            let sent = FrameSummary(pair.sent)
        {
            return sent.packet.isTunnel ? .dsr : .snat
        }
        return pair.record.service.flatMap { services[$0]?.configuration.mode }
    }
}
