/* Pictures laid on each other: one stage, five ways to look, zoom and pan shared by all of them. It knows the page's elements
   only, no Streamlit, so that it can stand in any page. Stored text enters it as text. */

const VIEWS = ["slider", "side", "blink", "overlay", "difference"];
const MOST = 32, STEP = 1.25;

function node(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("aria-") || name === "role") made.setAttribute(name, String(value));
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

class Stage {
  /* `place` is an empty element; `told` is called with what a person changed: view, zoom, time. */
  constructor(place, words, told = () => {}) {
    this.place = place; this.words = words; this.told = told;
    this.view = "slider"; this.at = 0.5; this.opacity = 0.5; this.shown = 1; this.zoom = 1; this.centre = [0.5, 0.5];
    this.layers = []; this.active = [0, 1]; this.ratio = 1; this.panes = []; this.pointers = new Map();
    this.panesPlace = node("div", { className: "panes" });
    this.clock = new Clock(this);
    place.replaceChildren(this.panesPlace, this.clock.bar);
    this.ended = new AbortController();
    this.sized = new ResizeObserver(() => this.layout());
    this.sized.observe(this.panesPlace);
    this.listen();
  }

  end() { this.ended.abort(); this.sized.disconnect(); this.clock.stop(); clearInterval(this.blinking); }

  /* Show `layers` ({ src, kind, label, alt, box } with box as shares of the frame) in a frame of width by height `ratio`; the two
     of `active` stand against each other. `heat` gives the address of the difference at a time, and its figures. */
  show({ layers, ratio, active = [0, 1], heat = null }) {
    this.layers = layers; this.ratio = ratio; this.active = active.filter(at => at < layers.length); this.heat = heat;
    this.shown = this.active.at(-1) ?? 0;
    this.fit(false);
    this.clock.reset(layers);
    this.build();
  }

  look(view) {
    if (!VIEWS.includes(view)) return;
    this.view = view;
    this.auto(false);
    this.build();
    this.told({ view });
  }

  // -- building -----------------------------------------------------------------------------------------------------------------

  build() {
    const { view } = this, [one, other] = this.active;
    this.place.dataset.view = view;
    const wanted = view === "side" ? this.layers.map((_, at) => [at]) : view === "blink" ? [this.layers.map((_, at) => at)]
      : view === "difference" ? [[one]] : [[one, other ?? one]];
    const videos = new Map([...this.place.querySelectorAll("video")].map(item => [item.dataset.src, item]));
    this.panes = wanted.map(ats => this.pane(ats, videos));
    this.panesPlace.replaceChildren(...this.panes.map(pane => pane.element));
    if (view === "slider") this.divide();
    if (view === "difference") this.askDifference();
    this.layout();
    this.clock.join([...this.place.querySelectorAll("video")]);
  }

