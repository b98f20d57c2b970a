// The shelves: what there is, and the choice among it.
import { byID, el, icon, keyed, money, text } from "./dom.js";

const names = new Map();

export const itemName = (id) => names.get(id) ?? id;
export const itemIDs = () => [...names.keys()];

export function showItems(items) {
  const box = byID("items");
  byID("items-empty")?.remove();
  let list = box.querySelector(".shelves");
  if (!list) box.append(list = el("div", { class: "shelves" }));
  for (const item of items) names.set(item.id, item.name);
  keyed(list, items, (item) => item.id, make, update);
  if (!box.querySelector(":checked")) box.querySelector("input").checked = true;
}

function make(item) {
  return el("label", { class: "item" },
    el("input", { type: "radio", name: "item", value: item.id }),
    icon(item.id),
    el("b", {}, item.name),
    el("span", { class: "price" }, money(item.price)),
    el("span", { class: "bar", "aria-hidden": "true" }, el("i", { class: "sold" }), el("i", { class: "reserved" })),
    el("span", { class: "left" }));
}

function update(node, item) {
  const share = (n) => `${(100 * n) / item.delivered}%`;
  node.querySelector(".sold").style.width = share(item.sold);
  node.querySelector(".reserved").style.width = share(item.reserved);
  node.classList.toggle("gone", item.stock === 0);
  text(node.querySelector(".left"), item.stock === 0 ? "sold out" : `${item.stock} left`);
  node.title = `${item.stock} in stock + ${item.reserved} reserved + ${item.sold} sold = ${item.delivered} delivered`;
}
