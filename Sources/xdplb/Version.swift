// SPDX-License-Identifier: Apache-2.0

/// Which xdplb this is.
enum Version {
    /// Semantic version of the release.
    static let text = "0.1.0"

    /// The compiler that it was built with.
    static var swift: String {
        #if compiler(>=6.4)
            "6.4 or later"
        #elseif compiler(>=6.3)
            "6.3"
        #else
            "6.2"
        #endif
    }
}
