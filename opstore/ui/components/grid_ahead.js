/* What is typed, and what is chosen in the page's boxes, leads to another search: the grid looks for it while the page's script is
   told. Streamlit's boxes are known by the keys of ours, their options by their words; one that is not known is the script's alone. */

const TYPING = 40, SEARCH = '.st-key-search-row [data-testid="stTextInput"]';

function lookAhead(grid, on) {
  document.addEventListener("input", event => typed(grid, event), on);
  document.addEventListener("click", event => chosen(grid, event.target), { ...on, capture: true });
  document.addEventListener("keydown", event => {
    if (event.key === "ArrowDown" && !event.isComposing && event.target.closest?.(SEARCH)) {
      event.preventDefault();
      grid.list.focus();
    }
    const told = event.key === "Enter" && event.target.getAttribute?.("aria-activedescendant");
    if (told) chosen(grid, document.getElementById(told));
  }, { ...on, capture: true });
}

function typed(grid, event) {
  if (!event.target.closest?.(SEARCH) || !grid.source) return;
  clearTimeout(grid.typing);
  const query = new URLSearchParams(grid.source.split("?")[1]);
  query.set("q", event.target.value);
  grid.typing = setTimeout(() => grid.ahead("/api/search?" + query), TYPING);
}

function chosen(grid, item) {
  const option = item?.closest?.('[role="option"]'), list = option?.closest('[role="listbox"]');
  const box = list ? document.querySelector(`[aria-controls="${CSS.escape(list.id)}"]`) : item?.closest?.("label")?.querySelector('[role="switch"]');
  const key = box?.closest('[class*="st-key-"]')?.className.match(/st-key-([\w-]+)/)[1].replace(/-t\d+$/, "");  // the page makes anew what it sets
  const source = grid.data.ways?.[key]?.[list ? option.textContent : ""];
  if (source) grid.ahead(source);
}
