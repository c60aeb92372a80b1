# SPDX-License-Identifier: GPL-3.0-or-later
"""The table as bars, in plain SVG."""

from xml.sax.saxutils import escape

from lib.report import amount
from lib.rows import GROUPS

COLOURS = {"istmd": "#2166ac", "tgt": "#d6604d", "istgt": "#f4a582",
           "limit": "#bababa"}
LEFT, BAR, WIDTH, GAP = 290, 13, 300, 60


def bars(results, x, y, what, key, label):
    """One column: each row's bars in relation to its longest."""
    out = ['<text x="%d" y="%d" class="h">%s</text>' % (x, y, escape(what))]
    y += 12
    for row in (row for group in GROUPS.values() for row in group):
        peers = results.get(row.key, {}).get("peers", {})
        if not peers:
            continue
        most = max(entry[key] for entry in peers.values()) or 1
        for peer, entry in peers.items():
            width = WIDTH * entry[key] / most
            out.append('<rect x="%d" y="%d" width="%.1f" height="%d"'
                       ' fill="%s"/>' % (x, y, width, BAR - 2,
                                         COLOURS.get(peer, "#888")))
            out.append('<text x="%.1f" y="%d">%s</text>' % (
                x + width + 4, y + BAR - 4, escape(label(row, entry))))
            y += BAR
        y += 9
    return out, y


def svg(data):
    results = data["rows"]
    rates, bottom = bars(results, LEFT, 60, "rate (more is better)", "iops",
                         lambda row, entry: amount(row.size, entry))
    costs, _ = bars(results, LEFT + WIDTH + GAP + 40, 60,
                    "CPU of the target, µs per I/O (less is better)",
                    "cpu_us", lambda row, entry: "%.1f" % entry["cpu_us"])
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"'
           ' font-family="sans-serif" font-size="11">' %
           (LEFT + 2 * (WIDTH + GAP) + 60, bottom + 20),
           '<style>.h{font-weight:bold}</style>',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="20" font-size="14" class="h">%s</text>' %
           escape("istmd and its peers, " + data["date"])]
    x = 10
    names = []
    for entry in results.values():
        names += [peer for peer in entry["peers"] if peer not in names]
    for peer in names:
        out.append('<rect x="%d" y="30" width="11" height="11" fill="%s"/>'
                   '<text x="%d" y="40">%s</text>' % (
                       x, COLOURS.get(peer, "#888"), x + 15, escape(peer)))
        x += 70
    y = 72
    for row in (row for group in GROUPS.values() for row in group):
        peers = results.get(row.key, {}).get("peers", {})
        if peers:
            out.append('<text x="10" y="%d">%s</text>' % (
                y + BAR - 4, escape(row.title)))
            y += BAR * len(peers) + 9
    return "\n".join(out + rates + costs + ["</svg>"]) + "\n"
