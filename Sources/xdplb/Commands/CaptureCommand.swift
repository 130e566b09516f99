// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import ControlPlane
import Foundation

/// The command `xdplb capture`.
struct CaptureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Write frames to a pcapng file, as received and as sent.",
        discussion: """
            Each frame is written twice, joined by a packet comment, such as \
            'web dsr web-3 connection=hit worker=2', and by its packet number; a dropped one once, \
            with its reason. Queue, direction and XDP verdict are in the standard options that \
            Wireshark shows. Ends after 60 s, after -c frames, or with Ctrl-C. Frames that the \
            reader was too slow for are counted. For example:
              xdplb capture --service web --client 198.51.100.9 -w web.pcapng
              xdplb capture --reason policy -c 20 -w - | tshark -r - -T fields -e frame.comment
            """)

    @Option(
        name: [.customShort("w"), .customLong("write")],
        help: ArgumentHelp("File to write; - is standard output.", valueName: "file"))
    var path: String?
    @Option(help: "Only of this service: name or VIP:PORT/PROTOCOL.") var service: String?
    @Option(help: "Only of this backend: SERVICE/NAME, or a name within --service.")
    var backend: String?
    @Option(help: "Only from and to this IP address of a client.") var client: String?
    @Option(help: "Only frames dropped for this reason; see 'xdplb drops'.") var reason: String?
    @Flag(help: "Only TCP segments with SYN.") var syn = false
    @Option(help: ArgumentHelp("Only one in N frames that match.", valueName: "1/N"))
    var sample: String?
    @Option(help: "Only copies from this point: rx, tx or drop; may be repeated.") var point:
        [String] =
            []
    @Option(
        help: ArgumentHelp(
            """
            Only frames that a classic BPF program accepts as received, such as \
            "$(tcpdump -y EN10MB -ddd EXPR)".
            """,
            valueName: "program"))
    var bpf: String?
    @Option(
        name: [.customShort("c"), .customLong("count")],
        help: ArgumentHelp("End after so many frames.", valueName: "n"))
    var count: Int?
    @Option(help: ArgumentHelp("Most bytes of each copy; all by default.", valueName: "bytes"))
    var snaplen: Int?
    @Option(help: "End after so many seconds.") var seconds = CaptureRequest.usualSeconds
    @Flag(help: "Stop the capture that is running, and do nothing else.") var stop = false
    @OptionGroup var socket: SocketOptions

    func validate() throws {
        guard (path != nil) != stop else {
            throw ValidationError("Give a file to write with -w, or --stop.")
        }
        if path == "-", Terminal.isOutput {
            throw ValidationError("Standard output is a terminal: name a file, or use a pipe.")
        }
        _ = try sampling()
    }

    func run() throws {
        guard let path else { return try end(number: nil) }
        Interrupt.watch()
        signal(SIGPIPE, SIG_IGN)
        let began = ContinuousClock.now
        // The file is touched only once the daemon has agreed.
        let request = try request()
        let stream = try socket.client.stream("POST", "/api/v1/capture", request)
        let number = stream.field("xdplb-capture")
        var sink = try CaptureSink(path)
        var progress = CaptureProgress(began: began, request)
        do {
            try copy(stream, into: &sink, number, &progress)
        } catch {
            // The connection is closed; the next capture may begin at once.
            try? end(number: number)
            throw error
        }
        if sink.hasNoReader { try? end(number: number) }
        progress.finish(sink.frameCount, sink.lostCount, path)
    }

    /// Writes what comes until the daemon ends it, or nobody reads what is written any more.
    private func copy(
        _ stream: consuming AdminStream, into sink: inout CaptureSink, _ number: String?,
        _ progress: inout CaptureProgress
    ) throws {
        var hasAsked = false
        while let piece = try stream.next() {
            try sink.write(piece)
            if sink.hasNoReader { break }
            progress.show(sink.frameCount, sink.lostCount)
            if Interrupt.wasAsked, !hasAsked {
                // It goes on to the end, so that the last frames and the losses are known.
                hasAsked = true
                try? end(number: number)
            }
        }
    }

    private func request() throws -> CaptureRequest {
        var request = CaptureRequest()
        request.service = service
        request.backend = backend
        request.client = client
        request.reason = reason
        request.syn = syn ? true : nil
        request.sample = try sampling()
        request.points = point.isEmpty ? nil : point
        request.bpf = bpf
        request.count = count
        request.snapLength = snaplen
        request.seconds = seconds
        return request
    }

    private func sampling() throws -> Int? {
        guard let sample else { return nil }
        guard sample.hasPrefix("1/"), let number = Int(sample.dropFirst(2)), number > 0 else {
            throw ValidationError("'\(sample)' is not 1/N, such as 1/100.")
        }
        return number
    }

    private func end(number: String?) throws {
        let client = socket.client
        let query = number.map { "?number=\($0.escapedForURL)" } ?? ""
        let answer = try client.send("DELETE", "/api/v1/capture" + query)
        guard answer.status == 204 else { throw client.refusal(answer) }
    }
}

/// How far a capture is, for a person; and the last line for everybody.
struct CaptureProgress {
    /// When it began.
    let began: ContinuousClock.Instant
    /// When it ends by itself.
    let seconds: Double
    /// Frames after which it does so.
    let count: Int?

    private let line = ProgressLine(isShown: Terminal.isError)
    private var shown = ContinuousClock.now

    private static let interval = Duration.milliseconds(200)

    init(began: ContinuousClock.Instant, _ request: CaptureRequest) {
        self.began = began
        seconds = request.seconds ?? CaptureRequest.usualSeconds
        count = request.count
    }

    private var passed: Double { (ContinuousClock.now - began).inSeconds }

    /// Writes it over the line before.
    mutating func show(_ frames: Int, _ lost: UInt64) {
        let now = ContinuousClock.now
        guard now - shown >= Self.interval else { return }
        shown = now
        line.show(text(frames, lost))
    }

    private func text(_ frames: Int, _ lost: UInt64) -> String {
        let share = max(passed / seconds, count.map { Double(frames) / Double($0) } ?? 0)
        return """
            \(ProgressLine.bar(share))  \(frames)\(count.map { " of \($0)" } ?? "") frames, \
            \(lost) lost, \(Scaled.duration(max(seconds - passed, 0))) left
            """
    }

    /// Says what there is in the end.
    func finish(_ frames: Int, _ lost: UInt64, _ path: String) {
        line.clear()
        let place = path == "-" ? "" : ": \(path)"
        let text = "\(frames) frames, \(lost) lost, \(Scaled.duration(passed))\(place)\n"
        FileHandle.standardError.write(Data(text.utf8))
    }
}
