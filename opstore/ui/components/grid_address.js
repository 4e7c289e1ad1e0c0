/* Mounts the grid, whose code has an address: it is here with the page's first screen, or else is asked for once. */

/** @typedef {Component<import("./grid.js").Given & { code: string }>} Mounted */

/** @type {Promise<unknown> | undefined} */
let code;

/** @param {Mounted} component */
export default function (component) {
  if (window.opstoreGrid) return window.opstoreGrid(component);
  /** @type {(() => void) | undefined} */
  let end;
  let ended = false;
  code ??= import(new URL(component.data.code, location.origin).href);
  code.then(
    () => {
      if (!ended) end = window.opstoreGrid?.(component);
    },
    () => {
      code = undefined; // the next run of the page asks again
    },
  );
  return () => {
    if (!component.parentElement.isConnected) ended = true;
    end?.();
  };
}
