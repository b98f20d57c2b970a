// Making and keeping elements.

// el makes an element; strings among its children become text.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#i-" + name);
  svg.append(use);
  return svg;
}

export const byID = (id) => document.getElementById(id);

// text sets an element's text only when it differs, so that screen readers
// hear changes and nothing else.
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// say tells people who do not see the page what has happened.
export function say(sentence) {
  text(byID("say"), sentence);
}

// keyed makes parent's children those of the list, in its order. Elements stay
// where their key stays, so that focus and open journals survive.
export function keyed(parent, list, key, make, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const value of list) {
    const name = key(value);
    let node = old.get(name);
    if (node) {
      old.delete(name);
    } else {
      node = make(value);
      node.dataset.key = name;
    }
    update(node, value);
    if (node === at) {
      at = at.nextElementSibling;
    } else {
      parent.insertBefore(node, at);
    }
  }
  for (const node of old.values()) node.remove();
}

const euro = new Intl.NumberFormat("en-IE", { style: "currency", currency: "EUR" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export const money = (cents) => euro.format(cents / 100);
export const time = (iso) => clock.format(new Date(iso));
export const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;
