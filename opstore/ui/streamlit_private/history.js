/* The window's history in the steps that a person takes. Streamlit makes a step of every change of an address: of a switch to a page
   with a search two, the first of them the old page with the new one's search; of a drawer that is closed one more, from which Back
   opens it again. Here a switch is one step, an open drawer one whatever is looked at in it, and none once it is closed. */

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
 * @returns {"push" | "replace" | "close"}
 */
export function stepOf(here, there, before, fresh) {
  if (here.pathname !== there.pathname) return fresh && here.search === there.search ? "replace" : "push";
  if (!here.searchParams.has(OPEN) || closed(here) !== closed(there)) return "push";
  return !there.searchParams.has(OPEN) && before && closed(new URL(before)) === closed(there) ? "close" : "replace";
}

/** An address without what is open there. @param {URL} address */
function closed(address) {
  const search = new URLSearchParams(address.search);
  search.delete(OPEN);
  return `${address.pathname}?${search}`;
}

/** Where the window is: its address, and how many entries of the history right before this one have the same.
 *  @returns {{ href: string, same: number }} */
const place = () => ({ href: location.href, same: history.state?.same ?? 0 });

/** Keep the history so, from now on. */
export function keepHistory() {
  if (window.opstoreHistory) return;
  window.opstoreHistory = true;
  const push = history.pushState.bind(history),
    replace = history.replaceState.bind(history);
  let came = -SWITCH,
    at = place();
  history.pushState = (_state, _unused, address) => {
    const here = new URL(location.href),
      there = new URL(address ?? "", here),
      kept = history.state ?? {},
      how = stepOf(here, there, kept.before, performance.now() - came < SWITCH);
    came = how === "push" && here.pathname === there.pathname ? performance.now() : -SWITCH;
    if (how === "push") push({ before: here.href, under: kept.same ?? 0 }, "", there);
    else if (how === "replace") replace({ before: kept.before, under: kept.under }, "", there);
    else replace({ same: (kept.under ?? 0) + 1 }, "", there); // to go back takes time, in which somebody may go elsewhere
    at = place();
  };
  addEventListener(
    "popstate",
    event => {
      const left = at;
      at = place();
      if (left.href !== at.href || at.same >= left.same) return;
      event.stopImmediatePropagation(); // nothing is seen of it: Back leads to what was there before
      history.go(-left.same);
    },
    true,
  );
}
