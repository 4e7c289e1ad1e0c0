/* What opens over the grid: its keys, ways to export, tags, and a preview as large as the window. One at a time, and when it closes the
   focus is back where it was. */

import { button as sign, el } from "./dom.js";
import { fileOf, stars } from "./grid_tiles.js";

/** @typedef {import("./grid.js").Grid} Grid */
/** @typedef {import("./grid_pages.js").Row} Row */
/** @typedef {{ dialog: HTMLDialogElement, stage: HTMLElement, line: HTMLElement, close: () => void }} Preview */

/** More ids than an address holds go as a form. */
const FEW = 2000;

/** A button with words on it. @param {string} label @param {(event: MouseEvent) => unknown} act @param {Given<HTMLButtonElement>} given */
export function button(label, act, given = {}) {
  return el("button", { type: "button", textContent: label, onclick: act, ...given });
}

/** @param {Grid} grid @param {string} name @param {string} label */
function over(grid, name, label) {
  const dialog = el("dialog", { className: name, "aria-label": label });
  dialog.onclose = () => {
    dialog.remove();
    grid.focusCurrent();
  };
  // Beside it is beside its box, from the press to the click: who marks a text drags out of it, and its edge is its own.
  const isBeside = (/** @type {MouseEvent} */ { target, clientX, clientY }) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    return target === dialog && (clientX < left || clientX > right || clientY < top || clientY > bottom);
  };
  let began = false;
  dialog.onpointerdown = event => {
    began = isBeside(event);
  };
  dialog.onclick = event => {
    if (began && isBeside(event)) dialog.close();
  };
  dialog.onkeydown = event => event.stopPropagation();
  grid.root.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A card, with what it is about over what it says. @param {Grid} grid @param {string} label @param {string} title @param {HTMLElement[]} children */
function card(grid, label, title, ...children) {
  const dialog = over(grid, "card", label);
  dialog.append(closer(grid, dialog), el("h2", { textContent: title }), ...children);
  return dialog;
}

/** @param {Grid} grid @param {HTMLDialogElement} dialog */
const closer = (grid, dialog) => sign("✕", grid.words.say("close"), () => dialog.close(), { className: "round close" });

/** @param {Grid} grid */
export function help(grid) {
  const title = grid.words.say("keys"),
    rows = grid.words.words.help.map(([keys, what]) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, ...keys.split(" ").map(key => el("kbd", { textContent: key }))),
        el("td", { textContent: what }),
      ),
    );
  const dialog = card(grid, title, title, el("table", {}, ...rows));
  dialog.onkeydown = event => {
    event.stopPropagation();
    if (event.key === "?") dialog.close();
  };
  dialog.querySelector("button")?.focus();
}

/** Links, so that the browser itself saves what is streamed. @param {Grid} grid */
export function exporting(grid) {
  const { words } = grid,
    ids = [...grid.selection.chosen],
    few = ids.length <= FEW;
  const links = words.words.formats.map(([address, name, what]) => {
    const link = el(
      "a",
      { href: address.replace("{ids}", few ? ids.join(",") : ""), download: "" },
      el("b", { textContent: name }),
      el("span", { textContent: what }),
    );
    link.onclick = event => {
      if (!few) {
        event.preventDefault();
        send(link.href, ids);
      }
      dialog.close();
    };
    return link;
  });
  const dialog = card(
    grid,
    words.say("export"),
    words.count("exporting", ids.length),
    el("div", { className: "formats" }, ...links),
  );
  links[0]?.focus();
}

/** @param {string} action @param {string[]} ids */
function send(action, ids) {
  const form = el("form", { method: "post", action }, el("input", { type: "hidden", name: "ids", value: ids.join(",") }));
  document.body.append(form);
  form.submit();
  form.remove();
}

/** @param {Grid} grid */
export function tags(grid) {
  const ids = grid.targets(),
    { words } = grid;
  if (!ids.length || grid.trash || !grid.may("tag")) return;
  const title = words.count("tagging", ids.length);
  const field = el("input", {
    type: "text",
    "aria-label": words.say("tag"),
    placeholder: words.say("newtag"),
    list: "tags",
    maxLength: 200,
  });
  const offered = el("datalist", { id: "tags" }, ...grid.data.tags.map(value => el("option", { value })));
  const form = el(
    "form",
    { method: "dialog" },
    field,
    el("button", { type: "submit", className: "main", textContent: words.say("add") }),
  );
  form.onsubmit = () => {
    const add = field.value
      .split(",")
      .map(tag => tag.trim())
      .filter(Boolean);
    if (add.length) grid.act("tag", ids, { add });
  };
  card(grid, title, title, el("p", { className: "present" }, ...present(grid, ids)), form, offered);
  field.focus();
}

