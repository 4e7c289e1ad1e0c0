/* Streamlit's page as our scripts find it: its elements, what it says of itself, and what it keeps. No other script of ours names these. */

const REFUSED = '[data-testid="stFileChip"][aria-invalid="true"]';

/** The box that is written in within an element of ours. @param {string} within */
export const textBox = within => `${within} [data-testid="stTextInput"]`;
/** What is around a button that runs the page. */
export const BUTTON = '[data-testid="stButton"], [data-testid="stFormSubmitButton"]';
/** Where files are given; a file that was refused (`REFUSED_ATTRIBUTE` says so), and one that is on its way. */
export const UPLOADER = '[data-testid="stFileUploader"]';
export const REFUSED_ATTRIBUTE = "aria-invalid";
export const WAITING_FILE = `[data-testid="stFileChipIconSpinner"], ${REFUSED}`;

/** The names of the files that were refused. */
export function refusedFiles() {
  /** @type {NodeListOf<HTMLElement>} */
  const names = document.querySelectorAll(`${REFUSED} [data-testid="stFileChipName"]`);
  return [...names].map(name => name.title);
}

/** What is kept, beside what has taken its place, until the page is drawn to its end. */
export const KEPT_ATTRIBUTE = "data-retained";
export const KEPT = `[${KEPT_ATTRIBUTE}]`;

/** Whether the page's script runs, or rests; neither where the page is still to come. */
export function scriptState() {
  const state = document.querySelector('[data-testid="stApp"]')?.getAttribute("data-test-script-state");
  return { runs: state === "running", rests: state === "notRunning" };
}

/** The drawer of an open operation, or another dialog. */
export const DIALOG = '[role="dialog"]';
/** One that closes what is behind it: a popover is a part of the page's form. */
export const MODAL = `${DIALOG}:not([data-testid="stPopoverBody"])`;

export function closeDialog() {
  /** @type {HTMLElement | null} */
  const close = document.querySelector(`${DIALOG} button[aria-label="Close"]`);
  close?.click();
}

/** Under which the theme that was chosen is kept, of a page at this address. @param {string} path */
export const themeKey = path => `stActiveTheme-${path}-v2`;
