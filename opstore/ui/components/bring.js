/* Brings a field into view; the page may still be on its way. A finger wants no keyboard over the picture it has just chosen. */

const HEADER = 76,
  LABEL = 36,
  WAIT = 5000;

/**
 * @param {string} where
 * @param {number} since
 */
function bring(where, since) {
  /** @type {HTMLTextAreaElement | null} */
  const field = document.querySelector(`${where} textarea`);
  if (!field) {
    if (performance.now() - since < WAIT) setTimeout(bring, 50, where, since);
    return;
  }
  const { top, bottom } = field.getBoundingClientRect();
  field.style.scrollMarginTop = `${HEADER + LABEL}px`;
  if (top < HEADER || bottom > innerHeight) field.scrollIntoView({ block: "start" });
  if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
}

/** @param {Component<{ where: string, turn: number }>} component */
export default function ({ data }) {
  const before = window.opstoreBrought ?? 0;
  window.opstoreBrought = data.turn;
  if (data.turn > before) bring(data.where, performance.now());
}
