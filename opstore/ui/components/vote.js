/* Two results, nothing said of who made them, and one key for what somebody thinks of them. */

const booths = new WeakMap();

function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("aria-") || name === "role") made.setAttribute(name, String(value));
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

function shown(side, label, choose) {
  const item = side.video
    ? el("video", { src: side.src, muted: true, loop: true, autoplay: true, playsInline: true, controls: true, "aria-label": label })
    : el("img", { src: side.src, alt: label, draggable: false });
  if (!side.video) item.onclick = choose;
  return el("div", { className: "side" }, item);
}

class Booth {
  constructor(root) {
    this.root = root;
    this.ended = new AbortController();
    document.addEventListener("keydown", event => this.key(event), { signal: this.ended.signal });
  }

  end() { this.ended.abort(); clearInterval(this.overdue); }

  update(data, trigger) {
    this.data = data;
    this.trigger = trigger;
    const { pair, words } = data, print = JSON.stringify([pair.left.id, pair.right.id, data.turn, words]);
    if (print === this.print) return;
    this.print = print;
    this.cast = null;
    clearInterval(this.overdue);
    const press = (text, choice, keys) => el("button", { type: "button", onclick: () => this.choose(choice) }, text,
      ...keys.map(key => el("kbd", { textContent: key, "aria-hidden": "true" })));
    const sides = [shown(pair.left, words.left, () => this.choose("left")), shown(pair.right, words.right, () => this.choose("right"))];
    const acts = [press(words.left, "left", ["1", "←"]), press(words.tie, "tie", ["="]), press(words.right, "right", ["2", "→"]),
      press(words.skip, "skip", ["S"]), press(words.undo, "undo", ["Z"])];
    acts[4].disabled = !data.undo;
    this.root.replaceChildren(el("p", { className: "prompt", textContent: pair.prompt }), el("div", { className: "sides" }, ...sides),
      el("div", { className: "acts", role: "group", "aria-label": words.votes }, ...acts));
    // The next pair is here before it is asked for.
    this.ahead = data.ahead.map(src => Object.assign(new Image(), { src }));
  }

  choose(choice) {
    if (this.cast || (choice === "undo" && !this.data.undo)) return;
    const { left, right } = this.data.pair;
    this.cast = { choice, left: left.id, right: right.id, turn: Date.now() };
    this.root.querySelector(".sides").classList.add(choice === "left" || choice === "right" ? choice : "done");
    const began = Date.now();
    this.overdue = setInterval(() => {  // a run of the page was interrupted before it began: the same vote counts once
      if (Date.now() - began > 20000) { clearInterval(this.overdue); this.cast = null; } else this.trigger("cast", { ...this.cast, again: Date.now() });
    }, 4000);
    this.trigger("cast", this.cast);
  }

  key(event) {
    const from = event.composedPath()[0];
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !this.root.isConnected) return;
    if (/^(input|textarea|select|video)$/i.test(from?.localName ?? "") || document.querySelector('[role="dialog"]')) return;
    const choice = { 1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right", "=": "tie", 0: "tie", s: "skip", z: "undo" }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!choice) return;
    event.preventDefault(); event.stopPropagation();
    this.choose(choice);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let booth = booths.get(parentElement);
  if (!booth) { booth = new Booth(parentElement.querySelector(".root")); booths.set(parentElement, booth); }
  booth.update(data, setTriggerValue);
  return () => { if (!parentElement.isConnected) { booth.end(); booths.delete(parentElement); } };
}
