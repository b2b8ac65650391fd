// Calls of the REST interface; a refusal is an error whose message can be shown as it is.

import { sentence, t } from "./page.js";

export class Refusal extends Error {
  constructor(sentence, status, retryAfter = null) {
    super(sentence);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** The answer of a call as JSON (null where it has no content); throws a `Refusal`. */
export async function call(method, path, body = undefined) {
  const answer = await fetched(method, path, body);
  return answer.status === 204 ? null : answer.json();
}

/** The answer of a call, whatever it holds; throws a `Refusal`. */
export async function fetched(method, path, body = undefined) {
  const content = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, { method, ...content }).catch(() => {
    throw new Refusal(t("error.unreachable"), 0);
  });
  if (answer.ok) return answer;
  const wait = Number(answer.headers.get("Retry-After")) || null;
  throw new Refusal(sentenceOf(await answer.json().catch(() => null), answer.status), answer.status, wait);
}

/** The answer of an export; one that is still being made is asked for again. */
export async function exported(path) {
  for (;;) {
    try {
      return await fetched("GET", path);
    } catch (refusal) {
      if (refusal.status !== 503) throw refusal;
      await new Promise((resolve) => setTimeout(resolve, 1000 * (refusal.retryAfter ?? 5)));
    }
  }
}

export const jobPath = (id) => `/v1/jobs/${encodeURIComponent(id)}`;

/**
 * Send a file; `onProgress` gets the share sent, 0 to 1. `cancel` (an AbortSignal) stops it.
 * XMLHttpRequest, because fetch does not say how much was sent.
 */
export function upload(file, transcript, options, onProgress, cancel) {
  const form = new FormData();
  form.append("options", JSON.stringify(options));
  if (transcript) form.append("transcript", transcript);
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/jobs");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      if (request.status < 300) return resolve(request.response);
      const wait = Number(request.getResponseHeader("Retry-After")) || null;
      reject(new Refusal(sentenceOf(request.response, request.status), request.status, wait));
    });
    request.addEventListener("error", () => reject(new Refusal(t("error.unreachable"), 0)));
    request.addEventListener("abort", () => reject(new Refusal(t("upload.stopped"), 0)));
    cancel.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/**
 * Hear of jobs as they change. `handlers`: job(Job), deleted(id), explanation({job, utterance, state, progress}),
 * and again(), which is called when a lost connection is back: what happened meanwhile was not heard.
 * A page that is not looked at lets its connection go, because browsers open only six to a server.
 */
export function listen(handlers) {
  let source = null;
  let wasLost = document.hidden;
  const close = () => {
    source?.close();
    wasLost = true;
  };
  const open = () => {
    source = new EventSource("/v1/events");
    const on = (name, take) => source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    if (handlers.job) on("job", handlers.job);
    if (handlers.deleted) on("deleted", ({ id }) => handlers.deleted(id));
    if (handlers.explanation) on("explanation", handlers.explanation);
    source.addEventListener("error", () => (wasLost = true));
    source.addEventListener("open", () => {
      if (wasLost) handlers.again?.();
      wasLost = false;
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  if (!document.hidden) open();
}

function sentenceOf(content, status) {
  const detail = content?.detail;
  if (typeof detail === "string") return sentence(detail);
  return t(status === 413 ? "error.too_large" : "error.status", { status });
}
