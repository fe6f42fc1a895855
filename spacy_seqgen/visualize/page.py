"""Pages of HTML that need nothing but themselves."""

import html

# Right on light and dark, on a phone, on paper.
STYLE = """
:root {color-scheme: light dark; --ink: #1c1e21; --paper: #ffffff; --soft: #5a606a; --line: #d5d9de;
  --panel: #f5f6f8; --accent: #9c3d0a; --best: rgba(214, 90, 30, .16)}
@media (prefers-color-scheme: dark) {:root {--ink: #e7e9ec; --paper: #15181c; --soft: #a5adb8;
  --line: #3a4048; --panel: #1e2228; --accent: #f2a16f; --best: rgba(214, 90, 30, .34)}}
* {box-sizing: border-box}
html {-webkit-text-size-adjust: 100%}
body {margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere}
h1 {font-size: 1.7rem; line-height: 1.25; margin: .5rem 0}
h2 {font-size: 1.3rem; margin: 2.6rem 0 .6rem; padding-top: .6rem;
  border-top: 1px solid var(--line)}
h3 {font-size: 1.05rem; margin: 1.6rem 0 .4rem}
p {margin: .5rem 0; max-width: 46rem}
a {color: var(--accent)}
nav ul {display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; list-style: none}
.soft, figcaption {color: var(--soft)}
.absent {color: var(--soft); border-left: 3px solid var(--line); padding-left: .8rem}
figure {margin: 1rem 0}
figure svg {display: block}
figcaption {font-size: .875rem; max-width: 46rem}
.grid {display: flex; flex-wrap: wrap; gap: 1rem 2rem}
.grid > * {margin: 0; min-width: 0; max-width: 100%}
.grid figcaption {max-width: 22rem}
.wide {overflow-x: auto; max-width: 100%}
table.data {border-collapse: collapse; font-size: .9rem; margin: .6rem 0}
table.data th, table.data td {text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere}
table.data th {font-weight: 600; overflow-wrap: normal}
table.data th[scope] {min-width: 5.5rem}
table.data .number {text-align: right}
table.data td.number {font-variant-numeric: tabular-nums; white-space: nowrap}
pre, .sample {font: .9rem/1.5 ui-monospace, monospace; white-space: pre-wrap; margin: .4rem 0;
  background: var(--panel); border-radius: 4px; padding: .7rem .9rem; overflow-wrap: anywhere}
.sample b {color: var(--accent)}
@media print {:root {--ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --panel: #fff;
  --accent: #000; --best: rgba(214, 90, 30, .16); color-scheme: light}
  body {max-width: none; font-size: 11pt; padding: 0; print-color-adjust: exact;
    -webkit-print-color-adjust: exact}
  nav {display: none} figure, table.data tr, .sample {break-inside: avoid}
  h2, h3 {break-after: avoid} .wide {overflow: visible}}
"""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{content}
</body>
</html>
"""


def make_page(title: str, content: str) -> str:
    """A page that fetches nothing.

    title (str): Shown as its first heading, too.
    content (str): HTML.
    """
    shown = html.escape(title)
    return _PAGE.format(title=shown, style=STYLE, content=f"<h1>{shown}</h1>\n{content}")
