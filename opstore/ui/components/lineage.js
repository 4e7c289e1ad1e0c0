/* A family as a graph: pictures in columns, older ones left, lines from parents to children. Arrow keys follow the lines. */

import { around, el, part } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 148,
  HIGH = 148,
  ACROSS = 84,
  DOWN = 20,
  EDGE = 4;

/**
 * @typedef {object} Member
 * @property {string} id
 * @property {number} column
 * @property {number} row
 * @property {string} title
 * @property {string} label
 * @property {string} tone
 * @property {string} badge
 * @property {string | null} thumbnail
 * @property {boolean} missing
 */
/** @typedef {{ parent: string, child: string, how: string }} Link */
/** @typedef {{ members: Member[], links: Link[], centre: string, words: Record<string, string> }} Family */
/** @typedef {{ x: number, y: number }} Place */

/**
 * @param {Member} member
 * @param {boolean} isCentre
 * @param {(id: string) => void} open
 */
function card(member, isCentre, open) {
  const frame = el("span", { className: "frame" });
  const word = () => frame.replaceChildren(el("span", { dir: "auto", textContent: member.title }));
  if (member.thumbnail) {
    frame.append(
      el("img", { alt: "", loading: "lazy", decoding: "async", draggable: false, onerror: word, src: member.thumbnail }),
    );
  } else word();
  const item = el(
    "button",
    {
      type: "button",
      className: `member ${member.tone}`,
      title: member.title,
      "aria-label": member.label,
      "data-id": member.id,
      disabled: member.missing,
    },
    frame,
    el("span", { className: "title", dir: "auto", textContent: member.title }),
  );
  if (member.badge) item.append(el("span", { className: "badge", textContent: member.badge }));
  if (isCentre) item.setAttribute("aria-current", "true");
  if (!member.missing) item.onclick = () => open(member.id);
  return item;
}

/**
 * @param {keyof SVGElementTagNameMap} tag
 * @param {Record<string, string | number>} given
 * @param {(Node | string)[]} children
 */
function drawn(tag, given, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * @param {Place} from
 * @param {Place} to
 */
export function curve(from, to) {
  const [x, y, across, down] = [from.x + WIDE, from.y + HIGH / 2, to.x, to.y + HIGH / 2];
  const bend = Math.max(40, Math.abs(across - x) / 2);
  return `M ${x} ${y} C ${x + bend} ${y}, ${across - bend} ${down}, ${across} ${down}`;
}

/**
 * Where everybody stands, and how large the graph is.
 *
 * @param {Member[]} members
 */
export function placed(members) {
  const rows = members.map(member => member.row),
    low = Math.min(...rows),
    high = Math.max(...rows);
  const columns = Math.max(...members.map(member => member.column)) + 1;
  /** @type {(member: Member) => [string, Place]} */
  const place = ({ id, column, row }) => [id, { x: EDGE + column * (WIDE + ACROSS), y: EDGE + (row - low) * (HIGH + DOWN) }];
  return {
    places: new Map(members.map(place)),
    wide: columns * (WIDE + ACROSS) - ACROSS + 2 * EDGE,
    high: (high - low + 1) * (HIGH + DOWN) - DOWN + 2 * EDGE,
  };
}

/**
 * The member that an arrow leads to: along the lines sideways, within the column up and down.
 *
 * @param {Family} family
 * @param {string} id
 * @param {string} key
 */
export function next({ members, links }, id, key) {
  const here = members.find(member => member.id === id);
  if (!here) return undefined;
  if (key === "ArrowUp" || key === "ArrowDown") {
    const column = members.filter(member => member.column === here.column && !member.missing).sort((a, b) => a.row - b.row);
    return column[column.indexOf(here) + (key === "ArrowUp" ? -1 : 1)]?.id;
  }
  const kin =
    key === "ArrowLeft"
      ? links.filter(link => link.child === id).map(link => link.parent)
      : links.filter(link => link.parent === id).map(link => link.child);
  const near = members.filter(member => kin.includes(member.id) && !member.missing);
  return near.sort((a, b) => Math.abs(a.row - here.row) - Math.abs(b.row - here.row))[0]?.id;
}

/**
 * @param {Family} family
 * @param {ReturnType<typeof placed>} layout
 */
function lines({ links, words }, { places, wide, high }) {
  const paths = links.flatMap(({ parent, child, how }) => {
    const from = places.get(parent),
      to = places.get(child);
    return from && to ? [drawn("path", { d: curve(from, to), class: how }, drawn("title", {}, words[how]))] : [];
  });
  return drawn("svg", { width: wide, height: high, "aria-hidden": "true" }, ...paths);
}

/** @param {Component<Family>} component */
export default function ({ data, parentElement, setTriggerValue }) {
  const root = part(parentElement, ".root"),
    print = JSON.stringify(data);
  if (root.dataset.print === print) return;
  root.dataset.print = print;
  const active = parentElement instanceof ShadowRoot ? parentElement.activeElement : null;
  const held = active instanceof HTMLElement ? active.dataset.id : undefined;
  const layout = placed(data.members);
  const cards = data.members.map(member => {
    const item = card(member, member.id === data.centre, id => setTriggerValue("opened", id));
    const { x, y } = layout.places.get(member.id) ?? { x: 0, y: 0 };
    Object.assign(item.style, { left: `${x}px`, top: `${y}px` });
    return item;
  });
  const graph = el("div", { className: "graph", role: "group", "aria-label": data.words.name }, lines(data, layout), ...cards);
  Object.assign(graph.style, { width: `${layout.wide}px`, height: `${layout.high}px` });
  const go = (/** @type {string | undefined} */ id) => cards.find(item => id !== undefined && item.dataset.id === id)?.focus();
  graph.onkeydown = event => {
    const id = around(event, ".member")?.dataset.id;
    if (!id || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    event.stopPropagation();
    go(next(data, id, event.key));
  };
  const fresh = !root.firstChild;
  root.replaceChildren(graph);
  go(held);
  const centre = layout.places.get(data.centre);
  if (centre && (fresh || root.dataset.centre !== data.centre)) {
    root.scrollTo(centre.x - root.clientWidth / 2 + WIDE / 2, centre.y - root.clientHeight / 2 + HIGH / 2);
    root.dataset.centre = data.centre;
  }
}
