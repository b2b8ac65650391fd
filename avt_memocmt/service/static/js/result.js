// The page of one result: the film beside its timeline, each following the other.

import { call, exported, jobPath, listen } from "./api.js";
import { Corrections } from "./corrections.js";
import { prepareExports } from "./exports.js";
import { FaceBoxes } from "./face_boxes.js";
import { Film } from "./film.js";
import { progressBar, progressText } from "./job_row.js";
import { Jumps } from "./jumps.js";
import { Lanes, zoomButtons } from "./lanes.js";
import { MomentCard, warnings } from "./moment_card.js";
import { Overview } from "./overview.js";
import { announce, byId, confirmed, h, icon, iconButton, known, sentence, t } from "./page.js";
import { Prediction } from "./prediction.js";
import { UtteranceList } from "./utterance_list.js";
import { Why } from "./why.js";
import { clock, emotionName, percent, when } from "./wording.js";

const path = jobPath(known.job);
const corrections = new Corrections(path, byId("corrected"), restoreAll);
let job = null;
let view = null; // what shows the prediction, once there is one
let corrected = null; // what is awaited: the time of the corrected utterance, all of them as they were

/** Everything that shows the prediction. */
class View {
  constructor(prediction) {
    this.prediction = prediction;
    this.film = new Film(byId("film"), prediction.duration);
    this.boxes = new FaceBoxes(byId("boxes"), prediction);
    this.why = new Why(known.job, prediction);
    this.card = new MomentCard(byId("moment"), prediction, {
      correct: saveWords,
      restore: restoreWords,
      recognised: (at) => corrections.of(at),
      explain: (index) => this.why.open(index),
    });
    const choose = (index) => this.choose(index);
    this.list = new UtteranceList(byId("utterances"), byId("search"), byId("count"), prediction, choose);
    this.jumps = new Jumps(byId("jumps"), byId("jump-told"), prediction, choose);
    if (prediction.duration > 0) {
      this.overview = new Overview(byId("overview"), prediction, this.film);
      this.lanes = new Lanes(byId("lanes"), known.job, prediction, this.film, {
        rename: saveName,
        onWindow: (from, to) => this.overview.showWindow(from, to),
      });
      byId("zoom").replaceChildren(...zoomButtons(this.lanes));
    }
    this.film.addEventListener("time", () => this.follow());
    this.follow();
  }

  /** Go to an utterance. */
  choose(index) {
    this.film.seek(this.prediction.utterances[index].start);
  }

  /** Show the moment everywhere; what is costly only where the utterance changed. */
  follow() {
    const { time } = this.film;
    this.overview?.show(time);
    this.lanes?.reach(time);
    this.lanes?.show(time);
    this.boxes.show(time);
    const index = this.prediction.indexAt(time);
    const isSpoken = this.prediction.isSpokenAt(index, time);
    if (index === this.index && isSpoken === this.isSpoken) return;
    [this.index, this.isSpoken] = [index, isSpoken];
    cancelAnimationFrame(this.showing);
    this.showing = requestAnimationFrame(() => {
      this.list.mark(index, isSpoken); // first, because it asks for the layout, which the card changes
      this.card.show(index, isSpoken);
      this.lanes?.mark(index);
    });
  }

  /** Show another prediction of the same file. */
  replace(prediction) {
    for (const part of [this, this.boxes, this.why, this.card, this.list, this.jumps, this.overview, this.lanes]) {
      if (part) part.prediction = prediction;
    }
    this.index = undefined;
    byId("jump-told").textContent = t("jump.hint"); // what it told may be so no more
    this.card.update();
    this.list.update();
    this.overview?.update();
    this.lanes?.update();
    this.follow();
    this.why.renew();
  }
}

function showJob() {
  byId("name").textContent = job.name;
  document.title = `${job.name} · AVT-MemoCMT`;
  const facts = [job.kind && t(`kind.${job.kind}`), job.duration && clock(job.duration), when(job.created)];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  const isAtWork = job.state === "queued" || job.state === "in_progress";
  byId("pending").hidden = view !== null || job.state === "completed";
  byId("to-exports").hidden = view === null;
  byId("delete").hidden = false;
  if (view === null) showPending(isAtWork);
  else if (job.state === "failed") tell(sentence(job.error), true);
  else if (isAtWork) tell(t("edit.deciding"), false, true);
}

