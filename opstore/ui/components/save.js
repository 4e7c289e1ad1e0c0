/* Saves a file. A component may be drawn again with what it was told before: each wish is followed once. */

import { el } from "./dom.js";

/** @param {Component<{ address: string, wish: string }>} component */
export default function ({ data }) {
  window.opstoreSaved ??= new Set();
  if (!data.address || window.opstoreSaved.has(data.wish)) return;
  window.opstoreSaved.add(data.wish);
  const link = el("a", { href: data.address, download: "", hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
}
