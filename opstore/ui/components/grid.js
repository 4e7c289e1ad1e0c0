/* The grid of the library. Rows come from our own HTTP interface, so that scrolling runs no script of the page; tiles exist near
   the screen only. What a person does is shown at once, handed to the page one act at a time, and taken back where it fails. */

const POLL = 2500, AGAIN = 3000, PATIENCE = 120000, REST = 150, SETTLED = 1500, MOST = 10000;
const grids = new WeakMap();

/* What is pressed in the drawer before it listens (components/keys.py), or while the neighbour of what is `left` is on its way, waits
   for it here, each in its turn; a drawer that does not come gets nothing. */
const opening = id => { if (window.opstoreListens !== id) window.opstoreEarly = { id, keys: [], since: Date.now() }; };
const JUDGES = /^([0-5ft]|delete)$/i, MOVES = /^(arrow(left|right)|escape)$/i, COMING = 3000;

function early(event) {
  const waiting = window.opstoreEarly, key = event.type === "click" ? neighbourOf(event) : event.key;
  if (!waiting || !key || !(waiting.left || document.querySelector('[role="dialog"]')) || !comes(waiting)) return;
  if (event.altKey || event.ctrlKey || event.metaKey || writing(event)) return;
  if (!JUDGES.test(key) && !(waiting.left && MOVES.test(key))) return;
  if (!event.repeat) waiting.keys.push(key);
  event.preventDefault(); event.stopImmediatePropagation();
  // The drawer closes when the key comes up.
  if (key === "Escape") window.addEventListener("keyup", risen => risen.stopImmediatePropagation(), { capture: true, once: true });
}

function comes(waiting) {
  const here = window.opstoreListens ?? null, passed = Date.now() - waiting.since;
  if (!waiting.left) return here !== waiting.id && passed < PATIENCE;
  const rests = document.querySelector('[data-test-script-state="notRunning"]');  // nothing is on its way any more
  if (passed < COMING || !rests) return here === null || here === waiting.left;
  window.opstoreEarly = null;
  return false;
}

/* The arrow that a person's click on “Previous” or “Next” stands for; a program's own click is none. */
const neighbourOf = event => event.isTrusted && { left: "ArrowLeft", right: "ArrowRight" }[
  /st-key-neighbour-(left|right)/.exec(event.composedPath().find(item => /st-key-neighbour-/.test(item.className))?.className)?.[1]];

const writing = event => typing(event) && !["checkbox", "radio", "button"].includes(event.composedPath()[0].type);

class Grid {
  constructor(parent, data) {
    this.root = parent.querySelector(".root");
    this.tile = stored.get(localStorage, "opstore-tile") ?? TILE;
    this.selection = new Set(); this.queue = unsent(); this.at = 0; this.current = null; this.gap = false; this.anchor = 0; this.columns = 1; this.going = 0;
    this.words = new Words(data.words); this.trash = data.trash; this.data = data;
    this.list = el("div", { className: "grid", role: "listbox", tabIndex: 0, "aria-multiselectable": "true", "aria-label": this.words.say("name") });
    this.bar = el("div", { className: "bar", role: "toolbar", hidden: true, "aria-label": this.words.say("selection") });
    this.notice = el("div", { className: "notice", hidden: true });
    this.root.replaceChildren(toolbar(this), this.list, el("div", { className: "float" }, this.notice, this.bar));
    this.scroller = scrollerOf(parent.host ?? parent);
    this.listen();
    this.begin(data, true, data.first);
  }

  // -- life ---------------------------------------------------------------------------------------------------------------------

