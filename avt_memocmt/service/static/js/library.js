// The first page: drop a file; all earlier work, as it changes.

import { call, jobPath, listen } from "./api.js";
import { JobRow } from "./job_row.js";
import { announce, byId, confirmed, t } from "./page.js";
import { prepareUploads } from "./uploads.js";

const list = byId("jobs");
const rows = new Map();
let next = null;
let search = "";

function show(job, atTop) {
  const known = rows.get(job.id);
  if (known) return known.update(job);
  const row = new JobRow(job, { remove: askToDelete, cancel });
  rows.set(job.id, row);
  if (atTop) list.prepend(row.element);
  else list.append(row.element);
  return row;
}

function forget(id) {
  rows.get(id)?.element.remove();
  rows.delete(id);
  showEmptiness();
}

function showEmptiness() {
  const empty = byId("empty");
  empty.hidden = rows.size > 0;
  empty.textContent = t(search ? "library.nothing_found" : "library.empty");
  byId("further").hidden = next === null;
}

/** Read the list anew, or what follows in it. */
async function load(isFurther = false) {
  const wanted = search;
  const query = new URLSearchParams({ limit: "50" });
  if (wanted) query.set("search", wanted);
  if (isFurther && next) query.set("after", next);
  try {
    const answer = await call("GET", `/v1/jobs?${query}`);
    if (wanted !== search) return; // typed on meanwhile
    if (!isFurther) {
      rows.clear();
      list.replaceChildren();
    }
    answer.jobs.forEach((job) => show(job, false));
    next = answer.next;
    showProblem("");
    if (wanted) announce(t("library.found", { count: rows.size }));
  } catch (refusal) {
    showProblem(refusal.message);
  }
  showEmptiness();
}

function showProblem(sentence) {
  const problem = byId("problem");
  problem.hidden = !sentence;
  problem.lastElementChild.textContent = sentence;
}

async function askToDelete(job) {
  const lines = [t("delete.what"), t("delete.for_good")];
  if (!(await confirmed(t("delete.title", { name: job.name }), lines, t("delete.yes")))) return;
  try {
    await call("DELETE", jobPath(job.id));
    forget(job.id);
    announce(t("delete.done", { name: job.name }));
    byId("library-title").focus();
  } catch (refusal) {
    announce(refusal.message, true);
    showProblem(refusal.message);
  }
}

async function cancel(job) {
  const lost = job.revision > 0 ? [t("stop.corrected")] : [t("stop.what")];
  if (job.state === "in_progress" && !(await confirmed(t("stop.title", { name: job.name }), lost, t("stop.yes")))) return;
  try {
    show(await call("POST", `${jobPath(job.id)}/cancel`), false);
  } catch (refusal) {
    showProblem(refusal.message);
  }
}

let typing;
byId("search").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    search = event.target.value.trim();
    load();
  }, 150);
});
byId("further").addEventListener("click", () => load(true));

listen({
  job: (job) => {
    const isShown = rows.has(job.id);
    const isSought = job.name.toLowerCase().includes(search.toLowerCase());
    if (!isShown && !isSought) return;
    const before = rows.get(job.id)?.job.state;
    show(job, true);
    if (job.state !== before && before !== undefined) announce(t(`told.${job.state}`, { name: job.name }));
    showEmptiness();
  },
  deleted: forget,
  again: () => load(),
});
prepareUploads((job) => {
  show(job, true);
  showEmptiness();
});
await load();
