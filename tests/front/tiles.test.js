import assert from "node:assert/strict";
import { test } from "node:test";
import { Element } from "./page.js";
import { dress, newTile, Words } from "../../opstore/ui/components/grid_tiles.js";
import { face, tileOf } from "../../opstore/ui/components/tiles.js";
import { rowOf } from "./grid_samples.js";

globalThis.HTMLImageElement = { [Symbol.hasInstance]: item => item.localName === "img" };

const faceOf = more => ({
  source: "/a.webp",
  label: "a harbour",
  title: "harbour",
  badges: [],
  words: () => ["in words"],
  ...more,
});
const pictureOf = tile => tile.children[0].children[0];
const words = new Words({
  language: "en",
  types: { text_to_image: "Image from text" },
  statuses: { failed: "Failed" },
  labelled: "{name}\u00a0: {value}",
  rated: ["{count} étoile sur 5", "{count} étoiles sur 5"],
  help: [],
  formats: [],
});

test("another face leaves the picture alone where it is the same, and puts another in its place", () => {
  const tile = tileOf("x");
  face(tile, faceOf());
  const image = pictureOf(tile);
  face(tile, faceOf({ label: "a bridge", title: "bridge", badges: [{ text: "50 %", tone: "quiet" }] }));
  assert.equal(pictureOf(tile), image);
  assert.deepEqual([image.alt, tile.text], ["a bridge", "50 %bridge"]);
  face(tile, faceOf({ source: "/b.webp" }));
  assert.notEqual(pictureOf(tile), image);
  assert.equal(pictureOf(tile).src, "/b.webp");
});

test("if there is no picture, or it cannot be shown, its words are", () => {
  const tile = tileOf("x");
  face(tile, faceOf({ source: null }));
  assert.equal(tile.children[0].text, "in words");
  face(tile, faceOf());
  pictureOf(tile).onerror();
  assert.equal(tile.children[0].text, "in words");
});

test("a picture that is on screen since before the grid is taken over", t => {
  const known = new Element("img");
  window.opstoreFirst = { picture: source => (source === "/a.webp" ? known : null), end: () => null };
  t.after(() => delete window.opstoreFirst);
  const tile = tileOf("x");
  face(tile, faceOf());
  assert.equal(pictureOf(tile), known);
  assert.ok(tile.children[0].classList.contains("here"));
});

test("a tile of the grid is touched only where its row is another one", () => {
  const row = rowOf(1),
    tile = newTile(row, words),
    badges = tile.children[1];
  const replaced = badges.replaceChildren;
  badges.replaceChildren = () => assert.fail("touched");
  dress(tile, { ...row }, words);
  badges.replaceChildren = replaced;
  dress(tile, { ...row, status: "failed", rating: 4 }, words);
  assert.deepEqual([badges.text, tile.children[2].children[0].text], ["Failed", "★★★★☆"]);
  assert.equal(tile.getAttribute("aria-label"), "Image from text\u00a0: prompt 1, 4 étoiles sur 5");
});