  listen() {
    const { list } = this, ended = this.ended = new AbortController(), on = { signal: ended.signal };
    list.onclick = event => this.click(event);
    list.ondragstart = () => false;
    list.addEventListener("focusin", event => this.met(event.target.closest(".tile")), on);
    list.onfocus = () => { if (this.quiet) return; if (this.current) this.focusCurrent(); else this.go(this.firstShown()); };
    list.onkeydown = event => this.key(event);
    touches(this);
    document.addEventListener("keydown", event => this.keyAnywhere(event), on);
    for (const type of ["keydown", "click"]) window.addEventListener(type, early, { ...on, capture: true });  // before the drawer
    const shown = new URLSearchParams(location.search).get("operation");
    if (shown) opening(shown);
    document.addEventListener("visibilitychange", () => this.poll(), on);
    addEventListener("popstate", () => { this.wentBack = Date.now(); this.left = null; }, on);
    addEventListener("opstore-source", event => this.ahead(event.detail), on);
    lookAhead(this, on);
    addEventListener("opstore-acts", () => { this.queue.push(...unsent()); this.flush(); }, on);
    addEventListener("pagehide", () => { this.save(); this.keep(this.queue); }, on);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { ...on, passive: true });
    for (const sign of ["wheel", "pointerdown", "keydown", "touchmove"]) {
      this.scroller.addEventListener(sign, () => { this.returning = null; }, { ...on, passive: true });
    }
    this.near = new IntersectionObserver(entries => this.seen(entries), { root: this.scroller.isConnected ? this.scroller : null, rootMargin: "100% 0px 200%" });
    this.wide = new ResizeObserver(() => this.arrange());
    this.wide.observe(this.root);
    this.timer = setInterval(() => this.poll(), POLL);
    this.standing = setTimeout(() => this.saveStand(), SETTLED);
  }

  end() {
    this.save(); this.ended.abort(); this.keep([this.sent, ...this.queue].filter(Boolean));
    this.pages.close(); this.near.disconnect(); this.wide.disconnect();
    clearInterval(this.timer); clearTimeout(this.noticeEnds); clearTimeout(this.overdue); clearTimeout(this.saving); clearTimeout(this.standing);
  }

  /* Acts that wait for their turn or their answer are handed in by the next grid of this tab; the session knows those it did. */
  keep(acts) {
    if (!acts.length) return;
    stored.set(sessionStorage, "opstore-acts", acts);
    dispatchEvent(new Event("opstore-acts"));  // the next grid may stand already: it has looked for acts before there were any
  }

  /* Show another search, from its top or, on the way back, from where it was. */
  begin(data, back, answer = null) {
    const again = this.pages && !this.source && !data.source;  // the rows of the same list, some of them others
    this.pages?.close();
    for (const section of [...this.list.children]) { this.near.unobserve(section); emptied(section); section.remove(); }
    this.source = data.source; this.print = JSON.stringify([data.source, data.rows]);
    const place = back && this.source ? stored.get(sessionStorage, "opstore-place:" + this.source) : null;
    this.pages = new Pages({ source: data.source, rows: data.rows, total: data.total, saved: place?.pages,
      lost: error => notice(this, this.words.say("lost", { reason: error.message })) });
    if (answer) this.pages.take(answer);
    const chosen = again ? [...this.selection] : [], current = again ? this.current : null;
    this.selection.clear(); this.current = place?.current ?? null; this.gap = false; this.at = place?.at ?? 0; this.version = null;
    if (again) this.resume(chosen, current);
    this.returning = place && { at: place.first, offset: place.offset, until: Date.now() + 1500 };
    selectionBar(this);
    if (!back) this.toTop();
    this.arrange();
    if (this.returning) this.comeBack();
  }

  /* Another search was asked for, and the page's script is told of it: look for it now. Until its rows are here, or where it is none
     that can be read, the present ones stay. */
  async ahead(source) {
    if (!this.source || this.trash || asked(source) === asked(this.source)) return;
    const turn = this.turn = {}, left = this.source;
    try {
      const answer = await (await fetch(`${source}&limit=${LIMIT}`, { signal: this.ended.signal })).json();
      if (!answer.success || turn !== this.turn || this.source !== left) return;
      this.save();
      this.left = { source: left, until: Date.now() + AGAIN };
      this.data = { ...this.data, source, span: "" };
      this.begin(this.data, false, answer);
    } catch { /* the page's script will tell */ }
  }

  /* What was chosen stays chosen, and what was just taken away stays away, whatever list came in between. */
  resume(chosen, current) {
    const leaving = [this.sent, ...this.queue].filter(act => act && (act.kind === "restore" || act.value === "sure"));
    this.pages.hide(leaving.flatMap(act => act.ids));
    for (const id of chosen) if (this.pages.rows.has(id)) this.selection.add(id);
    if (this.pages.rows.has(current)) this.current = current;
  }

  update(data, setTriggerValue) {
    this.trigger = setTriggerValue;
    const was = this.data;
    this.data = data;
    // A run of the page's script that began before the person asked for what is shown: the next one follows.
    if (this.left && data.source === this.left.source && Date.now() < this.left.until) this.data = { ...data, source: this.source, span: "" };
    else if (data.source && asked(data.source) === asked(this.source)) {
      this.source = this.pages.source = data.source;
      this.left = null;  // the page's script has followed: from now on it means what it says
    }
    else if (JSON.stringify([data.source, data.rows]) !== this.print) this.begin(data, Date.now() - (this.wentBack ?? 0) < 3000, data.first);
    this.tell(); this.takeOver();
    if (data.outcome && data.outcome.id === this.sent?.id) { if (data.outcome.busy) this.wait(data.outcome.busy); else this.settle(data.outcome); }
    // Done, and another since: what came of it was told to a grid that is gone.
    else if (this.sent && data.outcome?.done.includes(this.sent.id)) this.settle({});
    if (was.open && !data.open) setTimeout(() => this.returnTo(window.opstoreSeen ?? was.open), 50);  // where the drawer was last
    if (was !== data) this.poll();  // something on the page was changed, perhaps: look
    this.flush();
  }

  // -- place --------------------------------------------------------------------------------------------------------------------

  arrange() {
    const width = this.list.clientWidth;
    if (!width) return;
    const { columns, side, caption } = measured(width, this.tile, this.trash);
    this.columns = columns;
    this.high = side + caption + GAP;
    this.list.style.cssText = `--side:${side}px; --caption:${caption}px; --columns:${this.columns}; --gap:${GAP}px`;
    this.list.classList.toggle("dense", !caption);
    const last = this.returning ? -1 : this.lastShown();
    let start = 0;
    for (const page of this.pages.list) {
      const section = page.place ??= this.section(page);
      section.start = start;
      if (!section.isConnected) {
        section.near ||= start <= last;  // what is in the window waits for no observer
        this.list.append(section); this.near.observe(section);
      }
      section.style.top = Math.floor(start / this.columns) * this.high + "px";
      section.style.height = Math.ceil((start % this.columns + page.count) / this.columns) * this.high + "px";
      start += page.count;
      if (section.near) this.draw(page);
    }
    const known = new Set(this.pages.list.map(page => page.place));
    for (const section of [...this.list.children]) if (!known.has(section)) { this.near.unobserve(section); section.remove(); }
    this.list.style.height = Math.max(1, Math.ceil(start / this.columns)) * this.high + "px";
    this.tell();
    this.float();
  }

  section(page) { return Object.assign(el("div", { className: "section", role: "presentation" }), { page }); }

  seen(entries) {
    for (const { target, isIntersecting } of entries) {
      target.near = isIntersecting;
      if (isIntersecting) this.draw(target.page);
      else this.undraw(target);
    }
    const first = entries.find(entry => entry.isIntersecting);
    if (first) this.pages.trim(this.pages.list.indexOf(first.target.page));
  }

  draw(page) {
    const section = page.place, { start } = section;
    if (!page.rows) {
      section.replaceChildren(...Array.from({ length: page.count }, skeleton));
      this.pages.load(this.pages.list.indexOf(page)).then(() => { if (page.rows || !this.pages.list.includes(page)) this.arrange(); });
    } else {
      const before = new Map([...section.children].map(tile => [tile.dataset.id, tile])), { eager } = this.portion(page);
      const rows = section.whole ? page.rows : page.rows.slice(0, eager);
      const tiles = rows.map((row, at) => before.get(row.id) ?? newTile(row, this.words, at < eager));
      if (tiles.length !== section.children.length || tiles.some((tile, at) => section.children[at] !== tile)) {
        const held = section.contains(this.focused());
        section.replaceChildren(...tiles);
        if (held) this.focusCurrent();
      }
      rows.forEach((row, at) => { dress(tiles[at], row, this.words); this.mark(tiles[at], start + at); });
      this.takeOver();
    }
    [...section.children].forEach((tile, at) => { tile.style.gridColumnStart = at ? "" : String(start % this.columns + 1); });
  }

  /* The first screen, which came before the grid, has done its work; what was clicked in it opens. */
  takeOver() {
    this.wanted = window.opstoreFirst?.end() ?? this.wanted;
    if (!this.wanted || !this.trigger) return;
    this.current = this.wanted; this.wanted = null;
    this.open();
  }

  /* What is in the window is drawn first, and its pictures are asked for before the others of its page; those follow. */
  portion(page) {
    const section = page.place, eager = Math.max(0, this.lastShown() + 1 - section.start);
    if (eager >= page.rows.length) section.whole = true;
    if (!section.whole) section.rest ??= setTimeout(() => { section.rest = null; section.whole = true; if (section.near) this.draw(page); }, REST);
    return { eager };
  }

  undraw(section) {
    if (section.contains(this.focused())) this.focus(this.list);
    section.whole = false;
    emptied(section);
  }

  mark(tile, at) {
    const { id } = tile.dataset, current = id === this.current;
    tile.setAttribute("aria-selected", String(this.selection.has(id)));
    tile.setAttribute("aria-posinset", String(at + 1));
    if (this.pages.total?.exact) tile.setAttribute("aria-setsize", String(this.pages.total.n));
    tile.tabIndex = current ? 0 : -1;
    tile.classList.toggle("current", current);
    this.list.classList.toggle("choosing", this.selection.size > 0);
  }

  redraw() {
    for (const page of this.pages.list) if (page.place?.near && page.rows) this.draw(page);
    // One stop for Tab: the current tile where it is drawn, else the grid.
    this.list.tabIndex = this.tileOf(this.current) ? -1 : 0;
    selectionBar(this); this.float(); this.tell(); showPreview(this);
  }

  tell() {
    const total = this.pages.total;
    this.count.textContent = total ? [this.words.count("found", total.n, total.exact), this.data.span].filter(Boolean).join(" · ") : "";
  }

  float() {
    const box = this.root.getBoundingClientRect();
    this.root.style.setProperty("--left", box.left + "px");
    this.root.style.setProperty("--width", box.width + "px");
  }

  resize(tile) {
    const at = this.firstShown();
    this.tile = tile;
    stored.set(localStorage, "opstore-tile", tile);
    this.arrange();
    if (this.down() > 0) this.scrollTo(at, 0);
  }

  // -- scrolling ----------------------------------------------------------------------------------------------------------------

  /* How far the grid's top is above the window's, in pixels. */
  down() { return this.scroller.getBoundingClientRect().top - this.list.getBoundingClientRect().top; }
  lastShown() { return (Math.ceil((this.down() + this.scroller.clientHeight) / this.high) + 1) * this.columns - 1; }
  firstShown() { return Math.max(0, Math.ceil((this.down() - this.high / 2) / this.high)) * this.columns; }
  scrollTo(at, offset) { this.scroller.scrollTop += Math.floor(at / this.columns) * this.high + offset - this.down(); }
  toTop() {
    this.fresh.hidden = true;
    if (this.down() > 0) this.scroller.scrollTop += -80 - this.down();
  }

  scrolled() {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.save(), 200);
  }

  save() {
    if (!this.source || !this.root.isConnected || this.returning) return;
    const first = this.firstShown(), offset = this.down() - Math.floor(first / this.columns) * this.high;
    const place = { pages: this.pages.saved(), first, offset, current: this.current, at: this.at };
    const kept = (stored.get(sessionStorage, "opstore-places") ?? []).filter(source => source !== this.source);
    for (const old of kept.splice(0, kept.length - 19)) sessionStorage.removeItem("opstore-place:" + old);
    stored.set(sessionStorage, "opstore-places", [...kept, this.source]);
    stored.set(sessionStorage, "opstore-place:" + this.source, place);
  }

  /* Where the list stands in a window of this width: the first screen of the next visit stands there before anything else does. */
  saveStand() {
    if (location.search || this.trash) return;
    const { left, top, width } = this.list.getBoundingClientRect(), of = innerWidth;
    const others = (stored.get(localStorage, "opstore-stands") ?? []).filter(stand => stand.of !== of).slice(-7);
    if (width) stored.set(localStorage, "opstore-stands", [...others, { of, left, top: top + this.scroller.scrollTop, width }]);
  }

  /* What stands above the grid may still be on its way: hold the place until it stands, or the person scrolls. */
  comeBack() {
    const place = this.returning;
    if (!place || Date.now() > place.until || !this.root.isConnected) { this.returning = null; return; }
    if (place.at || place.offset > 0) this.scrollTo(place.at, place.offset);
    requestAnimationFrame(() => this.comeBack());
  }

  reveal(at) {
    const top = Math.floor(at / this.columns) * this.high, down = this.down(), window = this.scroller.clientHeight;
    const above = 72, below = this.bar.hidden ? 8 : 88;  // what the page's bar and ours cover
    if (top < down + above) this.scroller.scrollTop += top - down - above;
    else if (top + this.high > down + window - below) this.scroller.scrollTop += top + this.high - down - window + below;
  }

  // -- the current tile ---------------------------------------------------------------------------------------------------------

  focused() { return this.root.getRootNode().activeElement; }
  tileOf(id) { return id ? this.list.querySelector(`[data-id="${CSS.escape(id)}"]`) : null; }
  focusCurrent() { this.focus(this.tileOf(this.current) ?? this.list); }
  focus(item) { this.quiet = true; item.focus({ preventScroll: true }); this.quiet = false; }

  async go(at, extend = false) {
    const size = this.pages.size, turn = ++this.going;
    if (!size) return;
    at = Math.min(Math.max(at, 0), size - 1);
    this.at = at;
    this.reveal(at);
    const row = this.pages.rowNow(at) ?? await this.pages.row(at);
    if (turn !== this.going || !row) return;
    this.current = row.id; this.gap = false;
    this.stand(at);
    if (extend) await this.range(at); else this.anchor = at;
    this.redraw();
    if (!this.shown) this.focusCurrent();
  }

  /* The place that so many steps lead to. Where the current picture has left the list, the next one has taken its place. */
  onward(by) {
    if (this.gap) return this.at + by - Number(by > 0);
    return this.current ? this.at + by : this.firstShown();
  }

  /* What has left the list is chosen no more: a key must not reach what nobody sees. A preview goes on showing its picture. */
  dropped(gone) {
    for (const id of gone) this.selection.delete(id);
    if (!gone.includes(this.current)) return;
    this.gap = true;
    if (!this.shown) this.current = null;
  }

  /* Have the tile at a place drawn now. */
  stand(at) {
    const section = this.pages.list[this.pages.locate(at)[0]].place;
    if (section.near && section.whole) return;
    section.near = section.whole = true;
    this.arrange();
  }

  /* A tile got the focus by itself: it is the current one. */
  met(tile) {
    if (!tile || this.shown || tile.dataset.id === this.current) return;  // a closing preview gives the focus to where it began
    this.current = tile.dataset.id; this.gap = false;
    this.at = this.pages.placeOf(this.current);
    if (!this.pointing) this.anchor = this.at;
    this.redraw();
  }

  returnTo(id) {
    const at = this.pages.placeOf(id);
    if (at < 0) return;
    this.current = id; this.at = at; this.gap = false;
    this.reveal(at); this.stand(at); this.redraw();
    if (document.activeElement === document.body || document.activeElement === this.root.getRootNode().host) this.focusCurrent();
  }

  /* Take what is chosen to another page, or out of the house. */
  away(way) {
    if (!this.may(way)) return;
    const ids = this.targets();
    if (!ids.length || this.trash) return;
    this.save(); this.shown?.close();
    this.trigger("away", { way, ids: ids.slice(0, 1000), turn: Date.now() });
  }

  open() { if (this.current) { this.save(); this.shown?.close(); opening(this.current); this.trigger("opened", this.current); } }

  // -- keys and clicks ----------------------------------------------------------------------------------------------------------

  keyAnywhere(event) {
    if (event.defaultPrevented || document.querySelector('[role="dialog"], dialog[open]') || this.root.querySelector("dialog[open]")) return;
    const idle = document.activeElement === document.body || document.activeElement === null;
    if (idle && event.key !== " " && event.key !== "Enter") this.key(event);
    else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !typing(event)) this.undo(event);
  }

  key(event) {
    if (event.altKey || typing(event)) return;
    const held = event.ctrlKey || event.metaKey, page = Math.max(1, Math.floor(this.scroller.clientHeight / this.high));
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns, PageUp: -page * this.columns,
      PageDown: page * this.columns, Home: -Infinity };
    const acts = held ? { a: () => this.all(), z: () => this.undo() } : {
      Enter: () => this.open(), " ": () => preview(this), f: () => this.favorite(), t: () => tags(this), c: () => this.away("compare"),
      s: () => this.away("share"), u: () => this.away("use"), r: () => this.away("remix"), x: () => this.toggle(this.current),
      Delete: () => this.act("trash"), Escape: () => this.clear(), "?": () => help(this),
      "/": () => document.querySelector(SEARCH + " input")?.focus(),
    };
    const act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (event.key === "End" && !held) this.toEnd(event.shiftKey);
    else if (event.key in moves && !held) this.go(this.onward(moves[event.key]), event.shiftKey);
    else if (/^[0-5]$/.test(event.key) && !held) this.rate(Number(event.key));
    else if (act) act();
    else return;
    event.preventDefault(); event.stopPropagation();
  }

  click(event) {
    const tile = event.target.closest(".tile");
    this.pointing = false;
    if (!tile || this.pressed) { this.pressed = false; return; }
    const { id } = tile.dataset, at = this.pages.placeOf(id);
    const touch = event.pointerType === "touch" && this.selection.size > 0;
    this.current = id; this.at = at; this.gap = false;
    if (event.target.closest(".stack")) this.trigger("unstacked", id);
    else if (event.shiftKey) this.range(at).then(() => this.redraw());
    else if (event.ctrlKey || event.metaKey || touch || event.target.closest(".pick")) this.toggle(id);
    else if (this.trash) this.toggle(id);
    else { this.anchor = at; this.redraw(); this.open(); }
    this.focusCurrent();
  }

  // -- choosing -----------------------------------------------------------------------------------------------------------------

  toggle(id) {
    if (!id) return;
    if (!this.selection.delete(id)) this.selection.add(id);
    this.anchor = this.pages.placeOf(id);
    this.redraw();
  }

  async range(at) { for (const row of await this.pages.between(this.anchor, at)) this.selection.add(row.id); }

  /* Everything that is found, page by page, until the selection is cleared or another search begun. */
  async all() {
    const { pages } = this, turn = this.choosing = {};
    await pages.reach(MOST, page => {
      if (turn !== this.choosing || pages !== this.pages) return false;
      for (const row of page.rows) this.selection.add(row.id);
      selectionBar(this);
      return true;
    });
    if (turn !== this.choosing || pages !== this.pages) return;
    if (pages.total && pages.total.n > this.selection.size) notice(this, this.words.count("most", this.selection.size));
    this.arrange(); this.redraw();
  }
  clear() { this.choosing = null; this.selection.clear(); this.redraw(); this.focusCurrent(); }

  /* The last of what is found, not only of what is loaded. */
  async toEnd(extend) {
    const { pages } = this, turn = ++this.going;
    await pages.reach(MOST, () => turn === this.going && pages === this.pages);
    if (turn !== this.going || pages !== this.pages) return;
    this.arrange();
    this.go(Infinity, extend);
  }
  /* What an act is for: in a preview the picture that is seen, whatever is chosen behind it. */
  targets() { return this.selection.size && !this.shown ? [...this.selection] : this.current ? [this.current] : []; }

  // -- acts ---------------------------------------------------------------------------------------------------------------------

  rate(value) { if (!this.trash) this.act("rate", this.targets(), value || null); }
  favorite() {
    const ids = this.targets(), all = ids.every(id => this.pages.rows.get(id)?.favorite);
    if (!this.trash) this.act("favorite", ids, !all);
  }
  undo() { this.act("undo", [], null); }

  /* What a role does not allow is neither shown nor sent; the service refuses it all the same. */
  may(act) { return !(this.words.words.without ?? []).includes(act); }

  act(kind, ids = this.targets(), value = null) {
    if ((!ids.length && kind !== "undo") || !this.may(kind)) return;
    if (this.trash) { if (kind === "trash") kind = "remove"; }
    this.queue.push({ id: unique(), kind, ids, value, window: windowName() });
    for (const id of ids) {
      const row = this.pages.rows.get(id);
      if (kind === "rate") this.pages.patch(id, { rating: value });
      if (kind === "favorite") this.pages.patch(id, { favorite: value });
      if (kind === "tag") this.pages.patch(id, { tags: [...new Set([...(row?.tags ?? []), ...(value.add ?? [])])].filter(tag => !value.remove?.includes(tag)) });
    }
    if (kind === "trash" || kind === "restore" || value === "sure") this.leave(ids);
    this.redraw();
    this.flush();
  }

  /* One act at a time: a second run of the page's script would interrupt the first. */
  flush() {
    if (this.sent || !this.queue.length || !this.trigger) return;
    this.sent = this.queue.shift();
    const { outcome } = this.data;
    // Done through the grid before this one: handed in again it would change nothing on the page, and no answer would ever come.
    if (outcome?.done.includes(this.sent.id)) this.settle(outcome.id === this.sent.id ? outcome : {});
    else this.hand(Date.now(), AGAIN);
  }

  /* An answer that is long in coming: its run was interrupted before it began, perhaps, so the act is handed in again (one that is
     done already is not done twice), each time later than before, since every hand-in interrupts the run of the one before. */
  hand(began, pause) {
    this.trigger("act", this.sent);
    this.overdue = setTimeout(() => {
      if (Date.now() - began > PATIENCE) this.settle({ failed: this.sent.ids, said: this.words.say("unanswered") });
      else this.hand(began, pause * 2);
    }, pause);
  }

  /* Done it is not yet, but at work: ask again how far it is. */
  wait(said) {
    notice(this, said, [], 0);
    this.told = true;
    clearTimeout(this.overdue);
    this.overdue = setTimeout(() => this.hand(Date.now(), AGAIN), AGAIN / 2);
  }

  settle(outcome) {
    clearTimeout(this.overdue);
    const { ids, kind } = this.sent;
    this.sent = null;
    const { changed = {}, failed = [] } = outcome;
    // Told after another list has come: what left the library is in the trash now, and must be seen there.
    const gone = ["restore", "remove"].includes(kind) === Boolean(this.trash) ? outcome.gone ?? [] : [];
    for (const id of ids) this.pages.settle(id, null);
    for (const [id, state] of Object.entries(changed)) this.pages.settle(id, state);
    this.pages.hide(gone);
    this.dropped(gone);
    for (const id of ids.concat(outcome.back ?? [])) if (!gone.includes(id)) this.pages.hidden.delete(id);
    setTimeout(() => gone.forEach(id => this.pages.hidden.delete(id)), 4 * POLL);  // by then no answer is older than the act
    for (const act of this.queue) for (const id of act.ids) this.again(act, id);
    if (outcome.ask && ids.length > 1) for (const id of ids) this.selection.add(id);
    if (this.told) { this.told = false; notice(this, ""); }
    if (outcome.ask) ask(this, outcome.ask);
    else if (outcome.said) {
      const back = ["rate", "favorite", "tag", "trash"].includes(kind) ? [button(this.words.say("undo"), () => { notice(this, ""); this.undo(); }, { className: "main" })] : [];
      notice(this, outcome.said, back);
    }
    this.arrange(); this.redraw();
    this.refresh().then(() => { if (outcome.ask) this.returnTo(ids[0]); });
    this.flush();
  }

  /* What waits for its turn is shown over what was just stored. */
  again({ kind, value }, id) { if (kind === "rate" || kind === "favorite") this.pages.patch(id, { [kind === "rate" ? "rating" : kind]: value }); }

  leave(ids) {
    const held = this.list.contains(this.focused()) || this.shown, { at } = this;
    this.pages.hide(ids);
    for (const id of ids) this.selection.delete(id);
    if (this.current && ids.includes(this.current)) {
      this.current = null;
      this.arrange();
      if (this.pages.size && held) this.go(at);
    }
    if (this.shown && !this.pages.size) this.shown.close();
  }

  // -- what others do -----------------------------------------------------------------------------------------------------------

  /* A number that changes with every change of the library is asked for; only then are the pages on screen. */
  async poll() {
    if (document.visibilityState !== "visible" || !this.source || this.polling) return;
    this.polling = true;
    try {
      const { version = null } = await (await fetch("/api/health", { signal: this.ended.signal })).json();
      const known = this.version ?? this.pages.version;
      this.version = (version !== null && version === known) || await this.refresh() ? version : null;
    } catch { /* the next look will tell */ } finally { this.polling = false; }
  }

  /* Give whether every page near the screen was fetched anew: one that was on its way already may be older than the change. */
  async refresh() {
    if (!this.source || this.sent) return false;
    const near = this.pages.list.filter(page => page.place?.near), free = near.filter(page => !page.loading);
    let changed = false;
    for (const page of free) {
      const number = this.pages.list.indexOf(page), known = page.rows?.[0]?.id, before = (page.rows ?? []).map(row => row.id);
      if (number < 0) continue;
      changed = await this.pages.load(number, true) || changed;
      const missed = () => before.filter(id => !this.pages.rows.has(id) && (this.selection.has(id) || id === this.current));
      if (missed().length) await this.pages.load(number + 1);  // what came in above may have pushed it there
      this.dropped(missed());
      const added = number ? -1 : page.rows?.findIndex(row => row.id === known) ?? -1;
      if (added > 0 && this.down() > this.high) this.announce(added);
    }
    if (changed) {
      const at = this.current ? this.pages.placeOf(this.current) : -1;
      if (at >= 0) this.at = at;
      this.arrange(); this.redraw();
    }
    return free.length === near.length;
  }

  /* New ones came in above: what the person looks at stays where it is. */
  announce(count) {
    const rows = Math.round(count / this.columns);
    this.scroller.scrollTop += rows * this.high;
    this.fresh.textContent = "↑ " + this.words.count("new", count);
    this.fresh.hidden = false;
  }
}

