# ruff: noqa: E501 — a style sheet, not code
"""The report's style sheet: light and dark, screen and paper."""

from typing import Final

__all__ = ["STYLE"]

STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2430;--soft:#5d6878;--line:#dde2ea;--card:#f6f7f9;
--good:#1a7f46;--bad:#b3261e;--warn:#8a5a00;--c1:#2563c9;--c2:#c2571a;--c3:#7a3fb0;--c4:#b3261e;--c5:#1a7f46}
@media (prefers-color-scheme:dark){:root{--paper:#14181f;--ink:#e7ebf1;--soft:#9aa6b6;--line:#2c3542;--card:#1b212b;
--good:#4fc987;--bad:#ff8a80;--warn:#e5b454;--c1:#7aa8ff;--c2:#ff9d66;--c3:#c79bff;--c4:#ff8a80;--c5:#4fc987}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1040px;padding:24px 20px 64px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
h1{font-size:20px;margin:0 0 4px}h2{font-size:16px;margin:34px 0 8px;padding-top:10px;border-top:1px solid var(--line)}
p{margin:6px 0}.soft{color:var(--soft)}code,pre{font:13px/1.45 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
.banner{margin:16px 0;padding:14px 18px;border-radius:8px;background:var(--card);border-left:6px solid var(--soft)}
.banner.met{border-color:var(--good)}.banner.not-met,.banner.broken{border-color:var(--bad)}
.banner.unsure,.banner.generator-limited{border-color:var(--warn)}
.banner strong{font-size:18px}.word{text-transform:uppercase;letter-spacing:.06em;font-size:12px;color:var(--soft)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px;margin:14px 0}
.figures div{background:var(--card);border-radius:8px;padding:10px 12px}
.figures b{display:block;font-size:19px;font-variant-numeric:tabular-nums}.figures span{color:var(--soft);font-size:13px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:5px 8px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600;font-size:13px}th:first-child,td:first-child{text-align:left;white-space:normal;
overflow-wrap:anywhere}.scroll{overflow-x:auto}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
figure{margin:14px 0}figcaption{font-weight:600;font-size:14px;margin-bottom:4px}svg{width:100%;height:auto;display:block}
.grid{stroke:var(--line)}.tick{fill:var(--soft);font-size:11px}.limit{stroke:var(--bad);stroke-dasharray:6 4}
.limit-text{fill:var(--bad);font-size:11px}.mark line{stroke:var(--c3);stroke-dasharray:3 3}.mark text{fill:var(--c3);font-size:11px}.line{fill:none;stroke-width:1.8;stroke:var(--c1)}
.line.c2{stroke:var(--c2)}.line.c3{stroke:var(--c3)}.line.c4{stroke:var(--c4)}.line.c5{stroke:var(--c5)}
.line.c2{stroke-dasharray:none}.line.dots{stroke-dasharray:2 4}
.legend{font-weight:400;font-size:13px}.key{color:var(--c1);margin-left:10px}.key::before{content:"— "}
.key.c2{color:var(--c2)}.key.c3{color:var(--c3)}.key.c4{color:var(--c4)}.key.c5{color:var(--c5)}
.spark{width:90px;height:20px;display:inline-block}.spark path{fill:none;stroke:var(--c1);stroke-width:1.4}
details{margin:6px 0}summary{cursor:pointer}pre{background:var(--card);padding:10px 12px;border-radius:6px;overflow:auto;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:360px}
ul{margin:6px 0;padding-left:20px}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:8px 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0}pre{max-height:none}details>*{display:block}h2{break-after:avoid}figure{break-inside:avoid}}
"""
