// SPDX-License-Identifier: Apache-2.0

/// Which xdplb this is.
enum Version {
    /// Semantic version of the release.
    static let text = "0.1.0"
}
