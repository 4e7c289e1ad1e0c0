/* Tells the document its language, keeps the one that was chosen in a cookie, and the window's history in a person's steps. */

import { keepHistory } from "../streamlit_private/history.js";

/** @param {Component<{ language: string, cookie: string, chosen: number }>} component */
export default function ({ data }) {
  keepHistory();
  document.documentElement.lang = data.language;
  if (window.opstoreChosen === data.chosen) return;
  window.opstoreChosen = data.chosen;
  // Only what was chosen in this window: another tab, drawn before, would bring its older choice back.
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API needs https, and not all browsers have it
  if (data.chosen) document.cookie = `${data.cookie}=${data.language}; path=/; max-age=31536000; SameSite=Lax`;
}