  pane(ats, videos) {
    const world = node("div", { className: "world" }), labels = node("div", { className: "labels" });
    const items = ats.map(at => {
      const layer = this.layers[at], [x, y, w, h] = layer.box;
      const item = this.element(layer, videos);
      item.className = "layer";
      Object.assign(item.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%`, opacity: "", clipPath: "", visibility: "" });
      world.append(item);
      const label = node("span", { className: "label", textContent: layer.label, title: layer.label });
      labels.append(label);
      return { at, item, label };
    });
    const element = node("div", { className: "pane" }, world, labels);
    return { element, world, labels, items };
  }

  element(layer, videos) {
    if (layer.kind !== "video") {
      const image = node("img", { alt: layer.alt, draggable: false, decoding: "sync", onload: () => this.paint() });
      image.src = layer.src;
      return image;
    }
    const known = videos.get(layer.src);
    if (known) { videos.delete(layer.src); return known; }
    const video = node("video", { src: layer.src, muted: true, playsInline: true, preload: "auto", "aria-label": layer.alt });
    video.dataset.src = layer.src;
    return video;
  }

  divide() {
    const { element } = this.panes[0];
    this.divider = node("div", { className: "divider", role: "slider", tabIndex: 0, "aria-label": this.words.divider, "aria-valuemin": 0,
      "aria-valuemax": 100, "aria-orientation": "horizontal" }, node("span", { className: "grip", "aria-hidden": "true", textContent: "‹ ›" }));
    this.divider.onkeydown = event => {
      const by = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
      if (!by) return;
      event.preventDefault(); event.stopPropagation();
      this.at = clamp(this.at + by * (event.shiftKey ? 10 : 1), 0, 1);
      this.paint();
    };
    element.append(this.divider);
  }

  // -- where everything stands --------------------------------------------------------------------------------------------------

  layout() {
    const { clientWidth: width, clientHeight: height } = this.panesPlace, count = this.panes.length;
    if (!width || !height || !count) return;
    let best = [0, 1];
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns), size = Math.min(width / columns, height / rows * this.ratio);
      if (size >= best[0] * 0.9) best = [size, columns];  // beside each other rather than below
    }
    this.panesPlace.style.gridTemplateColumns = `repeat(${best[1]}, minmax(0, 1fr))`;
    this.paint();
  }

  /* The size of the frame in a pane before zooming. */
  base(pane) {
    const { clientWidth: width, clientHeight: height } = pane.element;
    const wide = Math.min(width, height * this.ratio);
    return { width, height, wide, high: wide / this.ratio };
  }

  paint() {
    for (const pane of this.panes) {
      const { width, height, wide, high } = this.base(pane);
      if (!wide) continue;
      const room = [width / (wide * this.zoom), height / (high * this.zoom)];
      this.centre = this.centre.map((value, axis) => room[axis] >= 1 ? 0.5 : clamp(value, room[axis] / 2, 1 - room[axis] / 2));
      const left = width / 2 - this.centre[0] * wide * this.zoom, top = height / 2 - this.centre[1] * high * this.zoom;
      Object.assign(pane.world.style, { width: `${wide * this.zoom}px`, height: `${high * this.zoom}px`, transform: `translate(${left}px, ${top}px)` });
      pane.frame = { left, top, wide: wide * this.zoom, high: high * this.zoom, width, height };
      for (const { at, item } of pane.items) item.classList.toggle("pixels", this.pixelsOf(at, pane) > 3);
    }
    if (this.view === "slider") this.paintDivider();
    if (this.view === "blink") this.paintBlink();
    if (this.view === "overlay") {
      const top = this.panes[0].items[1];
      if (top) top.item.style.opacity = String(this.opacity);
    }
    this.told({ zoom: this.percent() });
  }

  /* Screen pixels for one pixel of a layer. */
  pixelsOf(at, pane = this.panes[0]) {
    const item = pane?.items.find(entry => entry.at === at)?.item, wide = item?.naturalWidth || item?.videoWidth;
    return wide && pane.frame ? pane.frame.wide * this.layers[at].box[2] * devicePixelRatio / wide : 0;
  }

  percent() { return Math.round(this.pixelsOf(this.panes[0]?.items[0]?.at ?? 0) * 100); }

  paintDivider() {
    const [pane] = this.panes, { left, wide, width } = pane.frame ?? {};
    if (!width) return;
    // The divider crosses what is seen of the frame, never the empty ground beside it.
    const from = Math.max(0, left), to = Math.min(width, left + wide), x = from + this.at * (to - from);
    this.divider.style.left = `${x}px`;
    this.divider.setAttribute("aria-valuenow", String(Math.round(this.at * 100)));
    for (const [number, { at, item, label }] of pane.items.entries()) {
      const [start, , share] = this.layers[at].box, cut = clamp((x - left - start * wide) / (share * wide), 0, 1) * 100;
      item.style.clipPath = number ? `inset(0 0 0 ${cut}%)` : `inset(0 ${100 - cut}% 0 0)`;
      label.classList.toggle("right", number > 0);
    }
  }

  paintBlink() {
    for (const { at, item, label } of this.panes[0].items) {
      item.style.visibility = at === this.shown ? "visible" : "hidden";
      label.hidden = at !== this.shown;
    }
  }

  // -- blinking -----------------------------------------------------------------------------------------------------------------

  blink() {
    if (this.view !== "blink") this.look("blink");
    const at = this.layers.findIndex((_, number) => number === this.shown);
    this.shown = (at + 1) % Math.max(1, this.layers.length);
    this.paintBlink();
  }

  /* By itself less than three times a second: faster flashes make some people ill (WCAG 2.3.1). */
  auto(on) {
    clearInterval(this.blinking);
    this.blinking = on ? setInterval(() => this.blink(), 600) : 0;
    this.told({ auto: on });
  }

  // -- zoom and pan -------------------------------------------------------------------------------------------------------------

  fit(tell = true) { this.zoom = 1; this.centre = [0.5, 0.5]; if (tell) this.paint(); }

  zoomTo(zoom, pane = this.panes[0], point = null) {
    const next = clamp(zoom, Math.min(1, this.trueZoom()), MOST), frame = pane?.frame;
    if (!frame) return;
    const [x, y] = point ?? [frame.width / 2, frame.height / 2];
    // What lies under the pointer stays there.
    const under = [(x - frame.left) / frame.wide, (y - frame.top) / frame.high], grown = next / this.zoom;
    this.centre = [under[0] + (frame.width / 2 - x) / (frame.wide * grown), under[1] + (frame.height / 2 - y) / (frame.high * grown)];
    this.zoom = next;
    this.paint();
  }

  /* Move what is seen, by shares of the window. */
  pan(right, down) {
    const frame = this.panes[0]?.frame;
    if (!frame) return;
    this.centre = [this.centre[0] + right * frame.width / frame.wide, this.centre[1] + down * frame.height / frame.high];
    this.paint();
  }

  /* One pixel of the picture to one of the screen. */
  trueSize(pane, point) { this.zoomTo(this.trueZoom(), pane, point); }

  /* The zoom at which that is so: of a small picture it is less than what fits into the window. */
  trueZoom() {
    const now = this.pixelsOf(this.panes[0]?.items[0]?.at ?? 0);
    return now ? this.zoom / now : 2;
  }

  // -- pointers -----------------------------------------------------------------------------------------------------------------

  listen() {
    const on = { signal: this.ended.signal }, { panesPlace: place } = this;
    place.addEventListener("pointerdown", event => this.down(event), on);
    place.addEventListener("pointermove", event => this.move(event), on);
    for (const name of ["pointerup", "pointercancel"]) place.addEventListener(name, event => this.up(event), on);
    place.addEventListener("wheel", event => {
      const { pane, point } = this.under(event);
      if (!pane) return;
      event.preventDefault();
      this.zoomTo(this.zoom * Math.exp(-clamp(event.deltaY, -120, 120) / 400), pane, point);
    }, { ...on, passive: false });
    place.addEventListener("dblclick", event => {
      const { pane, point } = this.under(event);
      if (pane) { if (this.zoom !== 1) this.fit(); else this.trueSize(pane, point); }
    }, on);
    place.addEventListener("dragstart", event => event.preventDefault(), on);
  }

  under(event) {
    // A click that follows a captured pointer names the panes' place as its target: only where it is says which pane it means.
    const pane = this.panes.find(({ element }) => element.contains(event.target)) ?? this.grabbed?.pane ?? this.panes.find(({ element }) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      return event.clientX >= left && event.clientX < right && event.clientY >= top && event.clientY < bottom;
    });
    if (!pane) return {};
    const box = pane.element.getBoundingClientRect();
    return { pane, point: [event.clientX - box.left, event.clientY - box.top] };
  }

  down(event) {
    const { pane, point } = this.under(event);
    if (!pane || event.button > 0) return;
    this.pointers.set(event.pointerId, point);
    this.panesPlace.setPointerCapture?.(event.pointerId);
    if (this.pointers.size === 2) { this.pinch = { span: this.span(), zoom: this.zoom }; this.grabbed = { pane }; return; }
    const onDivider = this.view === "slider" && (this.zoom === 1 || this.divider.contains(event.target)
      || Math.abs(point[0] - parseFloat(this.divider.style.left)) < 24);
    this.grabbed = { pane, point, centre: [...this.centre], divider: onDivider };
    if (onDivider) { this.divider.focus({ preventScroll: true }); this.dragTo(pane, point[0]); event.preventDefault(); }
  }

  move(event) {
    if (!this.pointers.has(event.pointerId) || !this.grabbed) return;
    const { pane, point: from, centre, divider } = this.grabbed, box = pane.element.getBoundingClientRect();
    const point = [event.clientX - box.left, event.clientY - box.top];
    this.pointers.set(event.pointerId, point);
    if (this.pointers.size >= 2) {
      const [a, b] = [...this.pointers.values()];
      if (this.pinch?.span) this.zoomTo(this.pinch.zoom * this.span() / this.pinch.span, pane, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
    } else if (divider) this.dragTo(pane, point[0]);
    else if (from && this.zoom > 1) {
      this.centre = [centre[0] - (point[0] - from[0]) / pane.frame.wide, centre[1] - (point[1] - from[1]) / pane.frame.high];
      this.paint();
    }
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    this.pinch = null;
    if (!this.pointers.size) this.grabbed = null;
    else this.grabbed = { pane: this.grabbed?.pane ?? this.panes[0] };  // of two fingers one is left: it pans no more
  }

  span() {
    const [a, b] = [...this.pointers.values()];
    return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
  }

  dragTo(pane, x) {
    const { left, wide, width } = pane.frame, from = Math.max(0, left), to = Math.min(width, left + wide);
    this.at = clamp((x - from) / Math.max(1, to - from), 0, 1);
    this.paint();
  }

  // -- the difference -----------------------------------------------------------------------------------------------------------

  async askDifference() {
    const [pane] = this.panes, turn = this.asked = (this.asked ?? 0) + 1;
    pane.element.classList.add("waiting");
    this.told({ difference: { waiting: true } });
    try {
      const found = await this.heat(this.clock.at);
      if (turn !== this.asked || this.panes[0] !== pane) return;
      const [x, y, w, h] = found.box, old = pane.world.querySelector(".heat");
      const heat = node("img", { className: "heat layer", src: found.src, alt: this.words.heat, draggable: false });
      Object.assign(heat.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%` });
      await heat.decode().catch(() => {});
      if (turn !== this.asked) return;
      old?.remove();
      pane.world.append(heat);
      this.told({ difference: found });
    } catch (error) {
      if (turn === this.asked) this.told({ difference: { failed: error.message } });
    } finally {
      pane.element.classList.remove("waiting");
    }
  }
}

