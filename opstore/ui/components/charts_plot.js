/* A figure in its place: drawn by Plotly when it comes near the window, and again when it has changed and is near. */

const CONFIG = { displayModeBar: false, scrollZoom: false, doubleClick: false, showTips: false };

/** @typedef {{ color: string, font: string, line: string, ground: string }} Style */

/** @type {Set<Plot>} drawn or not; one is drawn at a time, the nearest first, and the page breathes in between */
const plots = new Set();
/** @type {Promise<Plotly> | null} */
let loading = null;
let isWorking = false;

/** @param {string} address */
function plotly(address) {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((done, fail) => {
    const script = Object.assign(document.createElement("script"), { src: address });
    const failed = () => {
      loading = null;
      script.remove();
      fail(new Error(address));
    };
    script.onload = () => (window.Plotly ? done(window.Plotly) : failed());
    script.onerror = failed;
    document.head.append(script);
  });
  return loading;
}

/**
 * What the page looks like where a figure stands; a drawing's own lines have no width, and tell what a variable comes to.
 *
 * @param {HTMLElement} place
 * @returns {Style}
 */
function looks(place) {
  const { color, fontFamily: font, borderTopColor: line, outlineColor: ground } = getComputedStyle(place);
  return { color, font, line, ground };
}

/**
 * @param {Layout} layout
 * @param {Style} style
 * @param {number} width
 */
export function dressed(layout, { color, font, line, ground }, width) {
  const axis = (/** @type {Axis} */ given = {}) => ({
    ...given,
    gridcolor: line,
    showline: false,
    ticks: "",
    ticklabelstandoff: 4,
    showgrid: given.showgrid ?? given.type !== "category",
    tickfont: { size: 12, color },
    title: given.title && { ...given.title, font: { size: 13, color } },
  });
  return {
    ...layout,
    width,
    autosize: false,
    font: { family: font, color, size: 12 },
    xaxis: axis({ showgrid: false, ...layout.xaxis }),
    yaxis: axis(layout.yaxis),
    legend: layout.legend && { ...layout.legend, font: { size: 12, color } },
    hoverlabel: { ...layout.hoverlabel, bgcolor: ground, bordercolor: line, font: { family: font, color, size: 13 } },
  };
}

/**
 * Numbers in cells that are too narrow for them would lie on each other: then the cells stand without.
 *
 * @param {Trace} trace
 * @param {number} width
 */
export function fitted(trace, width) {
  const columns = trace.meta?.columns,
    longest = Math.max(0, ...(trace.text ?? []).map(text => text.length));
  if (columns && longest * 7 > (width * 0.6) / columns) trace.mode = "markers";
}

/**
 * What a mark leads to: its customdata, or the first part of it.
 *
 * @param {Custom} given
 */
export function asked(given) {
  const found = Array.isArray(given) ? given[0] : given;
  return typeof found === "string" && found ? found : null;
}

export class Plot {
  isNear = false;
  isStale = false;
  isListening = false;
  text = "";
  style = "";
  width = 0;
  script = "";
  /** @type {() => void} */
  failed = () => {};
  /** @type {IntersectionObserver | null} */
  sight = null;

  /**
   * @param {HTMLElement} place
   * @param {(wanted: string) => void} pick
   */
  constructor(place, pick) {
    this.place = place;
    this.pick = pick;
    this.size = new ResizeObserver(() => {
      if (this.width && this.width !== this.place.clientWidth) this.again();
    });
    this.size.observe(place);
    plots.add(this);
  }

  /* The place stands in the page: by its own scroller, since a margin around the window does not reach into one. */
  watch() {
    const options = { root: scroller(this.place), rootMargin: "75% 0px" };
    const sight = new IntersectionObserver(seen => {
      this.isNear = Boolean(seen.at(-1)?.isIntersecting);
      work();
    }, options);
    sight.observe(this.place);
    return sight;
  }

  /**
   * @param {Figure} figure
   * @param {string} script
   * @param {() => void} failed
   */
  give(figure, script, failed) {
    const text = JSON.stringify(figure);
    this.script = script;
    this.failed = failed;
    this.sight ??= this.watch();
    if (text === this.text) return;
    this.text = text;
    this.place.style.height = `${figure.layout.height}px`;
    this.again();
  }

  again() {
    this.isStale = true;
    this.place.setAttribute("aria-busy", "true");
    work();
  }

  /** @param {Plotly} Plotly */
  draw(Plotly) {
    const style = looks(this.place);
    this.isStale = false;
    this.place.removeAttribute("aria-busy");
    this.style = JSON.stringify(style);
    this.width = this.place.clientWidth;
    /** @type {Figure} Plotly writes into what it is given */
    const { data, layout } = JSON.parse(this.text);
    for (const trace of data) fitted(trace, this.width);
    Plotly.react(this.place, data, dressed(layout, style, this.width), CONFIG);
    if (!this.isListening) this.listen(/** @type {Drawn} */ (this.place));
  }

  /** @param {Drawn} drawn */
  listen(drawn) {
    this.isListening = true;
    const mark = (/** @type {boolean} */ isOn) => this.place.parentElement?.classList.toggle("on-mark", isOn);
    drawn.on("plotly_hover", ({ points }) => mark(Boolean(asked(points[0].customdata))));
    drawn.on("plotly_unhover", () => mark(false));
    drawn.on("plotly_click", ({ points }) => {
      const found = asked(points[0].customdata);
      if (found) this.pick(found);
    });
  }

  /** Show the label of a mark, of none with null. @param {Mark | null} mark */
  point(mark) {
    if (!this.isListening) return;
    if (mark) window.Plotly?.Fx.hover(this.place, [mark]);
    else window.Plotly?.Fx.unhover(this.place);
  }

  end() {
    this.sight?.disconnect();
    this.size.disconnect();
    plots.delete(this);
    if (this.isListening) window.Plotly?.purge(this.place);
  }
}

/** @param {HTMLElement} place */
function scroller(place) {
  for (let at = place.parentElement; at; at = at.parentElement) if (/auto|scroll/.test(getComputedStyle(at).overflowY)) return at;
  return null;
}

/** @param {Plot} plot */
function distance({ place }) {
  const { top, bottom } = place.getBoundingClientRect();
  return Math.max(0, top - innerHeight, -bottom);
}

/* Equally near: the upper one first, as they were made. */
const nearest = () =>
  [...plots].filter(one => one.isStale && one.isNear).sort((one, other) => distance(one) - distance(other))[0];

async function work() {
  if (isWorking) return;
  isWorking = true;
  for (let plot = nearest(); plot; plot = nearest()) {
    try {
      const Plotly = await plotly(plot.script);
      await new Promise(done => setTimeout(done));
      if (plots.has(plot) && plot.isStale) plot.draw(Plotly);
    } catch (error) {
      plot.isStale = false;
      plot.failed();
      console.error(error);
    }
  }
  isWorking = false;
}

/* Paper has all charts, as wide as it is; where the script is not there yet, their sentences. */
addEventListener("beforeprint", () => {
  if (!window.Plotly) return;
  for (const plot of plots) {
    if (plot.isStale) plot.draw(window.Plotly);
    for (const svg of plot.place.querySelectorAll("svg.main-svg")) {
      svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
    }
  }
});

/* Another theme: what was drawn has the colours of the one before. */
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTimeout(restyle, 300));
export function restyle() {
  for (const plot of plots) if (plot.style && plot.style !== JSON.stringify(looks(plot.place))) plot.again();
}