/** The tags that are there, each a button that takes it away. @param {Grid} grid @param {string[]} ids */
function present(grid, ids) {
  const known = [...new Set(ids.flatMap(id => grid.pages.rows.get(id)?.tags ?? []))].sort();
  return known.map(tag => {
    const made = button(
      tag + " ✕",
      () => {
        grid.act("tag", ids, { remove: [tag] });
        made.remove();
      },
      { "aria-label": grid.words.say("untag", { tag }) },
    );
    return made;
  });
}

// -- the preview --------------------------------------------------------------------------------------------------------------

/** The true pixels, as large as the window; the arrows go on through the grid behind it. @param {Grid} grid */
export function preview(grid) {
  if (grid.shown) {
    grid.shown.close();
    return;
  }
  if (!grid.selection.current) return;
  const { words } = grid,
    dialog = over(grid, "preview", words.say("preview")),
    close = dialog.onclose;
  const stage = el("div", { className: "stage" }),
    line = el("p", { className: "line", dir: "auto" });
  /** @param {number} by @param {string} name @param {string} sign */
  const step = (by, name, sign) =>
    button(sign, () => grid.walk.step(by), { className: "step " + name, "aria-label": words.say(name) });
  dialog.append(stage, line, step(-1, "previous", "‹"), step(1, "next", "›"), closer(grid, dialog));
  dialog.onclose = event => {
    grid.shown = null;
    if (grid.selection.gap) grid.selection.current = null;
    close?.call(dialog, event);
  };
  dialog.onkeydown = event => {
    event.stopPropagation();
    if (!isDialogs(event, dialog)) grid.key(event);
  };
  dialog.onclick = null;
  dialog.tabIndex = -1;
  dialog.focus();
  grid.shown = { dialog, stage, line, close: () => dialog.close() };
  showPreview(grid);
}

/** Whether a key is for the dialog itself, or for one of its buttons. @param {KeyboardEvent} event @param {HTMLDialogElement} dialog */
function isDialogs({ key, target }, dialog) {
  return key === "Escape" || key === "Tab" || (key === "Enter" && target !== dialog && target instanceof HTMLButtonElement);
}

/** Show the current picture, where a preview is open. @param {Grid} grid */
export function showPreview(grid) {
  const { shown, words, selection } = grid,
    row = selection.current && grid.pages.rows.get(selection.current);
  if (!shown || !row) return;
  const { dialog, stage, line } = shown;
  line.textContent = [stars(row.rating), row.favorite ? words.say("favorite") : "", words.type(row), row.model, row.prompt]
    .filter(Boolean)
    .join(" · ");
  line.classList.toggle("picked", selection.has(row.id));
  if (dialog.dataset.id === row.id) return;
  dialog.dataset.id = row.id;
  stage.className = "stage";
  stage.replaceChildren(medium(grid, row, stage));
}

/** @param {Grid} grid @param {Row} row @param {HTMLElement} stage */
function medium({ words }, row, stage) {
  const label = words.label(row);
  if (!row.output) return el("p", { className: "nothing", textContent: `${words.status(row)} · ${row.prompt}` });
  const src = fileOf(row.output);
  if (row.video)
    return el("video", { src, controls: true, autoplay: true, loop: true, muted: true, "aria-label": label, tabIndex: -1 });
  const image = el("img", { alt: label, src, title: words.say("zoom") });
  image.onclick = event => zoomAt(stage, image, event);
  return image;
}

/** One pixel of the file to one of the screen, where the person clicked; again: as large as the window.
 *  @param {HTMLElement} stage @param {HTMLImageElement} image @param {MouseEvent} event */
function zoomAt(stage, image, event) {
  const box = image.getBoundingClientRect(),
    whole = stage.classList.toggle("true");
  image.style.width = whole ? image.naturalWidth / devicePixelRatio + "px" : "";
  if (!whole) return;
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  stage.scrollTo(x * image.clientWidth - stage.clientWidth / 2, y * image.clientHeight - stage.clientHeight / 2);
}
