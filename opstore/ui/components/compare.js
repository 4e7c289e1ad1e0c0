/* The strip above the stage, the keys, and what passes between the page's script and them. */

const benches = new WeakMap();

class Bench {
  constructor(root, data) {
    this.root = root; this.words = data.words; this.print = "";
    this.strip = node("div", { className: "strip", role: "toolbar", "aria-label": data.words.views });
    this.line = node("p", { className: "told", role: "status" });
    const place = node("div", { className: "stage" });
    root.replaceChildren(this.strip, this.line, place);
    this.stage = new Stage(place, data.words, change => this.changed(change));
    this.ended = new AbortController();
    document.addEventListener("keydown", event => this.key(event), { signal: this.ended.signal });
    document.addEventListener("keyup", event => { if (event.key === " ") this.held = false; }, { signal: this.ended.signal });
    this.build();
  }

  end() { this.ended.abort(); this.stage.end(); }

  build() {
    const { words, stage } = this;
    const press = (text, label, act, more = {}) => node("button", { type: "button", textContent: text, title: label, "aria-label": label, onclick: act, ...more });
    this.views = VIEWS.map((view, at) => press(words.names[view], `${words.names[view]} (${at + 1})`, () => stage.look(view)));
    this.pairs = node("select", { "aria-label": words.pair, onchange: () => this.trigger("pair", { value: this.pairs.value, turn: Date.now() }) });
    this.fits = node("select", { "aria-label": words.fit, onchange: () => this.trigger("fit", { value: this.fits.value, turn: Date.now() }) });
    this.opacity = node("input", { type: "range", min: "0", max: "100", value: "50", className: "opacity", "aria-label": words.opacity,
      oninput: () => { stage.opacity = this.opacity.value / 100; stage.paint(); } });
    this.auto = press("⟳", words.auto, () => stage.auto(!stage.blinking), { "aria-pressed": "false" });
    this.percent = press("", words.fitted, () => stage.fit(), { className: "percent" });
    this.previous = press("‹", words.previous, () => this.step(-1));
    this.following = press("›", words.next, () => this.step(1));
    this.panel = press(words.differences, words.differences + " (D)", () => this.trigger("panel", { turn: Date.now() }), { className: "panel" });
    this.full = press("", words.full, () => this.fullscreen(), { className: "full" });
    this.strip.append(
      node("span", { className: "group views", role: "group", "aria-label": words.views }, ...this.views), this.opacity, this.auto, this.pairs, this.fits,
      node("span", { className: "gap" }), node("span", { className: "group" }, press("−", words.smaller, () => stage.zoomTo(stage.zoom / STEP)), this.percent,
        press("+", words.larger, () => stage.zoomTo(stage.zoom * STEP))),
      node("span", { className: "group" }, this.previous, this.following), this.full, this.panel);
  }

  update(data, trigger) {
    this.trigger = trigger;
    this.data = data;
    const print = JSON.stringify([data.layers, data.active, data.fit]);
    options(this.pairs, data.pairs, data.pair);
    options(this.fits, data.fits, data.fit);
    this.pairs.hidden = data.pairs.length < 2;
    this.fits.hidden = data.fits.length < 2;
    this.previous.disabled = !data.previous; this.following.disabled = !data.next;
    this.panel.setAttribute("aria-pressed", String(data.panel));
    if (print === this.print) { if (data.view !== this.sent && data.view !== this.stage.view) this.stage.look(data.view); return; }
    this.print = print;
    this.stage.view = data.view; this.sent = data.view;
    this.stage.show({ ...data, heat: at => this.difference(at) });
    this.mark();
  }

  async difference(at) {
    const { layers, active, frame, fit } = this.data, keys = active.map(number => {
      const { key, kind } = layers[number];
      return kind === "video" ? `${key}@${Math.round(at * 1000)}` : key;
    });
    const reply = await fetch(`/api/compare/${keys.map(encodeURIComponent).join("/")}?${new URLSearchParams(fit ? { fit } : {})}`, { signal: this.ended.signal });
    const answer = await reply.json();
    if (!answer.success) throw new Error(answer.error);
    // The heat map lies in pixels of the first picture, the frame in its own: in shares of the first they meet.
    const { area } = answer.figures, [wide, high] = answer.alignment.first, [x, y, w, h] = frame.first;
    return { src: answer.heat, figures: answer.figures,
      box: [x + area.x / wide * w, y + area.y / high * h, area.width / wide * w, area.height / high * h] };
  }

