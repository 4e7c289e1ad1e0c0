/* The sliders of a shared page and of an offline bundle: drag, touch, keys; nothing is loaded that is not named in the page. The pairs
   stand in the page already, among its text, and wheel and fingers scroll it: so this is no stage to zoom in (compare_stage.js), of
   which it has the divider alone. */

import { Divider } from "../browser/divider.js";

/**
 * The place of each picture is kept before it has arrived, so that nothing below it moves: as large as it is, as far as it fits.
 *
 * @param {HTMLElement} picture
 */
function place(picture) {
  const [wide, high] = ["width", "height"].map(name => Number(picture.getAttribute(name)));
  picture.style.width = wide && high ? `min(100%, ${wide}px, ${((78 * wide) / high).toFixed(3)}vh)` : "";
}

/**
 * @template {HTMLElement} [E=HTMLElement]
 * @param {ParentNode} within
 * @param {string} selector
 * @returns {E[]}
 */
function all(within, selector) {
  /** @type {NodeListOf<E>} */
  const found = within.querySelectorAll(selector);
  return [...found];
}

/** @param {Element} figure */
function slide(figure) {
  const [pair] = all(figure, ".pair"),
    [handle] = all(pair, ".divider"),
    [note] = all(figure, ".note");
  /** @type {HTMLImageElement[]} */
  const [left] = all(pair, ".left");
  /** @type {HTMLImageElement[]} */
  const [right] = all(pair, ".right");
  /** @type {Record<string, HTMLImageElement>} */
  const sides = { left, right };
  /** @type {Record<string, HTMLElement>} */
  const tags = { left: all(pair, ".tag.l")[0], right: all(pair, ".tag.r")[0] };

  const divider = new Divider(handle, () => pair.style.setProperty("--at", `${divider.at * 100}%`));
  const follow = (/** @type {PointerEvent} */ event) => {
    const { left: from, right: to } = pair.getBoundingClientRect();
    divider.dragTo(event.clientX, from, to);
  };

  pair.onpointerdown = event => {
    if (event.button || figure.classList.contains("beside")) return;
    if (event.pointerType !== "touch" || event.target === handle) pair.setPointerCapture(event.pointerId);
    follow(event);
    handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  };
  pair.onpointermove = event => {
    if (event.buttons && !figure.classList.contains("beside")) follow(event);
  };
  /* Two of other shapes are shown whole, centred, and that is said. */
  const shape = () => {
    const ratio = (/** @type {Element} */ picture) =>
      Number(picture.getAttribute("width")) / Number(picture.getAttribute("height")) || 0;
    const [one, other] = [ratio(left), ratio(right)];
    note.hidden = !one || !other || Math.abs(one / other - 1) < 0.01;
  };
  /* Another picture on one side: the places of both are in the buttons. */
  const buttons = all(figure, "button[data-side]");
  const choose = (/** @type {HTMLElement} */ button) => {
    const { side = "", source = "", label = "", alt = "", wide, high } = button.dataset,
      picture = sides[side];
    picture.src = source;
    picture.alt = alt;
    tags[side].textContent = label;
    for (const [name, value] of [
      ["width", wide],
      ["height", high],
    ]) {
      if (name && value) picture.setAttribute(name, value);
      else if (name) picture.removeAttribute(name);
    }
    if (side === "right") place(picture);
    for (const other of buttons) if (other.dataset.side === side) other.setAttribute("aria-pressed", String(other === button));
    shape();
  };
  for (const button of buttons) button.onclick = () => choose(button);
  const views = all(figure, "button[data-view]");
  for (const button of views) {
    button.onclick = () => {
      figure.classList.toggle("beside", button.dataset.view === "beside");
      for (const other of views) other.setAttribute("aria-pressed", String(other === button));
    };
  }
  shape();
}

/**
 * Videos beside each other run together.
 *
 * @param {Element} row
 */
function together(row) {
  /** @type {HTMLVideoElement[]} */
  const videos = all(row, "video");
  const [button] = row.parentElement ? all(row.parentElement, ".play") : [];
  const at = () => videos[0].currentTime;
  button.onclick = () => {
    const start = videos.some(video => video.paused);
    for (const video of videos) {
      if (!start) {
        video.pause();
        continue;
      }
      video.currentTime = at();
      video.play();
    }
  };
  videos[0].onseeking = () => {
    for (const video of videos.slice(1)) video.currentTime = at();
  };
}

for (const picture of all(document, ".right, .whole > img, .whole > video")) place(picture);
for (const figure of all(document, ".compare")) slide(figure);
for (const row of all(document, ".together")) together(row);

/* Times in the zone and the words of whoever looks. */
/** @type {NodeListOf<HTMLTimeElement>} */
const times = document.querySelectorAll("time");
for (const time of times) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) continue;
  time.textContent = moment.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
}
