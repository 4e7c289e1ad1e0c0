/* What a page does first that opens with the grid: it keeps the keys that the grid knows until its code is there and takes them, and shows
   a frame before Streamlit's scripts take the browser's time: before its first frame a browser hears nobody. */

const KNOWN = /^(arrow(left|right|up|down)|page(up|down)|home|end|enter|delete|escape|[ 0-5?ftcsurx])$/i,
  WITH_CONTROL = /^[az]$/i,
  LONGEST = 20000,
  /** A window that nobody sees draws no frame. */
  UNSEEN = 300;

export function keepKeys() {
  /** @type {KeyboardEvent[]} */
  const kept = [];
  /** @param {KeyboardEvent} event */
  const keep = event => {
    const held = event.ctrlKey || event.metaKey,
      written = !held && event.key.length === 1 && kept.some(({ key }) => key === "/"); // what is searched for
    if (event.altKey || !(written || (held ? WITH_CONTROL : KNOWN).test(event.key))) return;
    kept.push(event);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  const end = () => {
    removeEventListener("keydown", keep, true);
    delete window.opstoreKeys;
    return kept;
  };
  addEventListener("keydown", keep, true);
  setTimeout(end, LONGEST);
  window.opstoreKeys = end;
}

/** Run a script after the first frame. @param {string} address */
export function afterFrame(address) {
  let begun = false;
  const begin = () => {
    if (begun) return;
    begun = true;
    const script = document.createElement("script");
    Object.assign(script, { type: "module", crossOrigin: "", src: address });
    document.head.append(script);
  };
  requestAnimationFrame(() => setTimeout(begin));
  setTimeout(begin, UNSEEN);
}
