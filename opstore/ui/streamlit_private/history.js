/* The window's history in the steps that a person takes. Streamlit makes a step of every change of an address: of a switch to a page
   with a search two, the first of them the old page with the new one's search; of a drawer that is closed one more, from which Back
   opens it again. Here a switch is one step, an open drawer one whatever is looked at in it, and closing it goes back. */

/** For how long the address that a switch begins with may stand, in milliseconds. */
const SWITCH = 3000;
const OPEN = "operation";

/**
 * What a change of the address is to a person.
 *
 * @param {URL} here
 * @param {URL} there
 * @param {string | undefined} before the address that this one was stepped to from
 * @param {boolean} fresh whether this one's search has only just come
 * @returns {"push" | "replace" | "back"}
 */
export function stepOf(here, there, before, fresh) {
  if (here.pathname !== there.pathname) return fresh && here.search === there.search ? "replace" : "push";
  if (!here.searchParams.has(OPEN) || closed(here) !== closed(there)) return "push";
  return !there.searchParams.has(OPEN) && before && closed(new URL(before)) === closed(there) ? "back" : "replace";
}

/** An address without what is open there. @param {URL} address */
function closed(address) {
  const search = new URLSearchParams(address.search);
  search.delete(OPEN);
  return `${address.pathname}?${search}`;
}

/** Keep the history so, from now on. */
export function keepHistory() {
  if (window.opstoreHistory) return;
  window.opstoreHistory = true;
  const push = history.pushState.bind(history),
    replace = history.replaceState.bind(history);
  let came = -SWITCH;
  /** @type {URL[] | null} addresses that come while the window goes back */
  let waiting = null;

  /** @param {URL} there */
  const step = there => {
    const here = new URL(location.href),
      { before } = history.state ?? {},
      how = stepOf(here, there, before, performance.now() - came < SWITCH);
    came = how === "push" && here.pathname === there.pathname ? performance.now() : -SWITCH;
    if (how === "push") push({ before: here.href }, "", there);
    else if (how === "replace") replace({ before }, "", there);
    else {
      waiting = [];
      history.back();
      setTimeout(arrive, SWITCH);
    }
  };
  const arrive = () => {
    const held = waiting ?? [];
    waiting = null;
    held.forEach(step);
  };
  history.pushState = (_state, _unused, address) => {
    const there = new URL(address ?? "", location.href);
    if (waiting) waiting.push(there);
    else step(there);
  };
  addEventListener(
    "popstate",
    event => {
      if (!waiting) return;
      event.stopImmediatePropagation(); // the page is there already
      arrive();
    },
    true,
  );
}
