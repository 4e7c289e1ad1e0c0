/* What stands around the grid: its toolbar, the bar of a selection, the notice with Undo, and the three things that open over it. */

function button(label, act, given = {}) {
  return el("button", { type: "button", textContent: label, onclick: act, ...given });
}

function toolbar(grid) {
  const { words } = grid;
  const size = el("input", {
    type: "range", min: "90", max: "360", step: "10", value: String(grid.tile), "aria-label": words.say("size"), className: "size",
  });
  size.oninput = () => grid.resize(Number(size.value));
  grid.count = el("p", { className: "count", role: "status" });
  grid.fresh = button("", () => grid.toTop(), { className: "fresh", hidden: true });
  const keys = button("?", () => help(grid), { className: "round", "aria-label": words.say("keys"), title: words.say("keys") });
  return el("div", { className: "toolbar" }, grid.count, el("span", { className: "gap" }), size, keys, grid.fresh);
}

/* The bar at the bottom: there with the first selection. */
function selectionBar(grid) {
  const { words, selection } = grid, bar = grid.bar;
  bar.hidden = selection.size === 0;
  if (bar.hidden) { bar.replaceChildren(); return; }
  const count = el("b", { className: "chosen", role: "status", textContent: words.count("selected", selection.size) });
  const clear = button("✕", () => grid.clear(), { className: "round", "aria-label": words.say("clear"), title: words.say("clear") });
  const more = grid.pages.total && grid.pages.total.n > selection.size;
  const all = more ? [button(words.say("all"), () => grid.all(), { className: "plain" })] : [];
  const offered = (act, made) => (grid.may(act) ? [made] : []), acts = el("span", { className: "acts" });
  bar.replaceChildren(count, ...all, acts, clear);
  if (grid.trash) {
    acts.append(...offered("restore", button(words.say("restore"), () => grid.act("restore"))),
      ...offered("remove", button(words.say("remove"), () => grid.act("remove"), { className: "danger" })));
    return;
  }
  const rate = el("span", { className: "rate", role: "group", "aria-label": words.say("rate") });
  for (const value of [1, 2, 3, 4, 5]) {
    const label = words.say("rated", { count: value });
    rate.append(button("★", () => grid.rate(value), { "aria-label": label, title: label }));
  }
  rate.onmouseover = event => mark(rate, [...rate.children].indexOf(event.target));
  rate.onmouseleave = () => mark(rate, -1);
  acts.append(...offered("rate", rate), ...offered("favorite", button(words.say("favorite"), () => grid.favorite())),
    ...offered("tag", button(words.say("tag"), () => tags(grid))),
    ...offered("review", button(words.say("review"), () => grid.away("review"), { disabled: selection.size < 2 })),
    button(words.say("compare"), () => grid.away("compare"), { disabled: selection.size > 4, title: words.say("few") }),
    ...offered("use", button(words.say("use"), () => grid.away("use"))),
    ...(selection.size === 1 ? offered("remix", button(words.say("remix"), () => grid.away("remix"))) : []),
    ...offered("share", button(words.say("share"), () => grid.away("share"))),
    ...offered("export", button(words.say("export"), () => exporting(grid))),
    ...offered("trash", button(words.say("trash"), () => grid.act("trash"), { className: "danger" })));
}

function mark(rate, last) { [...rate.children].forEach((star, at) => star.classList.toggle("on", at <= last)); }

/* One line over the bar: what was done, with a way back, or a question. */
function notice(grid, text, buttons = [], seconds = 12) {
  clearTimeout(grid.noticeEnds);
  grid.notice.hidden = !text;
  grid.notice.replaceChildren(el("span", { textContent: text, role: "status" }), ...buttons);
  if (text && seconds) grid.noticeEnds = setTimeout(() => notice(grid, ""), seconds * 1000);
}

function ask(grid, question) {
  const { words } = grid, sure = button(words.say(question.kind), () => {
    notice(grid, "");
    grid.act(question.kind, question.ids, "sure");
    grid.focusCurrent();
  }, { className: "danger" });
  const keep = button(words.say("keep"), () => { notice(grid, ""); grid.returnTo(question.ids[0]); grid.focusCurrent(); });
  notice(grid, question.text, [sure, keep], 0);
  sure.focus();
}

// -- what opens over the grid -------------------------------------------------------------------------------------------------

function over(grid, name, label) {
  const dialog = el("dialog", { className: name, "aria-label": label });
  dialog.onclose = () => { dialog.remove(); grid.focusCurrent(); };
  dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
  grid.root.append(dialog);
  dialog.showModal();
  return dialog;
}

function closer(grid, dialog) {
  const { words } = grid;
  return button("✕", () => dialog.close(), { className: "round close", "aria-label": words.say("close"), title: words.say("close") });
}

function help(grid) {
  const dialog = over(grid, "card", grid.words.say("keys"));
  const rows = grid.words.words.help.map(([keys, what]) => el("tr", {},
    el("th", { scope: "row" }, ...keys.split(" ").map(key => el("kbd", { textContent: key }))), el("td", { textContent: what })));
  dialog.append(closer(grid, dialog), el("h2", { textContent: grid.words.say("keys") }), el("table", {}, ...rows));
  dialog.onkeydown = event => { event.stopPropagation(); if (event.key === "?") dialog.close(); };
  dialog.querySelector("button").focus();
}

