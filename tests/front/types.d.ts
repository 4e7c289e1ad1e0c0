/* What the JavaScript of opstore/ knows of others: of Streamlit, of Plotly, and of each other through the window. */

/** What Streamlit gives the default export of a component (its "components v2") with each run of the page. */
interface Component<Data = unknown> {
  /** What the page's script has mounted it with. */
  data: Data;
  key: string;
  name: string;
  /** Where the component's HTML stands; a shadow root, but for components without isolated styles. */
  parentElement: HTMLElement | ShadowRoot;
  /** Tell the page's script something that stays, and run it. */
  setStateValue: Tell;
  /** Tell the page's script something that happened, and run it. */
  setTriggerValue: Tell;
}
type Tell = (name: string, value: unknown) => void;

/** What `el` takes: properties of the element, and attributes. */
type Given<E extends HTMLElement> = Partial<Omit<E, "list" | "role">> & {
  [attribute: `aria-${string}` | `data-${string}`]: string | number | boolean | undefined;
  role?: string;
  for?: string;
  list?: string;
};

/** Keys that were pressed for a drawer before it listens: that of `id`, or the neighbour of `left`. */
interface Early {
  id?: string;
  left?: string;
  /** In which turn of its drawer it was left. */
  turn?: number;
  keys: string[];
  since: number;
  /** For how many looks in succession the page rests: nothing is on its way. */
  rested: number;
}

interface Window {
  /** The last turn of `bring.js`. */
  opstoreBrought?: number;
  /** Tells of a button that had gone when its press ended. */
  opstoreClicks?: (key: string) => void;
  opstoreChosen?: number;
  /** Whether the history is kept in the steps of a person. */
  opstoreHistory?: boolean;
  opstoreEarly?: Early | null;
  /** The first screen of the Library, which comes before the grid: its pictures, and its end, which gives what was clicked in it. */
  opstoreFirst?: { picture(source: string): HTMLImageElement | null; end(): string | null };
  /** Tells who makes clicks of presses that one was held back; whether they are making one now. */
  opstoreHeld?: () => void;
  opstoreMeant?: boolean;
  /** The operation whose drawer listens, and the last whose drawer did. */
  opstoreListens?: string | null;
  opstoreSeen?: string | null;
  /** The wishes that were followed. */
  opstoreSaved?: Set<string>;
  opstoreTab?: Promise<{ id: string; from: string | null }>;
  Plotly?: Plotly;
}

/** What we use of Plotly. */
interface Plotly {
  react(place: HTMLElement, data: Trace[], layout: object, config: object): void;
  purge(place: HTMLElement): void;
  Fx: { hover(place: HTMLElement, marks: Mark[]): void; unhover(place: HTMLElement): void };
}
/** A place in which Plotly has drawn. */
interface Drawn extends HTMLElement {
  on(event: "plotly_hover" | "plotly_click", act: (heard: { points: { customdata: Custom }[] }) => void): void;
  on(event: "plotly_unhover", act: () => void): void;
}
type Custom = string | null | undefined | (string | null)[];
interface Trace {
  type?: string;
  x: (string | number)[];
  y: (string | number)[];
  orientation?: "h" | "v";
  hoverinfo?: string;
  hovertemplate?: string;
  customdata?: Custom[];
  text?: string[];
  mode?: string;
  meta?: { columns?: number };
}
interface Axis {
  type?: string;
  showgrid?: boolean;
  title?: object;
}
interface Layout {
  height: number;
  xaxis?: Axis;
  yaxis?: Axis;
  legend?: object;
  hoverlabel?: object;
}
interface Figure {
  data: Trace[];
  layout: Layout;
}
/** A bar or point of a chart: which it is for Plotly, what is said of it, and what it leads to. */
interface Mark {
  curveNumber: number;
  pointNumber: number;
  text: string;
  asked: string | null;
}
