const known = new WeakMap();

/* Buttons stay the same elements while what is offered stays: a press that is held while the page is drawn anew is still a click. */
function build(row, offered) {
  row.replaceChildren(...offered.map(({ value, name }) => {
    const button = document.createElement("button");
    button.type = "button"; button.dataset.value = value; button.textContent = name; button.setAttribute("role", "radio");
    return button;
  }));
}

function check(row, value) {
  const buttons = [...row.children], checked = buttons.find(button => button.dataset.value === value) ?? buttons[0];
  for (const button of buttons) {
    button.setAttribute("aria-checked", String(button === checked && checked.dataset.value === value));
    button.tabIndex = button === checked ? 0 : -1;
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const row = parentElement.querySelector(".row"), label = parentElement.querySelector(".label");
  let entry = known.get(parentElement);
  if (!entry) known.set(parentElement, entry = { print: "", turn: null });
  const print = JSON.stringify(data.offered);
  if (print !== entry.print) { build(row, data.offered); entry.print = print; }
  const note = document.createElement("abbr");
  note.title = data.note; note.textContent = "?";
  label.replaceChildren(data.label, note);
  const settled = () => row.setAttribute("aria-busy", String(entry.turn !== null));
  // What was chosen here and has not arrived yet stays, whatever a page that was asked for earlier shows.
  if (entry.turn === null || data.turn === entry.turn) { entry.turn = null; check(row, data.shown); }
  settled();
  const choose = button => {
    entry.turn = Date.now();
    check(row, button.dataset.value);
    settled();
    setTriggerValue("chosen", { value: button.dataset.value, turn: entry.turn });
  };
  row.onclick = event => { const button = event.target.closest("button"); if (button) choose(button); };
  row.onkeydown = event => {
    const buttons = [...row.children], step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    next.focus();
    choose(next);
  };
}
