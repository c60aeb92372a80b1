# SPDX-License-Identifier: GPL-3.0-or-later
"""From single runs to a table: medians, spread, ratios, floors."""

from statistics import median

from lib.rows import GROUPS, K256

KEYS = ("iops", "mb_s", "cpu_us", "own_cpu_us", "p50", "p99", "p999",
        "others")


def middle(runs, key):
    return median(run[key] for run in runs)


def summarize(row, runs):
    """@runs: peer -> list of results, one a round. The ratio to tgt is the
    median of the rounds' ratios: what disturbs the machine disturbs both of a
    round about alike."""
    result = {"title": row.title, "peers": {}}
    for peer, each in runs.items():
        entry = {key: round(middle(each, key), 3) for key in KEYS}
        values = [run["iops"] for run in each]
        entry["iops_min"], entry["iops_max"] = min(values), max(values)
        values = [run["cpu_us"] for run in each]
        entry["cpu_us_min"], entry["cpu_us_max"] = min(values), max(values)
        for other in "tgt", "limit":
            if peer != other and runs.get(other):
                pairs = [(a, b) for a, b in zip(each, runs[other])
                         if b["iops"] and b["cpu_us"] and b["p50"]]
                entry["to_" + other] = {
                    key: round(median(a[key] / b[key] for a, b in pairs), 3)
                    for key in ("iops", "cpu_us", "p50", "p999")
                } if pairs else None
        pairs = [(run, run["same"]) for run in each if "same" in run]
        if pairs:
            entry["to_same"] = {
                key: round(median(a[key] / b[key] for a, b in pairs), 3)
                for key in ("iops", "cpu_us")}
        entry["runs"] = each
        result["peers"][peer] = entry
    return result


def floors(results):
    """Yield (row's key, what, value, floor, met) for istmd."""
    for row in (row for group in GROUPS.values() for row in group):
        mine = results.get(row.key, {}).get("peers", {}).get("istmd")
        if not mine:
            continue
        tgt, limit = mine.get("to_tgt"), mine.get("to_limit")
        for what, ratios, key, floor, least in (
                ("IOPS : tgt", tgt, "iops", row.iops, True),
                ("CPU per I/O : tgt", tgt, "cpu_us", row.cpu, False),
                ("p50 : tgt", tgt, "p50", row.p50, False),
                ("p50 : limit", limit, "p50", row.p50_limit, False),
                ("p99.9 : tgt", tgt, "p999", 1 if row.iops or row.p50
                 else None, False)):
            if ratios and floor is not None:
                value = ratios[key]
                yield (row.key, what, value, floor,
                       value >= floor if least else value <= floor)
        same = mine.get("to_same")
        if same and row.iops_same is not None:
            yield (row.key, "IOPS : " + row.same, same["iops"],
                   row.iops_same, same["iops"] >= row.iops_same)
            # The same in what noise moves less; more is worse.
            yield (row.key, "CPU per I/O : " + row.same, same["cpu_us"],
                   None, None)


def amount(row_size, entry):
    if row_size >= K256:
        return "%.2f GB/s" % (entry["mb_s"] / 1000)
    return "%.1f k" % (entry["iops"] / 1000)


def spread(entry):
    """Half the distance between the extremes, in per cent of the median."""
    return 50 * (entry["iops_max"] - entry["iops_min"]) / max(
        entry["iops"], 1)


def table(results):
    lines = ["%-44s %-6s %10s %6s %9s %8s %8s %8s %7s %7s %7s" % (
        "", "", "rate", "±", "CPU µs/IO", "p50 µs", "p99 µs", "p99.9",
        "×tgt", "CPU×tgt", "×limit")]
    for row in (row for group in GROUPS.values() for row in group):
        title = row.title
        for peer, entry in results.get(row.key, {}).get("peers", {}).items():
            def ratio(other, key):
                ratios = entry.get("to_" + other)
                return "%.2f" % ratios[key] if ratios else ""
            lines.append(
                "%-44s %-6s %10s %5.0f%% %9.2f %8.0f %8.0f %8.0f %7s %7s %7s"
                % (title, peer, amount(row.size, entry), spread(entry),
                   entry["cpu_us"], entry["p50"], entry["p99"],
                   entry["p999"], ratio("tgt", "iops"),
                   ratio("tgt", "cpu_us"), ratio("limit", "iops")))
            title = ""
    return "\n".join(lines)


def text(data):
    parts = ["istmd and its peers, %s" % data["date"],
             "\n".join("%-10s %s" % item for item in data["machine"].items()),
             table(data["rows"])]
    lines = ["%-20s %-24s %8.2f   %s" % (
        key, what, value, "" if floor is None else
        "floor %.2f: %s" % (floor, "met" if met else "MISSED"))
        for key, what, value, floor, met in floors(data["rows"])]
    if lines:
        parts.append("Floors (ratios of istmd)\n" + "\n".join(lines))
    for name, rows in data["more"].items():
        parts.append("%s\n%s" % (name, "\n".join("  " + r for r in rows)))
    if data["left_out"]:
        parts.append("Left out\n" + "\n".join(
            "  %s: %s" % item for item in data["left_out"].items()))
    return "\n\n".join(parts) + "\n"


def markdown(data):
    """The same, to be put into docs/performance.md."""
    lines = ["Measured %s:" % data["date"], ""]
    lines += ["- %s: %s" % item for item in data["machine"].items()]
    lines += ["", "| work | target | rate (±) | CPU µs/IO | p50 | p99 | "
              "p99.9 µs | × tgt | CPU × tgt | × limit |", "| --- " * 10 + "|"]
    for row in (row for group in GROUPS.values() for row in group):
        title = row.title
        for peer, entry in data["rows"].get(row.key, {}).get(
                "peers", {}).items():
            def ratio(other, key):
                ratios = entry.get("to_" + other)
                return "%.2f" % ratios[key] if ratios else ""
            lines.append("| %s | %s | %s (%.0f %%) | %.1f | %.0f | %.0f | "
                         "%.0f | %s | %s | %s |" % (
                             title, peer, amount(row.size, entry),
                             spread(entry), entry["cpu_us"], entry["p50"],
                             entry["p99"], entry["p999"],
                             ratio("tgt", "iops"), ratio("tgt", "cpu_us"),
                             ratio("limit", "iops")))
            title = ""
    lines += ["", "| row | ratio of istmd | measured | floor | |",
              "| --- " * 5 + "|"]
    lines += ["| %s | %s | %.2f | %s | %s |" % (
        key, what, value, "" if floor is None else "%.2f" % floor,
        "" if floor is None else "met" if met else "missed")
        for key, what, value, floor, met in floors(data["rows"])]
    for name, rows in data["more"].items():
        lines += ["", name + ":", ""] + ["    " + r for r in rows]
    return "\n".join(lines) + "\n"