/* Links, so that the browser itself saves what is streamed. More ids than an address holds (2,000) go as a form. */
function exporting(grid) {
  const { words, selection } = grid, ids = [...selection], few = ids.length <= 2000;
  const dialog = over(grid, "card", words.say("export"));
  const links = words.words.formats.map(([address, name, what]) => el("a", {
    href: address.replace("{ids}", few ? ids.join(",") : ""), download: "",
    onclick: event => { if (!few) { event.preventDefault(); send(event.currentTarget.href, ids); } dialog.close(); },
  }, el("b", { textContent: name }), el("span", { textContent: what })));
  const title = el("h2", { textContent: words.count("exporting", ids.length) });
  dialog.append(closer(grid, dialog), title, el("div", { className: "formats" }, ...links));
  dialog.onkeydown = event => event.stopPropagation();
  links[0].focus();
}

function send(action, ids) {
  const form = el("form", { method: "post", action }, el("input", { type: "hidden", name: "ids", value: ids.join(",") }));
  document.body.append(form);
  form.submit();
  form.remove();
}

function tags(grid) {
  const ids = grid.targets(), { words } = grid;
  if (!ids.length || grid.trash || !grid.may("tag")) return;
  const title = words.count("tagging", ids.length), dialog = over(grid, "card", title);
  const known = [...new Set(ids.flatMap(id => grid.pages.rows.get(id)?.tags ?? []))].sort();
  const field = el("input", { type: "text", "aria-label": words.say("tag"), placeholder: words.say("newtag"), list: "tags", maxLength: 200 });
  const offered = el("datalist", { id: "tags" }, ...grid.data.tags.map(value => el("option", { value })));
  const present = el("p", { className: "present" }, ...known.map(tag => button(tag + " ✕", event => {
    grid.act("tag", ids, { remove: [tag] });
    event.currentTarget.remove();
  }, { "aria-label": words.say("untag", { tag }) })));
  const form = el("form", { method: "dialog" }, field, el("button", { type: "submit", className: "main", textContent: words.say("add") }));
  form.onsubmit = () => {
    const add = field.value.split(",").map(tag => tag.trim()).filter(Boolean);
    if (add.length) grid.act("tag", ids, { add });
  };
  dialog.append(closer(grid, dialog), el("h2", { textContent: title }), present, form, offered);
  dialog.onkeydown = event => event.stopPropagation();
  field.focus();
}

/* The true pixels, as large as the window; the arrows go on through the grid behind it. */
function preview(grid) {
  if (grid.shown) { grid.shown.close(); return; }
  if (!grid.current) return;
  const dialog = over(grid, "preview", grid.words.say("preview")), close = dialog.onclose;
  const stage = el("div", { className: "stage" }), line = el("p", { className: "line", dir: "auto" });
  const step = (by, name, sign) => button(sign, () => grid.go(grid.onward(by)), { className: "step " + name, "aria-label": grid.words.say(name) });
  dialog.append(stage, line, step(-1, "previous", "‹"), step(1, "next", "›"), closer(grid, dialog));
  dialog.onclose = event => { grid.shown = null; if (grid.gap) grid.current = null; close(event); };
  dialog.onkeydown = event => {
    event.stopPropagation();
    if (event.key !== "Escape" && event.key !== "Tab" && !(event.key === "Enter" && event.target !== dialog && event.target.localName === "button")) grid.key(event);
  };
  dialog.onclick = null;
  dialog.tabIndex = -1;
  dialog.focus();
  grid.shown = dialog;
  dialog.stage = stage;
  dialog.line = line;
  showPreview(grid);
}

function showPreview(grid) {
  const dialog = grid.shown, row = grid.current && grid.pages.rows.get(grid.current);
  if (!dialog || !row) return;
  const { words } = grid, label = words.label(row);
  dialog.line.textContent = [stars(row.rating), row.favorite ? words.say("favorite") : "", words.type(row), row.model, row.prompt]
    .filter(Boolean).join(" · ");
  dialog.line.classList.toggle("picked", grid.selection.has(row.id));
  if (dialog.dataset.id === row.id) return;
  dialog.dataset.id = row.id;
  dialog.stage.className = "stage";
  if (!row.output) dialog.stage.replaceChildren(el("p", { className: "nothing", textContent: `${words.status(row)} · ${row.prompt}` }));
  else if (row.video) {
    dialog.stage.replaceChildren(el("video", {
      src: fileOf(row.output), controls: true, autoplay: true, loop: true, muted: true, "aria-label": label, tabIndex: -1,
    }));
  } else {
    const image = el("img", { alt: label, src: fileOf(row.output), title: words.say("zoom") });
    image.onclick = event => zoomAt(dialog.stage, image, event);
    dialog.stage.replaceChildren(image);
  }
}

/* One pixel of the file to one of the screen, where the person clicked; again: as large as the window. */
function zoomAt(stage, image, event) {
  const box = image.getBoundingClientRect(), whole = stage.classList.toggle("true");
  image.style.width = whole ? image.naturalWidth / devicePixelRatio + "px" : "";
  if (!whole) return;
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  stage.scrollTo(x * image.clientWidth - stage.clientWidth / 2, y * image.clientHeight - stage.clientHeight / 2);
}
