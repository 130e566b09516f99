// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import HTTPTypes
internal import Hummingbird

/// Captures are streamed: the client's user writes the file, with the client's rights.
extension AdminHandlers {
    /// Header with the number of the capture, by which the client ends its own.
    static let captureNumber = HTTPField.Name("Xdplb-Capture")

    @Sendable func capture(_ request: Request, _ context: AdminContext) async throws -> Response {
        let wanted = try await request.body(CaptureRequest.self, context)
        let view = await control.view()
        let settings = try wanted.settings(view)
        let bounds = try wanted.bounds()
        let place = try state.captures.take(
            wanted, for: bounds.seconds, by: try await context.peer().name)
        let source: any CaptureSource
        do throws(PublishError) {
            source = try dataPlane.capture(settings)
        } catch {
            throw ChangeRefused(
                kind: .failed, code: "capture", message: "\(error). Nothing is captured")
        }
        let surroundings = CaptureRun.Surroundings(
            facts: dataPlane.facts, version: build.version,
            view: { [control] in await control.view() },
            isStopping: { [state] in state.isStopping })
        var headers: HTTPFields = [.contentType: "application/x-pcapng"]
        if let name = Self.captureNumber { headers[name] = "\(place.number)" }
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                var run = CaptureRun(
                    source, bounds, snapLength: settings.snapLength, surroundings, view)
                let ending = CaptureGuard(
                    source: source, place: place, seconds: bounds.seconds,
                    isStopping: surroundings.isStopping, hangUp: { await context.hangUp() })
                let watch = Task { await ending.watch() }
                defer { watch.cancel() }
                await run.run(in: place) { try await writer.write(ByteBuffer(bytes: $0)) }
                try await writer.finish(nil)
            })
    }

    @Sendable func endCapture(_ request: Request, _: AdminContext) async throws -> Response {
        let query = try AdminQuery(request, allowing: ["number"])
        var number: UInt64?
        if let text = query["number"] {
            guard let known = UInt64(text) else {
                throw AdminQuery.invalid("number", "'\(text)' is not a number")
            }
            number = known
        }
        guard state.captures.end(number) else {
            throw ChangeRefused(
                kind: .notFound, code: "no_capture", message: "no such capture is running")
        }
        // Whoever asks may want to begin the next one; but a reader that hangs takes longer.
        for _ in 0..<100 where state.captures.isTaken {
            try await Task.sleep(for: .milliseconds(10))
        }
        return Response(status: .noContent)
    }
}
