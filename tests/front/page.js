/* As much of a browser's page as the units need: elements that keep what they are given, and a document that finds what a test has
   put there. Import it before what it is for. */

/** What `document.querySelector` and `querySelectorAll` find, by their selectors. */
export const found = new Map();

export class Element extends EventTarget {
  constructor(localName) {
    super();
    Object.assign(this, { localName, children: [], attributes: new Map(), dataset: {}, style: {}, parentElement: null });
    this.isConnected = true;
    const names = new Set();
    this.classList = {
      add: name => names.add(name),
      contains: name => names.has(name),
      toggle: (name, on) => names[on ? "add" : "delete"](name),
    };
  }

  append(...children) {
    for (const child of children) if (child instanceof Element) child.parentElement = this;
    this.children.push(...children);
  }

  replaceChildren(...children) {
    this.children = [];
    this.append(...children);
  }

  setAttribute(name, value) {
    this.attributes.set(name, value);
  }

  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  removeAttribute(name) {
    this.attributes.delete(name);
  }

  /* Of selectors only those of a class are known. */
  querySelector(selector) {
    return walk(this).find(item => `.${item.className}` === selector) ?? null;
  }

  /* By the name of the element. */
  querySelectorAll(name) {
    return walk(this).filter(item => item.localName === name);
  }

  closest(selector) {
    for (let at = this; at; at = at.parentElement) if (`.${at.className}` === selector) return at;
    return null;
  }

  contains(other) {
    return other === this || walk(this).includes(other);
  }

  focus() {
    document.activeElement = this;
  }

  scrollIntoView() {}

  click() {
    this.onclick?.({ type: "click", target: this });
  }

  get firstChild() {
    return this.children[0] ?? null;
  }

  get lastElementChild() {
    return this.children.at(-1) ?? null;
  }

  get text() {
    return this.textContent ?? this.children.map(child => child.text ?? child).join("");
  }
}

const walk = element => element.children.filter(child => child instanceof Element).flatMap(child => [child, ...walk(child)]);

class Observer {
  observe() {}
  disconnect() {}
}

const document = Object.assign(new EventTarget(), {
  createElement: name => new Element(name),
  querySelector: selector => [found.get(selector) ?? []].flat()[0] ?? null,
  querySelectorAll: selector => [found.get(selector) ?? []].flat(),
  activeElement: null,
});
const css = { escape: text => text };
const outside = new EventTarget();

Object.assign(globalThis, { window: globalThis, document, Element, HTMLElement: Element, CSS: css });
Object.assign(globalThis, { ResizeObserver: Observer, IntersectionObserver: Observer, MutationObserver: Observer });
Object.assign(globalThis, { matchMedia: () => new EventTarget(), innerHeight: 800 });
Object.assign(globalThis, { requestAnimationFrame: () => 0, cancelAnimationFrame: () => {} });
globalThis.addEventListener = outside.addEventListener.bind(outside);

/** A key as it arrives, with what was done about it. */
export function pressed(key, more = {}) {
  const event = { key, type: "keydown", isStopped: false, defaultPrevented: false, composedPath: () => [], ...more };
  event.preventDefault = () => {
    event.defaultPrevented = true;
  };
  event.stopPropagation = event.stopImmediatePropagation = () => {
    event.isStopped = true;
  };
  return event;
}

/** What is told to the page's script: a function like Streamlit's, and what it was called with. */
export function script() {
  const heard = [];
  return { heard, tell: (name, value) => heard.push([name, value]) };
}