function showPending(isAtWork) {
  const parts = [h("p", { class: "pending-title" }, t(`state.${job.state}`))];
  if (isAtWork) {
    const share = job.state === "in_progress" ? job.progress : null;
    parts.push(progressBar(t("job.progress", { name: job.name }), share));
    if (share !== null) parts.push(h("p", { class: "soft" }, progressText(job)));
    parts.push(h("p", { class: "soft" }, t("result.pending")));
  }
  if (job.error) parts.push(h("p", {}, sentence(job.error)));
  byId("pending").replaceChildren(...parts);
}

/** What became of a correction, in sight wherever on the page it was made. */
function tell(text, isProblem = false, isWaiting = false) {
  const notice = byId("notice");
  notice.hidden = !text;
  notice.classList.toggle("bad", isProblem);
  notice.replaceChildren(
    isProblem ? icon("warn") : "",
    h("div", {}, text, isWaiting ? progressBar(text, null) : ""),
    iconButton("close", t("dialog.close"), () => tell("")),
  );
  if (text) announce(text, isProblem);
}

/** Read the prediction and show it. */
async function loadPrediction() {
  const prediction = new Prediction(await call("GET", `${path}/prediction`));
  corrections.update(job, prediction);
  if (view) return view.replace(prediction);
  byId("result").hidden = byId("to-exports").hidden = false;
  byId("pending").hidden = true;
  prepareMedia(prediction);
  view = new View(prediction);
  byId("warnings").replaceChildren(warnings(prediction.warnings));
  bindKeys();
  performance.mark("result-shown");
  if (job.kind !== "audio" && prediction.faces.length) {
    view.boxes.take(await call("GET", `${path}/frames`).catch(() => ({ picture: null, faces: [] })));
  }
}

function prepareMedia(prediction) {
  const stage = byId("stage");
  const film = byId("film");
  stage.classList.add(job.kind ?? "video");
  if (job.kind === "image") {
    film.replaceWith(h("img", { src: `${path}/media`, alt: job.name, id: "film", class: "photo" }));
    byId("transport").hidden = true;
    byId("timeline").hidden = true;
    return;
  }
  film.append(h("track", { kind: "captions", src: `${path}/exports/vtt`, srclang: "und", label: t("film.captions") }));
  film.addEventListener("error", () => showUnplayable(film));
  film.src = `${path}/media`;
  byId("boxes-on").hidden = job.kind === "audio" || !prediction.faces.length;
  byId("boxes-on").addEventListener("click", (event) => {
    view.boxes.isOn = !view.boxes.isOn;
    event.currentTarget.setAttribute("aria-pressed", `${view.boxes.isOn}`);
    view.boxes.show(view.film.time);
  });
}

function showUnplayable(film) {
  const isTried = film.src.startsWith("blob:");
  const make = h("button", { type: "button", onclick: () => playOverlay(film, make) }, t("film.make"));
  byId("unplayable").hidden = false;
  byId("unplayable").replaceChildren(h("p", {}, t("film.unplayable")), job.kind === "video" && !isTried ? make : "");
}

/** Play the film with the answer on it, which is of a kind that browsers play. */
async function playOverlay(film, button) {
  button.disabled = true;
  button.textContent = t("film.making");
  try {
    const answer = await exported(`${path}/exports/overlay`);
    film.addEventListener("loadedmetadata", () => (byId("unplayable").hidden = true), { once: true });
    film.src = URL.createObjectURL(await answer.blob());
  } catch (refusal) {
    tell(refusal.message, true);
  }
}

/** Give a speaker another name; "" gives the one back that was recognised. */
async function saveName(speaker, name) {
  try {
    if (name) job = await call("POST", `${path}/corrections`, { names: { [speaker]: name } });
    else job = await call("DELETE", `${path}/corrections/names/${encodeURIComponent(speaker)}`);
    await loadPrediction();
    tell(t("edit.named", { name: view.prediction.name(speaker) }));
  } catch (refusal) {
    tell(refusal.message, true);
  }
}

async function saveWords(index, text, speaker) {
  const changed = { utterances: [{ index, text, speaker }] };
  await decideAnew(index, { text, speaker, text_source: "given" }, () => call("POST", `${path}/corrections`, changed));
}

