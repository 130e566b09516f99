// SPDX-License-Identifier: Apache-2.0

/// How the dashboard looks.
///
/// Colour says how something is and nothing else, and never alone: the words say it too, and what
/// is not well has a sign before it.
enum DashboardStyle {
    static let css = #"""
        :root {
            color-scheme: light dark;
            --back: #fff; --card: #f8f9fb; --text: #1a1d21; --quiet: #5a6472; --line: #dfe3e8;
            --bar: #8a94a3; --ok: #1a7f4b; --warning: #8a5a00; --bad: #b83227;
        }
        @media (prefers-color-scheme: dark) {
            :root {
                --back: #14171a; --card: #1b1f24; --text: #e6e8eb; --quiet: #9aa4af; --line: #2f363d;
                --bar: #77818d; --ok: #58c78d; --warning: #e3ab4c; --bad: #ff8375;
            }
        }
        * { box-sizing: border-box; margin: 0; }
        [hidden] { display: none !important; }
        body {
            background: var(--back); color: var(--text);
            font: .875rem/1.45 system-ui, "DejaVu Sans", sans-serif;
            font-variant-numeric: tabular-nums;
        }
        a { color: inherit; }
        :focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }

        header, footer {
            display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: baseline;
            padding: .7rem 1.1rem; color: var(--quiet);
        }
        header { border-bottom: 1px solid var(--line); }
        h1 { font-size: 1.15rem; color: var(--text); }
        h1 span { font-weight: normal; margin-left: .5rem; }
        #state { font-weight: 600; }
        #live, nav { margin-left: auto; }
        nav a { margin-left: .75rem; }

        main {
            display: grid; grid-template-columns: minmax(0, 1fr); gap: .9rem; padding: .9rem 1.1rem 0;
        }
        .column { display: grid; gap: .9rem; align-content: start; min-width: 0; }
        .card {
            background: var(--card); border: 1px solid var(--line); border-radius: 6px;
            padding: .6rem .75rem; min-width: 0;
        }
        @media (min-width: 82rem) {
            body { font-size: .8125rem; }
            main { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
            #tiles, #attention { grid-column: 1 / -1; }
        }

        #tiles {
            display: grid; gap: .65rem;
            grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
        }
        dt, .detail, .value span { color: var(--quiet); }
        .value b { font-size: 1.4rem; }
        .value, .detail { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }

        ul { list-style: none; padding: 0; }
        li { overflow-wrap: anywhere; }

        .wide { overflow-x: auto; }
        table { width: 100%; border-collapse: separate; border-spacing: 0; }
        caption, h2 { text-align: left; font-size: 1em; font-weight: 600; padding-bottom: .3rem; }
        th, td {
            padding: .25rem .4rem; border-bottom: 1px solid var(--line);
            text-align: left; white-space: nowrap; font-weight: normal;
        }
        tbody tr:last-child > * { border-bottom: 0; }
        table:has(tbody:empty) thead { display: none; }
        thead th { color: var(--quiet); font-weight: 600; }
        .number { text-align: right; }
        .number + .text { padding-left: 1rem; }
        /* The name stays in sight while the rest scrolls. */
        th.name { position: sticky; left: 0; background: var(--card); }
        #drops td.text, #events td.state { white-space: normal; }
        #drops td.text { min-width: 14rem; color: var(--quiet); }
        #events tbody th.name { color: var(--quiet); }
        .note { color: var(--quiet); padding-top: .3rem; }
        .note:empty { display: none; }
        .bar { width: 4rem; height: .55rem; margin-right: .5rem; background: var(--line); }
        .bar rect { fill: var(--bar); }
        #workers .bar { width: 3rem; }
        #history svg { display: block; width: 100%; height: 4.5rem; }
        #history path {
            fill: none; stroke: var(--text); stroke-width: 1.5; vector-effect: non-scaling-stroke;
        }
        #history .out { stroke-dasharray: 2 3; }

        #state[data-level=ok], li[data-level=ok], [data-level=ok] > td.state { color: var(--ok); }
        #state[data-level=warning], li[data-level=warning], [data-level=warning] > .value b,
        [data-level=warning] > td.state { color: var(--warning); }
        #state[data-level=bad], li[data-level=bad], [data-level=bad] > .value b,
        [data-level=bad] > td.state { color: var(--bad); }
        #state[data-level=ok]::before, li[data-level=ok]::before { content: "● " / ""; }
        #state[data-level=warning]::before, li[data-level=warning]::before,
        [data-level=warning] > .value b::before,
        [data-level=warning] > td.state::before { content: "▲ " / ""; }
        #state[data-level=bad]::before, li[data-level=bad]::before,
        [data-level=bad] > .value b::before,
        [data-level=bad] > td.state::before { content: "■ " / ""; }

        @media (max-width: 37rem) {
            header, footer { padding: .7rem; }
            main { padding: .7rem .7rem 0; }
            #tiles { grid-template-columns: 1fr 1fr; }
            #tiles > :last-child:nth-child(odd) { grid-column: span 2; }
            #live, nav { margin-left: 0; }
            tbody th.name { white-space: normal; overflow-wrap: anywhere; min-width: 7.5rem; }
            #workers th.name, #drops th.name { min-width: 0; }
            #drops td.text { min-width: 11rem; }
            .bar { width: 2.5rem; }
        }
        """#

    /// A load balancer: one line in, two out.
    static let icon = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="#5b8def" \
        stroke-width="2"><path d="M1 8h5M15 3h-4L6 8l5 5h4"/></svg>
        """
}
