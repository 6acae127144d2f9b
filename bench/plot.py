"""The plot of bench/report.py: time relative to native on a logarithmic scale, a bar a machine, a row a test."""
import math

ROW, BAR, LEFT, WIDTH, TOP = 26, 9, 190, 760, 64
COLOURS = ["#2b6cb0", "#38a169", "#805ad5", "#d69e2e"]
TCG_COLOUR, TARGET_COLOUR, INK, GRID = "#c0c4cc", "#c53030", "#1a202c", "#e2e8f0"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def label(ratio):
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def rows_of(report, targets, base, tests_of):
    """(title, limit for each test or None, [(test, {machine: ratio})]) of the groups that have tests with the base."""
    groups = []
    for group, title, most_mean, most_each, *_ in targets:
        rows = []
        for test in tests_of(group):
            ratios = {m: report.ratio(test, m, base) for m in report.machines if m != base}
            ratios = {m: r for m, r in ratios.items() if r}
            if ratios:
                rows.append((test, ratios))
        if rows:
            groups.append((title, most_each or most_mean, rows))
    return groups


def svg(report, targets, native, tcg):
    base = next((m for m in (native, tcg) if m in report.machines), report.subject)
    machines = [m for m in report.machines if m != base]
    groups = rows_of(report, targets, base, report.tests)
    if base == native and tcg in report.machines:
        # What the host has no figure for.
        for title, _, rows in rows_of(report, targets, tcg, lambda group: [
                t for t in report.tests(group) if not report.value(t, native)]):
            groups.append((f"relative to {tcg}: {title}", None, rows))
    ratios = [r for _, _, rows in groups for _, values in rows for r in values.values()] or [1]
    low = math.floor(math.log10(min(min(ratios), 0.9)))
    high = math.ceil(math.log10(max(max(ratios), 1.1)))
    row_height = max(ROW, len(machines) * BAR + 8)
    height = TOP + sum(24 + row_height * len(rows) for _, _, rows in groups) + 30
    colours = dict(zip((m for m in machines if m != tcg), COLOURS * len(machines)))
    colours[tcg] = TCG_COLOUR

    def x(ratio):
        return LEFT + WIDTH * (math.log10(ratio) - low) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{height}" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="12" y="20" font-size="15" fill="{INK}">Time relative to {base} (logarithmic; shorter is faster)</text>']
    at = 12
    for machine in machines:
        out.append(f'<rect x="{at}" y="29" width="10" height="10" fill="{colours[machine]}"/>'
                   f'<text x="{at + 14}" y="38" fill="{INK}">{escape(machine)}</text>')
        at += 40 + 7 * len(machine)
    out.append(f'<line x1="{at + 5}" y1="28" x2="{at + 5}" y2="40" stroke="{TARGET_COLOUR}" stroke-width="2"/>'
               f'<text x="{at + 12}" y="38" fill="{INK}">target against native</text>')
    for decade in range(low, high + 1):
        for step in (1, 2, 5):
            ratio = step * 10.0 ** decade
            if ratio > 10.0 ** high * 1.001:
                continue
            dark = INK if ratio == 1 else GRID
            out.append(f'<line x1="{x(ratio):.1f}" y1="{TOP - 8}" x2="{x(ratio):.1f}" y2="{height - 20}" stroke="{dark}"/>'
                       f'<text x="{x(ratio):.1f}" y="{TOP - 12}" text-anchor="middle" fill="{INK}">{ratio:g}</text>')
    y = TOP
    for title, limit, rows in groups:
        out.append(f'<text x="12" y="{y + 16}" font-weight="bold" fill="{INK}">{escape(title)}</text>')
        y += 24
        if limit and base == native:
            out.append(f'<line x1="{x(limit):.1f}" y1="{y}" x2="{x(limit):.1f}" y2="{y + row_height * len(rows)}" '
                       f'stroke="{TARGET_COLOUR}" stroke-width="2"/>')
        for test, values in rows:
            out.append(f'<text x="{LEFT - 8}" y="{y + row_height / 2 + 3}" text-anchor="end" fill="{INK}">{escape(test)}</text>')
            bar_y = y + (row_height - len(machines) * BAR) / 2
            for machine in machines:
                if machine in values:
                    end, start = x(values[machine]), x(1)
                    out.append(f'<rect x="{min(start, end):.1f}" y="{bar_y:.1f}" width="{max(abs(end - start), 1):.1f}" '
                               f'height="{BAR - 1}" fill="{colours[machine]}"/>'
                               f'<text x="{max(start, end) + 4:.1f}" y="{bar_y + BAR - 1.5:.1f}" font-size="9" fill="{INK}" '
                               'stroke="white" stroke-width="3" paint-order="stroke">'
                               f'{label(values[machine])}</text>')
                bar_y += BAR
            y += row_height
    out.append("</svg>")
    return "\n".join(out) + "\n"
