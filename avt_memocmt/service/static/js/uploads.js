// Files on their way to the server, one after the other, and what was refused.

import { upload } from "./api.js";
import { progressBar } from "./job_row.js";
import { announce, byId, h, icon, iconButton, t } from "./page.js";
import { percent } from "./wording.js";

const waiting = [];
let isBusy = false;

/** Take files by drop and by choice; `onJob` gets the job that a file became. */
export function prepareUploads(onJob) {
  const zone = byId("dropzone");
  const input = byId("files");
  const take = (files) => {
    waiting.push(...[...files].map((file) => new Upload(file)));
    work(onJob);
  };
  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // so that the same file can be chosen again
  });
  // The whole window takes files, so that a near miss does not leave the page.
  let depth = 0;
  addEventListener("dragenter", () => zone.classList.toggle("over", ++depth > 0));
  addEventListener("dragleave", () => zone.classList.toggle("over", --depth > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    zone.classList.remove("over");
    take(event.dataTransfer.files);
  });
  addEventListener("beforeunload", (event) => {
    if (isBusy) event.preventDefault();
  });
}

async function work(onJob) {
  if (isBusy) return;
  isBusy = true;
  const { transcript, options } = chosenOptions();
  while (waiting.length) await waiting.shift().send(transcript, options, onJob);
  isBusy = false;
}

/** What the form says, as options of a job. */
function chosenOptions() {
  const options = { faces: byId("option-faces").value };
  const speakers = byId("option-speakers").value;
  options.speakers = /^\d+$/.test(speakers) ? Number(speakers) : speakers;
  const confidence = Number(byId("option-confidence").value);
  if (confidence > 0) options.min_confidence = confidence / 100;
  return { transcript: byId("option-transcript").files[0] ?? null, options };
}

class Upload {
  constructor(file) {
    this.file = file;
    this.stop = new AbortController();
    this.state = h("div", { class: "state" }, t("upload.waiting"));
    this.element = h(
      "li",
      { class: "job" },
      h("div", {}, h("span", { class: "name" }, file.name)),
      this.state,
      iconButton("close", t("upload.stop", { name: file.name }), () => this.#close()),
    );
    byId("uploads").append(this.element);
  }

  async send(transcript, options, onJob) {
    if (this.stop.signal.aborted) return;
    for (;;) {
      try {
        const job = await upload(this.file, transcript, options, (share) => this.#show(share), this.stop.signal);
        this.element.remove();
        announce(t("upload.done", { name: this.file.name }));
        onJob(job);
        return;
      } catch (refusal) {
        if (refusal.status !== 429 || this.stop.signal.aborted) return this.#refused(refusal);
        await this.#wait(refusal.retryAfter ?? 10);
      }
      if (this.stop.signal.aborted) return;
    }
  }

  #show(share) {
    const text = share < 1 ? t("upload.sent", { share: percent(share) }) : t("upload.checking");
    this.state.replaceChildren(h("span", {}, text), progressBar(t("upload.progress", { name: this.file.name }), share));
  }

  async #wait(seconds) {
    this.state.textContent = t("upload.full", { count: seconds });
    announce(this.state.textContent);
    await new Promise((resolve) => {
      setTimeout(resolve, 1000 * seconds);
      this.stop.signal.addEventListener("abort", resolve);
    });
  }

  #refused(refusal) {
    if (this.stop.signal.aborted) return;
    this.state.remove();
    this.element.classList.add("failed");
    this.element.append(h("p", { class: "problem" }, icon("warn"), h("span", {}, refusal.message)));
    announce(`${this.file.name}: ${refusal.message}`, true);
  }

  #close() {
    this.stop.abort();
    this.element.remove();
    byId("dropzone").querySelector("input").focus();
  }
}
