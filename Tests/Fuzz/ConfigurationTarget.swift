// SPDX-License-Identifier: Apache-2.0
@testable import ControlPlane
import DataPlane

/// Files of any content: read without a crash, and what is accepted can be written and read again.
enum ConfigurationTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        let text = unsafe String(decoding: input, as: UTF8.self)
        let result = ConfigurationReader.read(text)
        // What is wrong is said in a way that can be printed.
        for problem in result.problems {
            require(problem.line >= 1 && problem.column >= 1, "a problem is nowhere")
        }
        _ = ConfigurationReport(result.problems, file: "fuzz.yaml", text: text).text
        guard let configuration = result.configuration,
            !result.problems.contains(where: { $0.severity == .error })
        else { return }
        for service in configuration.services
        where service.snatPool == nil && service.backendsFrom == nil {
            let alone = """
                version: 1
                interfaces: [{name: eth0}]
                services:
                \(ConfigurationWriter.yaml(service))
                """
            let again = ConfigurationReader.read(alone)
            require(
                again.configuration?.services.first == service,
                "'\(service.name)' is not what was written: \(alone) \(again.problems)")
        }
        if configuration.interface.offline != nil, let key = HashKey(bytes: [UInt8](0..<16)) {
            _ = try? OfflineControl(configuration, hashKey: key).plan.steeredVIPs
        }
    }
}
