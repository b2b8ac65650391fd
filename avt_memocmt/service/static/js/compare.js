// Two sets of results side by side: shares of time, and how sure their difference is.

import { call } from "./api.js";
import { announce, byId, h, icon, known, t } from "./page.js";
import { clock, emotionName, percent, swatch, when } from "./wording.js";

const SETS = ["a", "b"];
const FEWEST = 10; // utterances of a set from which on an interval by bootstrap says something
const chosen = Object.fromEntries(SETS.map((set) => [set, new Set(wanted(set))]));
let jobs = [];
let asked = 0;

function wanted(set) {
  return (new URLSearchParams(location.search).get(set) ?? "").split(",").filter(Boolean);
}

async function loadJobs() {
  try {
    let after = null;
    do {
      const query = new URLSearchParams({ state: "completed", limit: "200" });
      if (after) query.set("after", after);
      const answer = await call("GET", `/v1/jobs?${query}`);
      jobs = [...jobs, ...answer.jobs];
      after = answer.next;
    } while (after);
    for (const set of SETS) for (const id of chosen[set]) if (!jobs.some((job) => job.id === id)) chosen[set].delete(id);
    showJobs();
    await compare();
  } catch (refusal) {
    showMessage(refusal.message, true);
  }
}

function showJobs() {
  const sought = byId("search").value.trim().toLowerCase();
  const shown = jobs.filter((job) => job.name.toLowerCase().includes(sought));
  byId("jobs").replaceChildren(...shown.map(jobRow));
  byId("empty").hidden = shown.length > 0;
  byId("empty").textContent = t(jobs.length ? "library.nothing_found" : "compare.none");
}

function jobRow(job) {
  const facts = [when(job.created), job.duration && clock(job.duration)].filter(Boolean).join(" · ");
  return h(
    "li",
    { class: "choice" },
    h("div", {}, h("span", { class: "name" }, job.name), h("span", { class: "soft small" }, facts)),
    SETS.map((set) => {
      const label = t("compare.put", { name: job.name, set: set.toUpperCase() });
      const toggle = h("button", { type: "button", class: "square", "aria-pressed": `${chosen[set].has(job.id)}`, "aria-label": label, title: label }, set.toUpperCase());
      toggle.addEventListener("click", () => {
        if (!chosen[set].delete(job.id)) chosen[set].add(job.id);
        toggle.setAttribute("aria-pressed", `${chosen[set].has(job.id)}`);
        compare();
      });
      return toggle;
    }),
  );
}

/** Ask for the comparison of what is chosen; the address of the page says what that is. */
async function compare() {
  const query = new URLSearchParams(SETS.filter((set) => chosen[set].size).map((set) => [set, [...chosen[set]].join(",")]));
  history.replaceState(null, "", query.size ? `?${query}`.replaceAll("%2C", ",") : location.pathname);
  const number = ++asked;
  if (SETS.some((set) => !chosen[set].size)) return showMessage(t("compare.choose"));
  try {
    const found = await call("GET", `/v1/compare?${query}`);
    if (number === asked) showComparison(found);
  } catch (refusal) {
    if (number === asked) showMessage(refusal.message, true);
  }
}

function showMessage(sentence, isProblem = false) {
  byId("comparison").replaceChildren(h("p", { class: isProblem ? "notice bad" : "soft" }, isProblem ? icon("warn") : "", h("span", {}, sentence)));
  if (isProblem) announce(sentence, true);
}

function showComparison(found) {
  const emotions = [...known.emotions, known.uncertain].filter((emotion) => emotion in found.emotions);
  const rows = emotions.map((emotion) => [[swatch(emotion), emotionName(emotion)], found.emotions[emotion]]);
  const reach = Math.max(0.05, ...[...rows.map(([, row]) => row), found.confidence].flatMap((row) => row.interval.map(Math.abs)));
  const isEnough = SETS.every((set) => found.n[set] >= FEWEST);
  byId("comparison").replaceChildren(
    h("ul", { class: "sets" }, SETS.map((set) => h("li", {}, h("b", {}, set.toUpperCase()), ` ${described(set, found)}`))),
    isEnough ? "" : h("p", { class: "notice" }, icon("warn"), h("span", {}, t("compare.few", { least: FEWEST }))),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("compare.shares") }, table(t("compare.shares"), rows, reach, isEnough)),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("compare.confidence") }, table(t("compare.confidence"), [[[t("compare.mean")], found.confidence]], reach, isEnough)),
    h("p", { class: "soft small" }, t("compare.hint")),
  );
  const clear = rows.filter(([, row]) => isClear(row)).length;
  announce(isEnough ? t("compare.told", { count: clear }) : t("compare.few", { least: FEWEST }));
}

function described(set, found) {
  const names = jobs.filter((job) => chosen[set].has(job.id)).map((job) => job.name);
  const shown = names.length > 2 ? t("compare.files", { count: names.length }) : names.join(", ");
  return `${shown} (${t("list.count", { count: found.n[set] })})`;
}

function table(caption, rows, reach, isEnough) {
  return h(
    "table",
    { class: "comparison" },
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, h("td"), ["A", "B"].map((set) => h("th", { scope: "col" }, set)), h("th", { scope: "col" }, t("compare.difference")), h("td"))),
    h(
      "tbody",
      {},
      rows.map(([name, row]) =>
        h(
          "tr",
          { class: isEnough && isClear(row) ? "clear" : null },
          h("th", { scope: "row" }, h("span", { class: "named" }, name)),
          h("td", {}, percent(row.a)),
          h("td", {}, percent(row.b)),
          h("td", { class: "difference" }, points(row.difference), h("span", { class: "soft" }, ` ${t("compare.interval", { low: points(row.interval[0]), high: points(row.interval[1]) })}`), isEnough ? h("span", { class: "verdict-word" }, judged(row)) : ""),
          h("td", { class: "drawing" }, drawing(row, reach)),
        ),
      ),
    ),
  );
}

/** Whether the interval leaves out zero. */
function isClear({ interval: [low, high] }) {
  return low > 0 || high < 0;
}

function judged(row) {
  if (isClear(row)) return t("compare.clear");
  return t(row.interval.some(Boolean) ? "compare.chance" : "compare.same");
}

/** A difference of shares in percentage points, with its sign: "+12", "−3". */
function points(share) {
  const value = Math.round(100 * share);
  return value > 0 ? `+${value}` : value < 0 ? `−${-value}` : "0";
}

/** The difference as a dot on its interval, zero in the middle. */
function drawing({ difference, interval: [low, high] }, reach) {
  const at = (value) => `${50 + (50 * value) / reach}%`;
  return h(
    "div",
    { class: "whisker", "aria-hidden": "true" },
    h("span", { class: "zero" }),
    h("span", { class: "line", "--from": at(low), "--to": at(high) }),
    h("span", { class: "dot", "--from": at(difference) }),
  );
}

byId("search").addEventListener("input", showJobs);
await loadJobs();
