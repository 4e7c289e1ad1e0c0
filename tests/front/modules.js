/* Has node read the JavaScript of opstore/ as modules, as a browser does: no package.json stands beside it to say so. */

import { register } from "node:module";

const ours = new URL("../../opstore/", import.meta.url).href;
const hooks = `export const load = (url, context, next) =>
  next(url, url.startsWith(${JSON.stringify(ours)}) ? { ...context, format: "module" } : context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
