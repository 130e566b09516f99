# SPDX-License-Identifier: Apache-2.0
"""Tables and a chart of what scripts/bench measured. Ratios are taken round by round.

In brackets stands the range that 90 % of medians fall into when rounds are drawn again with
replacement: two figures whose ranges overlap were not told apart.
"""
import random
import re
import statistics

BEGIN, END = "<!-- measured: {} -->", "<!-- end: {} -->"


def interval(values, draws=2000):
    source = random.Random(1)
    medians = sorted(statistics.median(source.choices(values, k=len(values))) for _ in range(draws))
    return medians[draws // 20], medians[-draws // 20]


def spread_of(values, digits=2):
    low, high = interval(values)
    return (f"{min(values):.{digits}f} / **{statistics.median(values):.{digits}f}** / {max(values):.{digits}f} "
            f"[{low:.{digits}f}–{high:.{digits}f}]")


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def groups(rows, *keys):
    found = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def logic(rows):
    out = []
    for (work, flows), group in groups(rows, "work", "flows").items():
        ours, c = [row["xdplb"] for row in group], [row["c"] for row in group]
        wide = [row["xdplb6"] / row["xdplb"] for row in group if "xdplb6" in row]
        out.append([work, f"{flows:,}", f"{statistics.median(c):.1f}", f"{statistics.median(ours):.1f}",
                    spread_of([a / b for a, b in zip(ours, c)]), spread_of(wide) if wide else "–"])
    header = ["work", "flows", "C, ns", "xdplb, ns", "ratio min / median / max [90 %]", "IPv6 ÷ IPv4"]
    return table(header, out)


def scale(rows):
    out, alone = [], {}
    for (workers, work), group in groups(rows, "workers", "work").items():
        median = statistics.median(row["xdplb"] for row in group)
        alone.setdefault(work, median)
        out.append([work, workers, f"{median:.1f}", f"{median / alone[work]:.2f}"])
    return table(["work", "workers", "ns per packet of each", "÷ one worker"], out)


def capture(rows):
    out = []
    for (work,), group in groups(rows, "work").items():
        medians = [f"{statistics.median(row[kind] for row in group):.1f}" for kind in ("none", "off", "on")]
        out.append([work, *medians, spread_of([row["off"] / row["none"] for row in group])])
    return table(["work", "no look, ns", "none runs, ns", "one of all, ns", "none runs ÷ no look: min / median / max [90 %]"], out)


def hairpin(rows):
    # A round in which one of them did not come up (the queue was still busy) says nothing.
    rows = [row for row in rows if all(row.values())]
    out = [["C, encapsulation", f"{statistics.median(row['c'] for row in rows) / 1e3:.0f}", "1"]]
    for mode in ("dsr", "snat"):
        ratios = [row[mode] / row["c"] for row in rows if row["c"]]
        out.append([f"xdplb, {mode}", f"{statistics.median(row[mode] for row in rows) / 1e3:.0f}", spread_of(ratios)])
    return table(["variant", "kpps, median", f"ratio, {len(rows)} rounds: min / median / max [90 %]"], out)


def latency(rows):
    out = []
    for variant, name in (("c", "C, encapsulation"), ("dsr", "xdplb, dsr"), ("snat", "xdplb, snat")):
        cells = [f"{statistics.median(row[variant][share] for row in rows):.1f}" for share in ("p50", "p90", "p99", "p999")]
        out.append([name, *cells, sum(row[variant]["lost"] for row in rows)])
    return table(["variant", "p50, µs", "p90", "p99", "p99.9", "lost"], out)


def idle(rows):
    out = [[f"{max(row['share'] for row in rows):.1%}", f"{statistics.median(row['first']['p50'] for row in rows):.0f}",
            f"{max(row['first']['max'] for row in rows):.0f}", sum(row["first"]["lost"] for row in rows)]]
    return table(["share of a core, most of the runs", "first frame, p50 µs", "longest, µs", "lost"], out)


def spread(rows):
    out = []
    for mode, counts in rows.items():
        values = [value for value in (counts.values() if isinstance(counts, dict) else counts) if value]
        if values:
            mean = sum(values) / len(values)
            out.append([mode, len(values), f"{min(values) / mean:.3f}", f"{max(values) / mean:.3f}"])
    return table(["mode", "backends that got packets", "least ÷ mean", "most ÷ mean"], out)


SECTIONS = {"logic": logic, "scale": scale, "capture": capture, "hairpin": hairpin, "nodrop": hairpin, "latency": latency, "idle": idle, "spread": spread}


def text(results):
    about = results["machine"]
    parts = [f"{about['date']}, {about['cpu']}, {about['cpus']} CPUs, Linux {about['kernel']}, commit {about['commit']}: `{about['command']}`"]
    parts += [f"{part}\n\n{SECTIONS[part](results[part])}" for part in SECTIONS if results.get(part)]
    return "\n\n".join(parts)


def chart(results, path):
    """Ratios to C as bars, a line at 1; legible on light and dark."""
    bars = []
    for (work, flows), group in groups(results.get("logic", []), "work", "flows").items():
        bars.append((f"logic, {work}, {flows:,} flows", [row["xdplb"] / row["c"] for row in group]))
    for part, name in (("hairpin", "packets a second on veth"), ("nodrop", "no-drop rate on veth")):
        for mode in ("dsr", "snat") if results.get(part) else ():
            bars.append((f"{name}, {mode}", [row[mode] / row["c"] for row in results[part] if all(row.values())]))
    width, left, step = 760, 290, 26
    scale = (width - left - 60) / max(2.0, max(max(values) for _, values in bars))
    height = 50 + step * len(bars)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
             "<style>text{fill:#24292f}.bar{fill:#2f81f7}.range{stroke:#24292f}.one{stroke:#8b949e;stroke-dasharray:4 3}"
             "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.range{stroke:#e6edf3}}</style>",
             f'<text x="{left}" y="18">xdplb ÷ C, median and 90 % range of medians</text>']
    for number, (name, values) in enumerate(bars):
        y, median, (low, high) = 32 + step * number, statistics.median(values), interval(values)
        lines.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{name}</text>')
        lines.append(f'<rect class="bar" x="{left}" y="{y}" width="{median * scale:.1f}" height="16" rx="2"/>')
        lines.append(f'<line class="range" x1="{left + low * scale:.1f}" x2="{left + high * scale:.1f}" y1="{y + 8}" y2="{y + 8}" stroke-width="2"/>')
        lines.append(f'<text x="{left + max(median, high) * scale + 6:.1f}" y="{y + 13}">{median:.2f}</text>')
    lines.append(f'<line class="one" x1="{left + scale:.1f}" x2="{left + scale:.1f}" y1="26" y2="{height - 12}"/></svg>')
    path.write_text("\n".join(lines) + "\n")


def write(results, document, picture):
    """Puts the tables between the markers of the document, and draws the chart."""
    content = document.read_text()
    for part in ("machine", *SECTIONS):
        if not results.get(part):
            continue
        body = text({"machine": results["machine"]}) if part == "machine" else SECTIONS[part](results[part])
        begin, end = BEGIN.format(part), END.format(part)
        content, count = re.subn(re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n{body}\n{end}", content, flags=re.S)
        if count != 1:
            raise SystemExit(f"{document} has no place for '{part}': {begin} … {end}")
    document.write_text(content)
    chart(results, picture)
