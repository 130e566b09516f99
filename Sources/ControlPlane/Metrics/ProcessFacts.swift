// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// What was built.
public struct BuildFacts: Equatable, Sendable {
    /// Semantic version of the release.
    public var version: String
    /// Short hash of the commit; `unknown` when it was not built from a repository.
    public var commit: String

    /// Facts of their parts.
    public init(version: String, commit: String) {
        self.version = version
        self.commit = commit
    }
}

/// What /proc says about this process.
struct ProcessFacts {
    var cpuSeconds: Double
    var residentBytes: Int
    var openDescriptors: Int

    /// What this was compiled with.
    static var swiftVersion: String {
        #if compiler(>=6.4)
            "6.4 or later"
        #else
            "6.3"
        #endif
    }

    static func read() -> ProcessFacts {
        var usage = rusage()
        _ = unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        let pages =
            (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?
            .split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        let descriptors = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
        return ProcessFacts(
            cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            residentBytes: pages * Int(sysconf(Int32(_SC_PAGESIZE))),
            openDescriptors: descriptors?.count ?? 0)
    }
}
