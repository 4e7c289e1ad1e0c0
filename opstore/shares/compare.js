/* The sliders of a shared page and of an offline bundle: drag, touch, keys; nothing is loaded that is not named in the page. */

/* The place of each picture is kept before it has arrived, so that nothing below it moves: as large as it is, as far as it fits. */
function place(picture) {
  const [wide, high] = ["width", "height"].map(name => Number(picture.getAttribute(name)));
  picture.style.width = wide && high ? `min(100%, ${wide}px, ${(78 * wide / high).toFixed(3)}vh)` : "";
}
document.querySelectorAll(".right, .whole > img, .whole > video").forEach(place);

for (const figure of document.querySelectorAll(".compare")) {
  const pair = figure.querySelector(".pair"), handle = pair.querySelector(".handle");
  const sides = { left: pair.querySelector(".left"), right: pair.querySelector(".right") };
  const tags = { left: pair.querySelector(".tag.l"), right: pair.querySelector(".tag.r") };
  const note = figure.querySelector(".note");

  const move = at => {
    at = Math.min(100, Math.max(0, at));
    pair.style.setProperty("--at", at + "%");
    handle.setAttribute("aria-valuenow", String(Math.round(at)));
  };
  const now = () => Number(handle.getAttribute("aria-valuenow"));
  const follow = event => {
    const box = pair.getBoundingClientRect();
    move((event.clientX - box.left) / box.width * 100);
  };

  pair.onpointerdown = event => {
    if (event.button || figure.classList.contains("beside")) return;
    if (event.pointerType !== "touch" || event.target === handle) pair.setPointerCapture(event.pointerId);
    follow(event);
    handle.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  };
  pair.onpointermove = event => { if (event.buttons && !figure.classList.contains("beside")) follow(event); };
  handle.onkeydown = event => {
    const step = event.shiftKey ? 10 : 2, keys = { ArrowLeft: now() - step, ArrowDown: now() - step, ArrowRight: now() + step,
      ArrowUp: now() + step, PageDown: now() - 10, PageUp: now() + 10, Home: 0, End: 100 };
    if (!(event.key in keys)) return;
    move(keys[event.key]);
    event.preventDefault();
  };

  /* Another picture on one side: the places of both are in the buttons. */
  const buttons = [...figure.querySelectorAll("button[data-side]")];
  const choose = button => {
    const { side, source, label, wide, high } = button.dataset, picture = sides[side];
    picture.src = source; picture.alt = button.dataset.alt; tags[side].textContent = label;
    for (const [name, value] of [["width", wide], ["height", high]]) value ? picture.setAttribute(name, value) : picture.removeAttribute(name);
    if (side === "right") place(picture);
    for (const other of buttons) if (other.dataset.side === side) other.setAttribute("aria-pressed", String(other === button));
    shape();
  };
  /* Two of other shapes are shown whole, centred, and that is said. */
  const shape = () => {
    const ratio = picture => Number(picture.getAttribute("width")) / Number(picture.getAttribute("height")) || 0;
    const [left, right] = [ratio(sides.left), ratio(sides.right)];
    note.hidden = !left || !right || Math.abs(left / right - 1) < .01;
  };
  for (const button of buttons) button.onclick = () => choose(button);
  for (const button of figure.querySelectorAll("button[data-view]")) {
    button.onclick = () => {
      figure.classList.toggle("beside", button.dataset.view === "beside");
      for (const other of figure.querySelectorAll("button[data-view]")) other.setAttribute("aria-pressed", String(other === button));
    };
  }
  shape();
}

/* Videos beside each other run together. */
for (const row of document.querySelectorAll(".together")) {
  const videos = [...row.querySelectorAll("video")], button = row.parentElement.querySelector(".play");
  button.onclick = () => {
    const start = videos.some(video => video.paused);
    for (const video of videos) {
      if (!start) { video.pause(); continue; }
      video.currentTime = videos[0].currentTime;
      video.play();
    }
  };
  videos[0].onseeking = () => { for (const video of videos.slice(1)) video.currentTime = videos[0].currentTime; };
}

/* Times in the zone and the words of whoever looks. */
for (const time of document.querySelectorAll("time")) {
  const moment = new Date(time.dateTime);
  if (!isNaN(moment)) time.textContent = moment.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
}
