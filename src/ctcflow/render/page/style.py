"""The style sheet of the page, embedded so that the page is one file."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { --ink: #1a1a1a; --soft: #55595e; --line: #d5d9dd; --fill: #f4f6f8; --blue: #00598c;
  --call: #a84300; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1.5rem clamp(0.9rem, 3vw, 2.5rem) 3rem;
  background: #fff; color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 0.75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 3rem 0 0.6rem; padding-top: 0.9rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.6rem 0 0.4rem; }
p, li, figcaption { max-width: 75ch; overflow-wrap: anywhere; }
a { color: var(--blue); }
.answer { font-size: 1.2rem; margin: 0 0 0.8rem; }
.answer strong { color: var(--call); }
.notes { margin: 0.8rem 0 1.2rem; padding: 0.6rem 1rem 0.6rem 2rem; background: var(--fill);
  border-left: 4px solid #e69f00; }
.soft, .empty, figcaption, caption, footer { color: var(--soft); }
.empty strong { font-weight: 600; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; list-style: none; padding: 0;
  margin: 1.4rem 0 0; }
.box { overflow-x: auto; margin: 0.8rem 0; }
.box.tall { max-height: 36rem; overflow-y: auto; }
.box:focus-visible, button:focus-visible, input:focus-visible, a:focus-visible,
select:focus-visible {
  outline: 3px solid #0072b2; outline-offset: 2px; }
table.wide { width: max-content; }
.word, td > code { white-space: nowrap; }
th code { overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { caption-side: top; text-align: left; padding: 0.2rem 0 0.5rem; }
main > section:first-child h2 { border: 0; margin-top: 0; padding-top: 0; }
caption span { display: inline-block; max-width: min(75ch, 88vw); position: sticky;
  left: 0; }
th, td { padding: 0.32rem 0.9rem 0.32rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 2px solid var(--soft); vertical-align: bottom; background: #fff;
  font-weight: 600; }
.tall thead th { position: sticky; top: 0; }
tbody th { font-weight: 500; }
tbody tr:hover > * { background: var(--fill); }
td, tbody th { max-width: 36ch; overflow-wrap: break-word; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.92em;
  overflow-wrap: anywhere; }
.many { font-weight: 600; color: var(--call); }
.changed { font-weight: 700; }
.class::before { content: "\\25CF"; margin-right: 0.35em; }
.class.ctc::before { color: #d55e00; }
.class.aggregate::before { content: "\\25C6"; color: #cc79a7; }
.class.uncertain::before { content: "\\25B2"; color: #e69f00; }
figure { margin: 1rem 0 1.6rem; }
figure img { display: block; max-width: 100%; height: auto; }
thead button { all: unset; cursor: pointer; font-weight: 600; }
thead button::after { content: " \\2195"; color: var(--soft); }
[aria-sort=ascending] button::after { content: " \\2191"; }
[aria-sort=descending] button::after { content: " \\2193"; }
label.find { display: block; margin: 0.8rem 0 0; font-size: 0.9rem; }
label.find input { font: inherit; margin: 0 0.6rem; padding: 0.25rem 0.5rem; width: 16rem;
  max-width: 55vw; border: 1px solid var(--soft); border-radius: 4px; }
.fields { display: flex; flex-wrap: wrap; gap: 0.6rem 1.4rem; align-items: baseline;
  margin: 0.8rem 0; font-size: 0.9rem; }
.fields select, .fields input { font: inherit; padding: 0.25rem 0.4rem; max-width: 16rem;
  border: 1px solid var(--soft); border-radius: 4px; background: #fff; color: var(--ink); }
#explorer-legend { list-style: none; padding: 0; margin: 0.6rem 0 0; max-width: none; display: flex;
  flex-wrap: wrap; gap: 0.2rem 0.5rem; font-size: 0.85rem; }
#explorer-legend li { max-width: none; }
#explorer-legend button { font: inherit; color: var(--ink); background: #fff; cursor: pointer;
  border: 1px solid transparent; border-radius: 4px; padding: 0.15rem 0.4rem; }
#explorer-legend button[aria-pressed=true] { border-color: var(--ink); background: var(--fill); }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em;
  border-radius: 50%; border: 1px solid var(--soft); }
.scale { display: inline-block; width: 10rem; height: 0.8em; margin: 0 0.5em; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr));
  gap: 1rem; font-size: 0.85rem; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: 0.6rem 0.9rem; }
.card h4 { margin: 0 0 0.3rem; font-size: 0.95rem; }
.card p { margin: 0.4rem 0; }
.card ul { margin: 0.2rem 0; padding-left: 1.2rem; }
.card dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 0.7rem; margin: 0; }
.card dt { color: var(--soft); }
.card dd { margin: 0; overflow-wrap: anywhere; }
.pictures { display: flex; gap: 0.8rem; align-items: center; margin: 0.5rem 0; }
.arms { flex: 1; min-width: 0; height: 64px; background: var(--fill); }
.mini { position: relative; flex: none; width: 96px; height: 96px; background-size: 100% 100%; }
.dot { position: absolute; width: 10px; height: 10px; margin: 0 0 -5px -5px; border-radius: 50%;
  background: #d55e00; border: 1px solid var(--ink); }
.review button { font: inherit; padding: 0.25rem 0.7rem; cursor: pointer; background: var(--fill);
  border: 1px solid var(--soft); border-radius: 4px; color: var(--ink); }
.card .fields { margin: 0.5rem 0 0; }
.card .reason { flex: 1; min-width: 6rem; }
details { margin: 0.8rem 0; }
summary { cursor: pointer; color: var(--blue); }
footer { margin-top: 3rem; border-top: 1px solid var(--line); font-size: 0.85rem; }
.called { display: inline-block; min-width: 21ch; }
/* The answer fits a wide screen whole: its remarks must not be beyond the edge. */
@media (min-width: 60rem) {
  #answer table.wide { width: 100%; }
  #answer table.wide th, #answer table.wide td { padding-right: 0.7rem; }
  .called { min-width: 14ch; }
}
@media (max-width: 40rem) {
  h1 { font-size: 1.35rem; }
  .answer { font-size: 1.08rem; }
  caption span { width: 88vw; }
  figure img { max-width: none; width: 46rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav, label.find, #explorer, .review { display: none; }
  .box, .box.tall { overflow: visible; max-height: none; }
  .tall thead th { position: static; }
  table { font-size: 8pt; }
  tr, figure, .card { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; }
  figure img { max-width: 100%; max-height: 22cm; width: auto; }
}
"""
