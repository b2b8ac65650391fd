"""The look of the report: light and dark screens, narrow screens and paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --soft: #59626e; --line: #d5dae1; --fill: #f4f6f8;
  --link: #0b57a4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --ink: #e7eaee; --soft: #a3acb8; --line: #363d47; --fill: #1d2127;
    --link: #82b9ee;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 70rem;
  background: var(--page); color: var(--ink);
  font: 0.95rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 0 0 0.25rem; overflow-wrap: anywhere; }
section { margin-top: 2.5rem; }
p, nav li, dd, #limits p { max-width: 46rem; overflow-wrap: anywhere; }
p { margin: 0.5rem 0; }
a { color: var(--link); }
a:focus-visible, .wide:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.facts, .soft, figcaption { color: var(--soft); }
figure { margin: 1.25rem 0; }
figcaption, caption { font-size: 0.85rem; }
.wide { overflow-x: auto; }
.wide svg { display: block; width: 100%; min-width: 44rem; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.88rem; }
caption { text-align: left; color: var(--soft); padding: 0.25rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 0.7rem; }
thead th { border-bottom: 2px solid var(--line); white-space: nowrap; }
tbody tr { border-bottom: 1px solid var(--line); }
tbody tr:target, tbody tr:hover { background: var(--fill); }
tbody th { font-weight: 400; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
th.time { white-space: nowrap; }
td.words { min-width: 14rem; }
td.notes { min-width: 10rem; }
.said { display: block; white-space: nowrap; }
.said.main { font-weight: 650; }
.said i {
  display: inline-block; width: 0.7em; height: 0.7em; margin-right: 0.4em; border-radius: 2px;
}
.bar { display: block; width: 5.5rem; height: 4px; margin: 2px 0 3px; background: var(--line); }
.bar b { display: block; height: 100%; }
dt { font-weight: 650; margin-top: 0.6rem; }
dd { margin: 0; }
#limits { border-left: 4px solid var(--line); padding-left: 1rem; }
@media print {
  :root { --page: #fff; --ink: #000; --soft: #444; --line: #bbb; --fill: #fff; --link: #000; }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .wide { overflow: visible; }
  .wide svg { min-width: 0; }
  tr, figure, dt, dd { break-inside: avoid; }
  h2, caption { break-after: avoid; }
  thead { display: table-header-group; }
}
"""


EXPLANATION_STYLE = """
.explained { border-top: 2px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1.1rem; line-height: 1.3; margin: 0 0 0.25rem; overflow-wrap: anywhere; }
h4 { font-size: 0.95rem; line-height: 1.3; margin: 1.5rem 0 0.25rem; }
.why { border-left: 4px solid var(--link); padding-left: 1rem; margin: 0.75rem 0; }
.why p { margin: 0.25rem 0; }
.explained .wide { margin-top: 1rem; }
.explained td { overflow-wrap: normal; }
audio { display: block; width: 100%; max-width: 30rem; margin: 0.5rem 0; }
audio:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.wide img { display: block; max-width: 100%; min-width: 44rem; height: auto; }
ol.words, ol.frames { list-style: none; display: flex; flex-wrap: wrap; margin: 0.5rem 0; }
ol.words { gap: 0.35rem; padding: 0; }
ol.words li {
  padding: 0.15rem 0.45rem; border: 1px solid var(--line); border-radius: 4px;
  text-align: center; overflow-wrap: anywhere;
}
ol.words span { display: block; font-size: 0.78rem; font-variant-numeric: tabular-nums; }
ol.frames { gap: 0.6rem; padding: 0; }
ol.frames li { font-size: 0.8rem; color: var(--soft); font-variant-numeric: tabular-nums; }
ol.frames img { display: block; height: 8rem; width: auto; max-width: 100%; }
@media print {
  audio { display: none; }
  .wide img { min-width: 0; max-height: 95vh; margin: auto; }
  ol.frames img { height: 6.5rem; }
  h3, h4 { break-after: avoid; }
  ol.words li, ol.frames li, .why { break-inside: avoid; }
}
"""