/* One time for all videos of a stage: a bar to scrub, play and pause, one frame on or back. */
class Clock {
  constructor(stage) {
    this.stage = stage; this.at = 0; this.length = 0; this.rate = 24; this.videos = []; this.playing = false;
    const { words } = stage;
    const press = (sign, label, act) => node("button", { type: "button", textContent: sign, title: label, "aria-label": label, onclick: act });
    this.button = press("▶", words.play, () => this.toggle());
    this.range = node("input", { type: "range", min: "0", max: "1000", step: "1", value: "0", "aria-label": words.time });
    this.range.oninput = () => { this.pause(); this.seek(this.range.value / 1000 * this.length); };
    this.range.onchange = () => this.settled();
    this.text = node("span", { className: "time" });
    this.bar = node("div", { className: "clock", role: "group", "aria-label": words.time, hidden: true }, this.button,
      press("‹", words.earlier, () => this.step(-1)), press("›", words.later, () => this.step(1)), this.range, this.text);
  }

  reset(layers) {
    this.stop();
    this.at = 0; this.length = 0; this.videos = [];
    this.rate = layers.find(layer => layer.rate)?.rate ?? 24;
    this.bar.hidden = !layers.some(layer => layer.kind === "video");
  }

  join(videos) {
    this.videos = videos;
    for (const video of videos) {
      const ready = () => {
        this.length = Math.max(this.length, video.duration || 0);
        this.put(video);
        this.stage.paint();
        this.tell();
      };
      if (video.readyState > 0) ready(); else video.onloadedmetadata = ready;
    }
    if (this.playing) this.play();
  }

