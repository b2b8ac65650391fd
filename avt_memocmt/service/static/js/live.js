// Camera and microphone, and the decisions as they come.

import { LiveSession } from "./live_session.js";
import { opinions, warnings } from "./moment_card.js";
import { announce, byId, h, icon, t } from "./page.js";
import { clock, emotionName, percent, swatch, twoDecimals } from "./wording.js";

let session = null;
const decisions = new Map(); // the latest of each utterance, by its number

/** The browser's camera and microphone; the microphone alone where there is no camera. */
async function openDevices(withCamera) {
  if (!navigator.mediaDevices) throw new Error(t("live.insecure"));
  const audio = { echoCancellation: true, noiseSuppression: false, autoGainControl: true };
  try {
    const video = withCamera && { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25 } };
    return await navigator.mediaDevices.getUserMedia({ audio, video });
  } catch (error) {
    if (withCamera && ["NotFoundError", "OverconstrainedError"].includes(error.name)) {
      showNotice(t("live.no_camera"));
      return openDevices(false);
    }
    throw new Error(t(`live.error.${error.name}`) === `live.error.${error.name}` ? error.message : t(`live.error.${error.name}`));
  }
}

async function start() {
  byId("start").disabled = true;
  showNotice("");
  try {
    const stream = await openDevices(byId("source").value === "both");
    decisions.clear();
    byId("decisions").replaceChildren();
    byId("save").hidden = true;
    showPreview(stream);
    session = new LiveSession(stream, { speakers: "auto", faces: "speaking" });
    session.addEventListener("state", ({ detail }) => showState(detail));
    session.addEventListener("decision", ({ detail }) => showDecision(detail));
    session.addEventListener("warning", ({ detail }) => showNotice(detail));
    session.addEventListener("failure", ({ detail }) => showNotice(detail, true));
    session.start();
  } catch (error) {
    byId("start").disabled = false;
    showNotice(error.message, true);
  }
}

function showPreview(stream) {
  const hasPicture = stream.getVideoTracks().length > 0;
  byId("preview").srcObject = stream;
  byId("preview").hidden = !hasPicture;
  byId("no-picture").replaceChildren(icon("voice"), h("p", {}, t("live.listening")));
  byId("no-picture").hidden = hasPicture;
}

function showState(state) {
  const isOver = state === "ended";
  byId("state").dataset.state = state;
  byId("state-text").textContent = t(`live.${state}`);
  byId("start").hidden = !isOver;
  byId("start").disabled = false;
  byId("source-field").hidden = !isOver;
  byId("stop").hidden = isOver;
  byId("stop").disabled = state === "finishing";
  announce(t(`live.${state}`));
  if (isOver || state === "finishing") {
    byId("preview").srcObject = null;
    byId("preview").hidden = true;
    byId("no-picture").hidden = false;
    byId("no-picture").replaceChildren(icon("camera"), h("p", {}, t("live.off")));
  }
  if (!isOver) return;
  offerDecisions();
  byId("start").focus();
}

function showDecision(decision) {
  const isNew = !decisions.has(decision.utterance);
  const before = decisions.get(decision.utterance);
  decisions.set(decision.utterance, decision);
  const row = decisionRow(decision);
  if (isNew) byId("decisions").prepend(row);
  else byId(`decision-${decision.utterance}`)?.replaceWith(row);
  byId("latency").textContent = t("live.latency", { seconds: twoDecimals(decision.latency) });
  byId("waiting").hidden = true;
  showNow(decision);
  const isWorthTelling = decision.event === "final" || (decision.event === "revised" && before?.emotion !== decision.emotion);
  if (isWorthTelling && isHeard(decision)) announce(`${emotionName(decision.emotion)} ${percent(decision.confidence)}. ${decision.text}`);
}

function showNow(decision) {
  const isLatest = decision.utterance === Math.max(...decisions.keys());
  if (!isLatest) return;
  byId("now").replaceChildren(
    h("p", { class: "eyebrow" }, [clock(decision.start), decision.speaker, t(`live.event.${decision.event}`)].filter(Boolean).join(" · ")),
    isHeard(decision)
      ? h("h2", { class: "verdict" }, swatch(decision.emotion), h("span", {}, emotionName(decision.emotion)), h("span", { class: "chance" }, percent(decision.confidence)))
      : h("h2", { class: "verdict" }, h("span", {}, t("live.unheard"))),
    decision.text ? h("blockquote", { class: "quote" }, decision.text) : "",
    isHeard(decision) ? opinions(decision) : "",
    warnings(decision.warnings),
  );
}

/** Whether there was a voice, a word or a face to judge; the network also names what a noise is likest to. */
function isHeard({ warnings: names, modalities }) {
  return !names.includes("no_speech") || modalities.visual.present || modalities.text.present;
}

function decisionRow(decision) {
  return h(
    "li",
    { class: `decision ${decision.event}`, id: `decision-${decision.utterance}` },
    h("p", { class: "decision-head" },
      isHeard(decision) ? swatch(decision.emotion) : "",
      h("b", {}, isHeard(decision) ? `${emotionName(decision.emotion)} ${percent(decision.confidence)}` : t("live.unheard")),
      h("span", { class: "soft" }, [clock(decision.start), decision.speaker].filter(Boolean).join(" · ")),
      h("span", { class: "kind" }, t(`live.event.${decision.event}`)),
    ),
    decision.text ? h("p", { class: "said" }, decision.text) : "",
  );
}

function showNotice(sentence, isProblem = false) {
  const notice = byId("notice");
  notice.hidden = !sentence;
  notice.classList.toggle("bad", isProblem);
  notice.replaceChildren(icon("warn"), h("span", {}, sentence));
  if (sentence) announce(sentence, isProblem);
}

/** A file of the decisions, one JSON object a line, as `avt-memocmt stream` writes them. */
function offerDecisions() {
  if (!decisions.size) return;
  const lines = [...decisions.values()].map(({ type, sequence, latency, ...line }) => `${JSON.stringify(line)}\n`);
  const link = byId("save");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.hidden = false;
}

byId("start").addEventListener("click", start);
byId("stop").addEventListener("click", () => session.stop());
addEventListener("pagehide", () => session?.stop());
byId("no-picture").replaceChildren(icon("camera"), h("p", {}, t("live.off")));