  changed({ view, zoom, auto, difference }) {
    if (zoom !== undefined) this.percent.textContent = zoom ? `${zoom} %` : "…";
    if (auto !== undefined) this.auto.setAttribute("aria-pressed", String(auto));
    if (view !== undefined) {
      this.mark();
      if (view !== this.sent) { this.sent = view; this.trigger?.("view", { value: view, turn: Date.now() }); }
    }
    if (difference) this.figures = difference;
    this.tell();
  }

  mark() {
    const { view } = this.stage;
    this.views.forEach((item, at) => item.setAttribute("aria-pressed", String(VIEWS[at] === view)));
    this.opacity.hidden = view !== "overlay";
    this.auto.hidden = view !== "blink";
    this.tell();
  }

  tell() {
    const { words } = this, found = this.figures, { view } = this.stage;
    let text = this.data?.note ?? "";
    if (view === "difference" && found) {
      const number = (value, digits) => value.toLocaleString(words.language, { maximumFractionDigits: digits });
      if (found.waiting) text = words.computing;
      else if (found.failed) text = found.failed;
      else {
        const { changed, similarity, colour, width, height } = found.figures;
        const values = { changed: number(changed * 100, changed < 0.1 ? 2 : 1), similarity: number(similarity, 3), colour: number(colour, 2), width: number(width, 0), height: number(height, 0) };
        text = words.figures.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
      }
    } else if (view === "blink") text = [words.blinking, text].filter(Boolean).join(" ");
    if (this.line.textContent !== text) this.line.textContent = text;
  }

  step(by) { if (by < 0 ? this.data.previous : this.data.next) this.trigger("step", { value: by, turn: Date.now() }); }

  fullscreen() {
    if (document.fullscreenElement || this.root.getRootNode().fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.().catch(() => {});
  }

  key(event) {
    const from = event.composedPath()[0], typing = /^(input|textarea|select)$/i.test(from?.localName ?? "");
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.root.isConnected) return;
    if (document.querySelector('[role="dialog"], dialog[open]') || (typing && from.type !== "range")) return;
    const { stage } = this, pressing = from?.localName === "button" || typing;
    const acts = { " ": () => { if (!this.held) stage.blink(); this.held = true; }, 0: () => stage.fit(), "+": () => stage.zoomTo(stage.zoom * STEP),
      "=": () => stage.zoomTo(stage.zoom * STEP), "-": () => stage.zoomTo(stage.zoom / STEP), "−": () => stage.zoomTo(stage.zoom / STEP),
      d: () => this.panel.click(), f: () => this.fullscreen(), ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1) };
    if (!stage.clock.bar.hidden) Object.assign(acts, { ",": () => stage.clock.step(-1), ".": () => stage.clock.step(1), p: () => stage.clock.toggle() });
    VIEWS.forEach((view, at) => { acts[at + 1] = () => stage.look(view); });
    // A focused button keeps Space, a focused range its arrows.
    if ((event.key === " " && pressing) || (event.key.startsWith("Arrow") && typing)) return;
    const act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault(); event.stopPropagation();
    act();
  }
}

function options(select, offered, chosen) {
  const print = JSON.stringify(offered);
  if (select.dataset.print !== print) {
    select.dataset.print = print;
    select.replaceChildren(...offered.map(([value, textContent]) => node("option", { value, textContent })));
  }
  select.value = chosen;
}

export default function ({ data, parentElement, setTriggerValue }) {
  let bench = benches.get(parentElement);
  if (bench && bench.words.language !== data.words.language) { bench.end(); bench = null; }
  if (!bench) { bench = new Bench(parentElement.querySelector(".root"), data); benches.set(parentElement, bench); }
  bench.update(data, setTriggerValue);
  return () => { if (!parentElement.isConnected) { bench.end(); benches.delete(parentElement); } };
}
