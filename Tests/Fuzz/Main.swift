// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Feeds one of the targets with what libFuzzer makes up: `xdplb-fuzz TARGET [libFuzzer's options]`.
@main
enum Main {
    /// A target takes an input and stops the process if something is wrong.
    typealias Target = @Sendable (UnsafeRawBufferPointer) -> Void

    private static let targets: [String: Target] = [
        "pipeline": { unsafe PipelineTarget.run($0) },
        "netlink": { unsafe NetlinkTarget.run($0) },
        "configuration": { unsafe ConfigurationTarget.run($0) },
        "admin": { unsafe AdminTarget.run($0) },
    ]

    nonisolated(unsafe) fileprivate static var target: Target = { _ in }

    static func main() {
        guard let name = CommandLine.arguments.dropFirst().first, let chosen = targets[name] else {
            print("usage: xdplb-fuzz \(targets.keys.sorted().joined(separator: "|")) [OPTION…]")
            exit(2)
        }
        unsafe target = chosen
        // libFuzzer sees its own options alone.
        let own = [CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)
        let list = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(
            capacity: own.count + 1)
        for (index, argument) in own.enumerated() {
            unsafe (list + index).initialize(to: strdup(argument))
        }
        unsafe (list + own.count).initialize(to: nil)
        var count = CInt(own.count)
        var start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe list
        exit(unsafe fuzzerRunDriver(&count, &start, runTarget))
    }
}

private func runTarget(_ bytes: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    unsafe Main.target(UnsafeRawBufferPointer(start: bytes, count: size))
    return 0
}

/// LLVMFuzzerRunDriver of libFuzzer: runs until its options say to stop.
@_silgen_name("LLVMFuzzerRunDriver")
private func fuzzerRunDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// What must hold, whatever the input.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}
