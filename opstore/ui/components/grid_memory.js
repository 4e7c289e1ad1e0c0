/* What a browser and a window of it keep for the grid: kept where that is allowed, and never a reason to fail. */

export const stored = {
  /** @template T what is kept under the name @param {Storage} box @param {string} name @returns {T | null} */
  get(box, name) {
    try {
      return JSON.parse(box.getItem(name) ?? "null");
    } catch {
      return null;
    }
  },
  /** @param {Storage} box @param {string} name @param {unknown} value */
  set(box, name, value) {
    try {
      box.setItem(name, JSON.stringify(value));
    } catch {
      /* full, or not allowed: not kept */
    }
  },
};

export const unique = () =>
  Date.now().toString(36) + [...crypto.getRandomValues(new Uint32Array(3))].map(part => part.toString(36)).join("");

/** Under which a window keeps its name. */
export const WINDOW = "opstore-window";

/** A window has its name for as long as it is open: loaded anew it can still take back what it did. @returns {string} */
export function windowName() {
  /** @type {string} */
  const known = stored.get(sessionStorage, WINDOW) ?? unique();
  stored.set(sessionStorage, WINDOW, known);
  return known;
}