/* Take the tiles out of a section: pictures that nobody will see leave the few connections to those that are wanted. */
function emptied(section) {
  for (const image of section.querySelectorAll("img")) if (!image.complete) { image.onerror = null; image.removeAttribute("src"); }
  clearTimeout(section.rest); section.rest = null;
  section.replaceChildren();
}

/* What an address asks for, however it is written. */
const asked = source => source && String(new URLSearchParams(source.split("?")[1]));

function unsent() {
  const acts = stored.get(sessionStorage, "opstore-acts") ?? [];
  sessionStorage.removeItem("opstore-acts");
  return acts;
}

const unique = () => Date.now().toString(36) + [...crypto.getRandomValues(new Uint32Array(3))].map(part => part.toString(36)).join("");

/* A window has its name for as long as it is open: loaded anew it can still take back what it did. */
function windowName() {
  const known = stored.get(sessionStorage, "opstore-window") ?? unique();
  stored.set(sessionStorage, "opstore-window", known);
  return known;
}

const typing = event => /^(input|textarea|select)$/i.test(event.composedPath()[0]?.localName ?? "") && event.composedPath()[0].type !== "range";

function scrollerOf(item) {
  for (let at = item; at; at = at.parentElement ?? at.getRootNode().host) {
    if (at instanceof Element && /auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  }
  return document.scrollingElement;
}

/* A long press selects; the click that follows it is none, neither here nor on the bar, which may come up under the finger. */
function touches(grid) {
  let timer = null, from = null;
  const stop = () => { clearTimeout(timer); setTimeout(() => grid.bar.classList.remove("held"), 400); };
  grid.list.onpointerdown = event => {
    const tile = event.target.closest(".tile");
    grid.pressed = false;
    grid.pointing = true;
    if (event.pointerType !== "touch" || !tile) return;
    from = [event.clientX, event.clientY];
    timer = setTimeout(() => { grid.pressed = true; grid.bar.classList.add("held"); navigator.vibrate?.(15); grid.toggle(tile.dataset.id); }, 450);
  };
  grid.list.onpointermove = event => { if (from && Math.hypot(event.clientX - from[0], event.clientY - from[1]) > 10) stop(); };
  grid.list.onpointerup = grid.list.onpointercancel = grid.list.onpointerleave = stop;
  grid.list.oncontextmenu = event => { if (event.pointerType === "touch") event.preventDefault(); };
}

export default function ({ data, parentElement, setTriggerValue }) {
  let grid = grids.get(parentElement);
  if (grid && grid.words.words.language !== data.words.language) { grid.end(); grid = null; }
  if (!grid) { grid = new Grid(parentElement, data); grids.set(parentElement, grid); }
  grid.update(data, setTriggerValue);
  // Where two runs of the page follow each other closely, Streamlit ends the first one's part while the second one's stands.
  return () => { if (!parentElement.isConnected) { grid.end(); grids.delete(parentElement); } };
}
