/* A family as a graph: pictures in columns, older ones left, lines from parents to children. Arrow keys follow the lines. */

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 148, HIGH = 148, ACROSS = 84, DOWN = 20;

function made(tag, given = {}, ...children) {
  const item = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("aria-") || name === "role") item.setAttribute(name, String(value));
    else item[name] = value;
  }
  item.append(...children);
  return item;
}

function card(member, data, open) {
  const frame = made("span", { className: "frame" });
  if (member.thumbnail) {
    const image = made("img", { alt: "", loading: "lazy", decoding: "async", draggable: false });
    image.onerror = () => frame.replaceChildren(made("span", { textContent: member.title }));
    image.src = member.thumbnail;
    frame.append(image);
  } else frame.append(made("span", { textContent: member.title }));
  const item = made("button", { type: "button", className: `member ${member.tone}`, title: member.title, "aria-label": member.label },
    frame, made("span", { className: "title", textContent: member.title }));
  item.dataset.id = member.id;
  if (member.badge) item.append(made("span", { className: "badge", textContent: member.badge }));
  if (member.id === data.centre) item.setAttribute("aria-current", "true");
  item.disabled = member.missing;
  if (!member.missing) item.onclick = () => open(member.id);
  return item;
}

function line(from, to, link, words) {
  const path = document.createElementNS(SVG, "path"), [x, y, across, down] = [from.x + WIDE, from.y + HIGH / 2, to.x, to.y + HIGH / 2];
  const bend = Math.max(40, Math.abs(across - x) / 2);
  path.setAttribute("d", `M ${x} ${y} C ${x + bend} ${y}, ${across - bend} ${down}, ${across} ${down}`);
  path.setAttribute("class", link.how);
  const title = document.createElementNS(SVG, "title");
  title.textContent = words[link.how];
  path.append(title);
  return path;
}

/* The member that an arrow leads to: along the lines sideways, within the column up and down. */
function next(data, id, key) {
  const here = data.members.find(member => member.id === id);
  const column = data.members.filter(member => member.column === here.column && !member.missing).sort((a, b) => a.row - b.row);
  const at = column.findIndex(member => member.id === id);
  const kin = key === "ArrowLeft" ? data.links.filter(link => link.child === id).map(link => link.parent)
    : data.links.filter(link => link.parent === id).map(link => link.child);
  if (key === "ArrowUp" || key === "ArrowDown") return column[at + (key === "ArrowUp" ? -1 : 1)]?.id;
  const near = data.members.filter(member => kin.includes(member.id) && !member.missing);
  return near.sort((a, b) => Math.abs(a.row - here.row) - Math.abs(b.row - here.row))[0]?.id;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".root"), held = parentElement.activeElement?.dataset?.id;
  const print = JSON.stringify(data);
  if (root.dataset.print === print) return;
  root.dataset.print = print;
  const rows = data.members.map(member => member.row), low = Math.min(...rows), high = Math.max(...rows);
  const columns = Math.max(...data.members.map(member => member.column)) + 1;
  const places = new Map(data.members.map(member => [member.id, { x: 4 + member.column * (WIDE + ACROSS), y: 4 + (member.row - low) * (HIGH + DOWN) }]));
  const size = { wide: columns * (WIDE + ACROSS) - ACROSS + 8, high: (high - low + 1) * (HIGH + DOWN) - DOWN + 8 };
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("width", size.wide); svg.setAttribute("height", size.high); svg.setAttribute("aria-hidden", "true");
  svg.append(...data.links.map(link => line(places.get(link.parent), places.get(link.child), link, data.words)));
  const cards = data.members.map(member => {
    const item = card(member, data, id => setTriggerValue("opened", id)), { x, y } = places.get(member.id);
    Object.assign(item.style, { left: `${x}px`, top: `${y}px` });
    return item;
  });
  const graph = made("div", { className: "graph", role: "group", "aria-label": data.words.name }, svg, ...cards);
  Object.assign(graph.style, { width: `${size.wide}px`, height: `${size.high}px` });
  graph.onkeydown = event => {
    const id = event.target.dataset?.id;
    if (!id || !event.key.startsWith("Arrow")) return;
    event.preventDefault(); event.stopPropagation();
    const target = next(data, id, event.key);
    cards.find(item => item.dataset.id === target)?.focus();
  };
  const fresh = !root.firstChild;
  root.replaceChildren(graph);
  if (held) cards.find(item => item.dataset.id === held)?.focus();
  if (fresh || root.dataset.centre !== data.centre) {
    const { x, y } = places.get(data.centre);
    root.scrollTo(x - root.clientWidth / 2 + WIDE / 2, y - root.clientHeight / 2 + HIGH / 2);
    root.dataset.centre = data.centre;
  }
}
