/* Listens to clicks on the drawer's pictures, which are plain elements of the page, and shows them on a stage of the whole window:
   the result, and at a key's press what it was made from, in the same place and at the same size. */

const mounted = new WeakMap();

const pictures = place => [...document.querySelectorAll(`.st-key-opened ${place} .ops-media img`)];
const shape = image => (image.naturalWidth || 1) / (image.naturalHeight || 1);

/* A picture as a layer of a frame of width by height `ratio`: as large as fits, in the middle. */
function layer(image, ratio, label) {
  const wide = Math.min(1, shape(image) / ratio), high = Math.min(1, ratio / shape(image));
  return { src: image.src, alt: image.alt, kind: "image", label, box: [(1 - wide) / 2, (1 - high) / 2, wide, high] };
}

function open(root, picture, words, compare) {
  const result = picture ?? pictures("")[0], given = compare ? pictures(".st-key-inputs")[0] : null;
  if (!result) return;
  const before = given && given.src !== result.src ? [layer(given, shape(result), words.before)] : [];
  const press = (text, label, act, more = {}) => node("button", { type: "button", textContent: text, title: label, "aria-label": label, onclick: act, ...more });
  const place = node("div", { className: "stage" }), line = node("div", { className: "line" });
  const dialog = node("dialog", { "aria-label": words.zoom, tabIndex: -1 }, place, line);
  const percent = press("", words.fitted, () => stage.fit(), { className: "percent" });
  const stage = new Stage(place, words, ({ zoom }) => { if (zoom !== undefined) percent.textContent = zoom ? `${zoom} %` : "…"; });
  const larger = () => stage.zoomTo(stage.zoom * STEP), smaller = () => stage.zoomTo(stage.zoom / STEP);
  const blink = on => { if (before.length) { stage.shown = Number(on); stage.paintBlink(); } };
  line.append(node("span", { className: "hint", textContent: before.length ? words.hint : words.plain }));
  if (before.length) {
    const hold = press(words.before, words.before);
    hold.onpointerdown = () => blink(true);
    hold.onpointerup = hold.onpointerleave = hold.onpointercancel = () => blink(false);
    hold.oncontextmenu = () => false;
    hold.onkeydown = event => { if (event.key === "Enter" || event.key === " ") blink(true); };
    line.append(hold);
  }
  line.append(node("span", { className: "group" }, press("−", words.smaller, smaller), percent, press("+", words.larger, larger)),
    press(words.close, words.close, () => dialog.close()));
  const keys = { "+": larger, "=": larger, "-": smaller, "−": smaller, 0: () => stage.fit(), 1: () => stage.trueSize(stage.panes[0]), b: () => blink(true),
    ArrowLeft: () => stage.pan(-0.2, 0), ArrowRight: () => stage.pan(0.2, 0), ArrowUp: () => stage.pan(0, -0.2), ArrowDown: () => stage.pan(0, 0.2),
    Escape: () => dialog.close() };
  // The drawer behind must not take these keys for its own: Escape would close it as well.
  dialog.onkeydown = event => {
    event.stopPropagation();
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key] ?? keys[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  };
  dialog.onkeyup = event => { event.stopPropagation(); blink(false); };
  dialog.onclose = () => { stage.end(); dialog.remove(); root.querySelector("button")?.focus(); };
  root.append(dialog);
  dialog.showModal();
  dialog.focus();
  stage.view = "blink";
  stage.show({ layers: [layer(result, shape(result), before.length ? words.after : ""), ...before], ratio: shape(result), active: [0] });
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root"), { words, compare } = data;
  if (!root.firstChild) root.append(node("button", { type: "button" }));
  const button = root.firstChild;
  button.textContent = words.zoom;
  button.onclick = () => open(root, null, words, compare);
  const before = mounted.get(parentElement);
  if (before) document.removeEventListener("click", before);
  const listen = event => {
    const picture = event.target.closest?.(".st-key-opened .ops-media img");
    if (picture) open(root, picture, words, compare && !picture.closest(".st-key-inputs"));
  };
  mounted.set(parentElement, listen);
  document.addEventListener("click", listen);
  return () => { if (!parentElement.isConnected) document.removeEventListener("click", mounted.get(parentElement)); };
}
