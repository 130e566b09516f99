// SPDX-License-Identifier: Apache-2.0
internal import DataPlane
internal import Foundation

/// Where frames are lost, and examples of them.
extension AdminDocuments {
    /// All reasons, and all ways to lose frames in the kernel.
    ///
    /// - Parameter showsClients: Whether examples are shown, which have clients' addresses.
    /// - Returns: The document.
    func drops(showsClients: Bool) -> DropsDocument {
        let words = DropWords(view)
        return DropsDocument(
            generation: view.generation, time: AdminJSON.text(Date()),
            drops: DropReason.allCases.map { reason in
                let total = sums[reason]
                let example = showsClients ? latestExample(of: reason) : nil
                return .init(
                    reason: reason.token, perSecond: rates.rate(.drop(reason)), total: total,
                    last: rates.lastGrowth(.drop(reason), now: total).map(AdminJSON.text),
                    example: example.map(words.text))
            },
            kernel: KernelLoss.allCases.map { loss in
                let total = loss.count(in: kernel)
                return .init(
                    loss: loss.rawValue, perSecond: rates.rate(.kernel(loss)), total: total,
                    last: rates.lastGrowth(.kernel(loss), now: total).map(AdminJSON.text),
                    remedy: loss.remedy)
            })
    }

    /// The newest of all workers' examples.
    private func latestExample(of reason: DropReason) -> DropExample? {
        pages.compactMap { $0.example(of: reason) }.max { left, right in
            right.tick.elapsed(since: left.tick) > 0
        }
    }
}
