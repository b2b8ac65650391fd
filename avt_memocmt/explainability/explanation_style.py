"""The look of the explanation page, on top of that of the report."""

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
