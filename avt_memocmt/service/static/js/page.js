// What every page needs: its texts, elements, announcements and the switch between light and dark.

/** What the server told the page: strings, emotions, colours, warnings, the id of its job. */
export const known = JSON.parse(document.getElementById("known").textContent);

const plural = new Intl.PluralRules(known.language);

/**
 * A text of the strings file with its {gaps} filled in. With a `count` its form "key.one",
 * "key.other", ... is taken, as the language counts.
 */
export function t(key, gaps = {}) {
  const name = "count" in gaps ? `${key}.${plural.select(gaps.count)}` : key;
  const text = known.strings[name] ?? known.strings[`${key}.other`] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, gap) => String(gaps[gap] ?? ""));
}

/** A message of the server, which begins small because the command line puts "error: " before it. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** An element with properties (`class`, `onclick`, `aria-...`, `--css`) and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of the drawings of icons.svg. */
export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `${new URL("../icons.svg", import.meta.url).pathname}#${name}`);
  svg.append(use);
  return svg;
}

export const byId = (id) => document.getElementById(id);

/** A button that shows only an icon; its name is for screen readers and the tooltip. */
export function iconButton(name, label, onclick, extra = "quiet") {
  return h("button", { type: "button", class: `${extra} square`, "aria-label": label, title: label, onclick }, icon(name));
}

/** Say something to screen readers, at once where it is a problem. */
export function announce(text, isProblem = false) {
  byId(isProblem ? "alarm" : "told").textContent = text;
}

/**
 * Ask in a modal dialog; it answers `true` only for the button that does it.
 * `lines` say what will happen.
 */
export function confirmed(title, lines, action) {
  const no = h("button", { type: "button", autofocus: true }, t("dialog.cancel"));
  const yes = h("button", { type: "button", class: "danger" }, action);
  const dialog = h(
    "dialog",
    { "aria-labelledby": "asked" },
    h("h2", { id: "asked" }, title),
    lines.map((line) => h("p", {}, line)),
    h("div", { class: "buttons" }, no, yes),
  );
  document.body.append(dialog);
  return new Promise((answer) => {
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => dialog.close("yes"));
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
    dialog.showModal();
  });
}

const THEMES = ["auto", "light", "dark"];

function prepareThemeSwitch() {
  const button = byId("theme");
  const root = document.documentElement;
  const show = () => {
    const theme = root.dataset.theme ?? "auto";
    button.replaceChildren(icon(theme));
    button.setAttribute("aria-label", t(`theme.${theme}`));
    button.title = t(`theme.${theme}`);
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "auto") + 1) % THEMES.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    const age = next === "auto" ? 0 : 31_536_000;
    document.cookie = `theme=${next}; path=/; max-age=${age}; samesite=strict`;
    show();
    announce(t(`theme.${next}`));
    document.dispatchEvent(new Event("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.dispatchEvent(new Event("themechange")),
  );
  show();
}

prepareThemeSwitch();
