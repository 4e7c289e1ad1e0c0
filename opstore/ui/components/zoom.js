/* Listens to clicks on the drawer's pictures, which are plain elements of the page, and shows them in a window of its own. */

const mounted = new WeakMap();

function made(tag, given, ...children) {
  const item = Object.assign(document.createElement(tag), given);
  item.append(...children);
  return item;
}

const pictures = place => [...document.querySelectorAll(`.st-key-opened ${place} .ops-media img`)];

function open(root, picture, words, compare) {
  const given = compare ? pictures(".st-key-inputs")[0] : null, result = picture ?? pictures("")[0];
  if (!result) return;
  const after = made("img", { className: "after", src: result.src, alt: result.alt });
  const stage = made("div", { className: "stage" }, after), line = made("div", { className: "line" });
  const dialog = made("dialog", { ariaLabel: words.zoom, tabIndex: -1 }, stage, line);
  const blink = on => stage.classList.toggle("blink", on);
  line.append(made("span", { textContent: given ? words.hint : words.plain }));
  if (given && given.src !== result.src) {
    stage.append(made("img", { className: "before", src: given.src, alt: given.alt }));
    const hold = made("button", { type: "button", textContent: words.before });
    hold.onpointerdown = () => blink(true);
    hold.onpointerup = hold.onpointerleave = () => blink(false);
    hold.onkeydown = event => { if (event.key === "Enter" || event.key === " ") blink(true); };
    hold.onkeyup = () => blink(false);
    line.append(hold);
  }
  line.append(made("button", { type: "button", textContent: words.close, onclick: () => dialog.close() }));
  after.onclick = event => {
    const box = after.getBoundingClientRect(), whole = stage.classList.toggle("true");
    after.style.width = whole ? after.naturalWidth / devicePixelRatio + "px" : "";
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    stage.scrollTo(x * after.clientWidth - stage.clientWidth / 2, y * after.clientHeight - stage.clientHeight / 2);
  };
  // The drawer behind must not take these keys for its own: Escape would close it as well.
  dialog.onkeydown = event => {
    event.stopPropagation();
    if (event.key.toLowerCase() === "b") blink(true);
    if (event.key === "Escape") { event.preventDefault(); dialog.close(); }
  };
  dialog.onkeyup = event => { event.stopPropagation(); blink(false); };
  dialog.onclose = () => { dialog.remove(); root.querySelector("button")?.focus(); };
  root.append(dialog);
  dialog.showModal();
  dialog.focus();
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root"), { words, compare } = data;
  if (!root.firstChild) root.append(made("button", { type: "button" }));
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
