/* The first screen of the Library, from rows that came with the page's answer: a browser has it while it still reads Streamlit's front
   end. The grid takes its pictures over, in the same places; where something else comes, or nothing, this screen goes. */

const SOURCE = "/api/search?q=&order=newest&group=", WAIT = 20000, LOOK = 50, MARGIN = 4;

/* Where the grid's list will stand: where it last stood in a window of this width, else where it does in a window of no habits. */
function standing() {
  const known = stored.get(localStorage, "opstore-stands")?.find(stand => stand.of === innerWidth);
  if (known) return known;
  const wide = innerWidth > 768, left = wide ? 324 : 12, width = innerWidth - left - (wide ? 24 : 12);
  return { left, width, top: width > 960 ? 188 : width > 500 ? 244 : 305 };
}

function firstScreen({ rows, words, cookie, colours, grounds, form }) {
  const theme = stored.get(localStorage, "stActiveTheme-/library-v2"), system = matchMedia("(prefers-color-scheme: dark)").matches;
  const mode = theme === "Dark" || (theme !== "Light" && system) ? "dark" : "light", { style } = document.documentElement;
  style.background = grounds[mode];  // until Streamlit's own: no white page in the dark
  setTimeout(() => { style.background = ""; }, WAIT);
  const place = stored.get(sessionStorage, "opstore-place:" + SOURCE);
  if (place && (place.first > 0 || place.offset > MARGIN)) return;  // the way back to the middle of the list
  const kept = document.cookie.split("; ").find(part => part.startsWith(cookie + "="))?.slice(cookie.length + 1);
  const said = new Words(words[kept] ?? words[navigator.language.split("-")[0].toLowerCase()] ?? words.en);
  const host = el("div", { id: "opstore-first", "aria-hidden": "true" });
  host.style.cssText = `position: fixed; right: 0; bottom: 0; overflow: hidden; z-index: 1; color-scheme: ${mode}; ${colours}; background: var(--st-background-color)`;
  const list = el("div", { className: "grid" }), section = el("div", { className: "section", role: "presentation" });
  const root = el("div", { className: "root" }, list), inside = host.attachShadow({ mode: "closed" });
  inside.append(el("style", { textContent: form }), root);
  list.append(section);

  const stand = ({ left, top, width }) => {
    const { columns, side, caption } = measured(width, stored.get(localStorage, "opstore-tile") ?? TILE);
    Object.assign(host.style, { left: left - MARGIN + "px", top: top - MARGIN + "px", padding: MARGIN + "px" });
    list.style.cssText = `width: ${width}px; --side:${side}px; --caption:${caption}px; --columns:${columns}; --gap:${GAP}px`;
    list.classList.toggle("dense", !caption);
    return columns * (Math.ceil(Math.max(0, innerHeight - top) / (side + caption + GAP)));
  };
  section.append(...rows.slice(0, stand(standing())).map(row => newTile(row, said, true)));
  for (const image of section.querySelectorAll("img")) image.fetchPriority = "high";  // before a hundred scripts
  document.documentElement.append(host);  // the body is still to come

  let chosen = null;
  list.onclick = event => {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    list.querySelector(".current")?.classList.remove("current");
    tile.classList.add("current"); chosen = tile.dataset.id;
  };
  const pictures = new Map([...section.querySelectorAll("img")].map(image => [image.getAttribute("src"), image]));
  const told = () => { if ([...section.children].every(tile => tile.querySelector(".frame.here, .word"))) host.dataset.shown = ""; };
  for (const sign of ["load", "error"]) section.addEventListener(sign, () => setTimeout(told), true);  // after the tile has heard of it
  told();
  const end = () => { clearInterval(look); host.remove(); delete window.opstoreFirst; return chosen; };
  let looks = 0, ran = false, idle = 0;
  const look = setInterval(() => {
    const app = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState, page = document.querySelector(".st-key-search-row");
    ran ||= app === "running";
    idle = ran && app === "notRunning" ? idle + 1 : 0;  // the page's script has run, and there is no grid
    const other = location.pathname !== "/library" || location.search || document.querySelector('[role="dialog"]');
    if (other || idle > (page ? 3000 : 200) / LOOK || (looks += 1) > WAIT / LOOK) end();
  }, LOOK);
  window.opstoreFirst = {
    picture: source => { const image = pictures.get(source); pictures.delete(source); return image?.complete && image.naturalWidth ? image : null; },
    end,
  };
}
