// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Yams

/// Reads the `health` of a service, or of `defaults`.
struct HealthReader {
    private let problems: ConfigurationProblems
    private static let keys = [
        "type", "interval", "timeout", "rise", "fall", "jitter", "port", "path", "host", "expect",
        "query", "through_tunnel", "full_size",
    ]

    init(_ problems: ConfigurationProblems) { self.problems = problems }

    /// Reads a section over what was there before.
    func read(_ parent: ConfigurationSection, _ health: inout HealthConfiguration) {
        guard let node = parent.value("health"),
            let section = ConfigurationSection(node, "'health'", keys: Self.keys, problems)
        else { return }
        health.kind = section.choice("type", HealthConfiguration.Kind.self) ?? health.kind
        readTimes(section, &health)
        health.port = section.integer("port", in: 1...65535).map(UInt16.init) ?? health.port
        health.path =
            section.parsed("path", "a path that begins with '/', without spaces", Self.path)
            ?? health.path
        health.host =
            section.parsed("host", "a name of letters, digits, '.', '-' and ':'", Self.host)
            ?? health.host
        health.query = section.parsed("query", "a domain name", Self.name) ?? health.query
        health.throughTunnel =
            section.parsed("through_tunnel", "true or false", { Bool($0) })
            ?? health.throughTunnel
        health.fullSize =
            section.parsed("full_size", "true or false", { Bool($0) })
            ?? health.fullSize
        readExpectation(section, &health)
    }

    private func readTimes(
        _ section: ConfigurationSection, _ health: inout HealthConfiguration
    ) {
        health.interval = section.duration("interval") ?? health.interval
        health.timeout = section.duration("timeout") ?? health.timeout
        health.rise = section.integer("rise", in: 1...100) ?? health.rise
        health.fall = section.integer("fall", in: 1...100) ?? health.fall
        health.jitter =
            section.parsed("jitter", "a share from 0% to 50%") { text in
                text.hasSuffix("%")
                    ? ConfigurationSection.integer(String(text.dropLast()))
                        .flatMap { (0...50).contains($0) ? $0 : nil } : nil
            } ?? health.jitter
        if health.interval < .milliseconds(100) {
            problems.error(section.place("interval"), "interval must be 100ms at least")
        }
        if health.timeout < .milliseconds(10) {
            problems.error(section.place("timeout"), "timeout must be 10ms at least")
        }
        if health.timeout > health.interval {
            problems.error(
                section.place("timeout"),
                "a probe's timeout must not be longer than the interval: one ends before the next")
        } else if ["interval", "timeout", "fall"].contains(where: section.has),
            let prompt = health.longestPromptTimeout, health.timeout > prompt
        {
            let longest = ConfigurationWriter.text(health.longestUntilUnhealthy)
            problems.warning(
                section.place("timeout"),
                """
                a backend that fails may get connections for up to \(longest), longer than \
                \(health.fall) intervals; a timeout of \(ConfigurationWriter.text(prompt)) or less \
                keeps to them
                """)
        }
    }

    private func readExpectation(
        _ section: ConfigurationSection, _ health: inout HealthConfiguration
    ) {
        guard let node = section.value("expect"),
            let expect = ConfigurationSection(node, "'expect'", keys: ["status", "body"], problems)
        else { return }
        health.statuses =
            expect.parsed("status", "status codes such as 200, 200-299 or 200,301", Self.statuses)
            ?? health.statuses
        health.body = expect.text("body")?.text ?? health.body
    }

    // MARK: Words

    private static func path(_ text: String) -> String? {
        text.hasPrefix("/") && text.utf8.allSatisfy { (0x21...0x7e).contains($0) } ? text : nil
    }

    private static func host(_ text: String) -> String? {
        let isName = text.utf8.allSatisfy { byte in
            Names.isName(String(UnicodeScalar(byte))) && byte != UInt8(ascii: "/")
        }
        return isName && (1...253).contains(text.utf8.count) ? text : nil
    }

    /// Labels of 1–63 bytes, 255 in all (RFC 1035 §2.3.4).
    private static func name(_ text: String) -> String? {
        if text == "." { return text }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        }
        return isName && text.utf8.count <= 253 ? text : nil
    }

    private static func statuses(_ text: String) -> [ClosedRange<Int>]? {
        let ranges = text.split(separator: ",").map { part -> ClosedRange<Int>? in
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
                .map { ConfigurationSection.integer($0.trimmingPrefix(" ").description) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2,
                first <= last, (100...599).contains(first), (100...599).contains(last)
            else { return nil }
            return first...last
        }
        let known = ranges.compactMap { $0 }
        return known.isEmpty || known.count < ranges.count ? nil : known
    }
}