  put(video) {
    // The middle of a frame: at its border a browser may show the one before.
    const wanted = Math.min((Math.floor(this.at * this.rate + 1e-6) + 0.5) / this.rate, Math.max(0, (video.duration || 0) - 0.5 / this.rate));
    if (Math.abs(video.currentTime - wanted) > 1e-4) video.currentTime = wanted;
  }

  seek(at) {
    this.at = clamp(at, 0, Math.max(0, this.length - 1 / this.rate));
    for (const video of this.videos) if (video.readyState > 0) this.put(video);
    this.tell();
  }

  step(by) { this.pause(); this.seek((Math.round(this.at * this.rate) + by) / this.rate); this.settled(); }
  settled() { if (this.stage.view === "difference") this.stage.askDifference(); }
  toggle() { if (this.playing) { this.pause(); this.settled(); } else this.play(); }

  play() {
    this.playing = true;
    if (this.at >= this.length - 1.5 / this.rate) this.seek(0);
    for (const video of this.videos) video.play().catch(() => {});
    cancelAnimationFrame(this.tick);
    const turn = () => {
      if (!this.playing) return;
      const longest = this.videos.reduce((best, video) => (video.duration || 0) > (best?.duration || 0) ? video : best, null);
      if (longest) {
        this.at = longest.currentTime;
        // Two decoders drift: whoever is more than a frame and a half off is put right.
        for (const video of this.videos) {
          if (video !== longest && !video.ended && Math.abs(video.currentTime - this.at) > 1.5 / this.rate) video.currentTime = Math.min(this.at, video.duration);
        }
        if (longest.ended) { this.pause(); this.seek(this.length); }
      }
      this.tell();
      this.tick = requestAnimationFrame(turn);
    };
    this.tick = requestAnimationFrame(turn);
    this.tell();
  }

  pause() {
    if (!this.playing) return;
    this.stop();
    this.seek(Math.floor(this.at * this.rate + 1e-6) / this.rate);
  }

  stop() { this.playing = false; cancelAnimationFrame(this.tick); for (const video of this.videos) video.pause(); }

  tell() {
    const { words } = this.stage, label = this.playing ? words.pause : words.play;
    this.button.textContent = this.playing ? "❚❚" : "▶";
    this.button.title = label;
    this.button.setAttribute("aria-label", label);
    if (this.length) this.range.value = String(Math.round(this.at / this.length * 1000));
    this.text.textContent = `${this.at.toFixed(2)} / ${this.length.toFixed(2)} s`;
  }
}
