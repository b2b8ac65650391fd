// Exports by one click: made by the server, which may take a while, then saved by the browser.

import { exported } from "./api.js";
import { announce, h, t } from "./page.js";

/** Let the links of the list fetch their files, so that waiting and refusals are seen. */
export function prepareExports(list, tell) {
  list.addEventListener("click", async (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.getAttribute("aria-busy") === "true") return;
    link.setAttribute("aria-busy", "true");
    const title = link.querySelector("b").textContent;
    announce(t("export.making", { name: title }));
    try {
      const answer = await exported(link.getAttribute("href"));
      save(await answer.blob(), fileName(answer.headers.get("Content-Disposition")));
      announce(t("export.done", { name: title }));
    } catch (refusal) {
      tell(`${title}: ${refusal.message}`, true);
    } finally {
      link.removeAttribute("aria-busy");
    }
  });
}

function save(content, name) {
  const address = URL.createObjectURL(content);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** The file's name out of a Content-Disposition header. */
function fileName(header) {
  const encoded = /filename\*=utf-8''([^;]+)/i.exec(header ?? "");
  if (encoded) return decodeURIComponent(encoded[1]);
  return /filename="([^"]*)"/i.exec(header ?? "")?.[1] ?? "result";
}