async function restoreWords(index) {
  const { text, speaker, text_source } = corrections.of(index);
  const restored = () => call("DELETE", `${path}/corrections/utterances/${index}`);
  await decideAnew(index, { text, speaker, text_source }, restored);
}

/** Let an utterance be decided on anew: its words are shown at once, the decision when it is made. */
async function decideAnew(index, said, asked) {
  const { utterances } = view.prediction;
  corrected = { start: utterances[index].start, utterances };
  try {
    job = await asked();
    if (job.state === "completed") {
      await loadPrediction();
      return tellDecision();
    }
    Object.assign(utterances[index], said);
    view.replace(view.prediction);
    showJob();
  } catch (refusal) {
    corrected = null;
    tell(refusal.message, true);
  }
}

async function restoreAll() {
  if (!(await confirmed(t("restore.title"), [t("restore.what")], t("restore.yes")))) return;
  try {
    job = await call("DELETE", `${path}/corrections`);
    await loadPrediction();
    showJob();
    tell(t("restore.done"));
  } catch (refusal) {
    tell(refusal.message, true);
  }
}

function tellDecision() {
  if (job.error) return tell(sentence(job.error), true);
  if (!corrected) return tell("");
  const { prediction } = view;
  const index = prediction.indexAt(corrected.start);
  const was = corrected.utterances.find((spoken) => spoken.start === corrected.start);
  const sentences = [t("edit.decided", { now: verdict(prediction.utterances[index]), before: verdict(was) })];
  const others = corrected.utterances.filter((spoken) => {
    const now = prediction.utterances[prediction.indexAt(spoken.start)];
    return spoken !== was && verdict(now) !== verdict(spoken);
  });
  if (others.length) sentences.push(t("edit.others", { count: others.length }));
  corrected = null;
  tell(sentences.join(" "));
  view.choose(index);
}

const verdict = ({ emotion, confidence }) => `${emotionName(emotion)} ${percent(confidence)}`;

async function heard(changed) {
  if (changed.id !== known.job) return;
  const wasAtWork = job.state === "queued" || job.state === "in_progress";
  const isNewer = changed.revision !== job.revision;
  job = changed;
  showJob();
  if (job.state !== "completed" || !(wasAtWork || isNewer || view === null)) return;
  await loadPrediction();
  if (wasAtWork && view) tellDecision();
}

async function remove() {
  if (!(await confirmed(t("delete.title", { name: job.name }), [t("delete.what"), t("delete.for_good")], t("delete.yes")))) return;
  try {
    await call("DELETE", path);
    location.assign("/");
  } catch (refusal) {
    tell(refusal.message, true);
  }
}

/** Space and arrows work wherever nothing else wants them. */
function bindKeys() {
  document.addEventListener("keydown", (event) => {
    const isTaken = event.target.closest("input, textarea, select, dialog, video");
    if (isTaken || event.altKey || event.ctrlKey || event.metaKey) return;
    const { film, index, prediction, lanes } = view;
    const last = prediction.utterances.length - 1;
    const isOnButton = event.target.closest("button, a, summary");
    if (event.key === " " && !isOnButton) film.toggle();
    else if (event.key === "ArrowRight" && index < last) view.choose(film.time < prediction.utterances[0].start ? 0 : index + 1);
    else if (event.key === "ArrowLeft" && index >= 0 && last >= 0) view.choose(Math.max(0, index - 1));
    else if (event.key === "+") lanes?.zoom(0.5);
    else if (event.key === "-") lanes?.zoom(2);
    else return;
    event.preventDefault();
  });
}

async function load() {
  try {
    job = await call("GET", path);
    showJob();
    if (job.state === "completed" || job.revision > 0) await loadPrediction();
  } catch (refusal) {
    byId("pending").hidden = false;
    const reason = refusal.status === 404 ? t("result.gone") : refusal.message;
    byId("pending").replaceChildren(h("p", {}, reason), h("a", { href: "/", class: "button" }, t("result.back")));
    byId("name").textContent = t("title.result");
  }
}

byId("delete").addEventListener("click", remove);
prepareExports(byId("export-list"), tell);
await load();
listen({
  job: heard,
  deleted: (id) => id === known.job && location.assign("/"),
  explanation: (event) => view?.why.heard(event),
  again: async () => {
    await load();
    if (corrected && job?.state === "completed") tellDecision();
    await view?.why.refresh();
  },
});
