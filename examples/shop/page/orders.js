// The list of orders, each with its journal to open.
import { byID, count, el, icon, keyed, money, say, text, time } from "./dom.js";
import { showJournal } from "./journal.js";
import { itemName } from "./stock.js";

const mine = new Set(); // IDs of orders that this page placed
const told = new Map(); // what was last said of them

let opened = ""; // ID of the order whose journal is open
let onOpen = () => {};

// onOpening calls listener with the ID of the order whose journal the server
// should send, "" for none.
export const onOpening = (listener) => { onOpen = listener; };

// What people call the states.
const words = { queued: "waiting", reserved: "charging", stopped: "stopped" };
const kinds = [
  ["queued", "waiting"], ["reserved", "charging"], ["confirmed", "confirmed"],
  ["declined", "declined"], ["sold out", "sold out"], ["not paid", "not paid"],
];

export const claim = (id) => mine.add(id);

export function showOrders(board) {
  keyed(byID("counts"), kinds, ([state]) => state,
    ([, word]) => el("div", {}, el("dt", {}, word), el("dd", {})),
    (node, [state]) => text(node.querySelector("dd"), (board.counts[state] ?? 0).toLocaleString("en-IE")));

  const all = Object.values(board.counts).reduce((sum, n) => sum + n, 0);
  byID("orders-empty").hidden = board.orders.length > 0;
  byID("older").hidden = all <= board.orders.length;
  text(byID("older"), `The ${board.orders.length} newest of ${all.toLocaleString("en-IE")} orders.`);
  keyed(byID("list"), board.orders, (order) => order.id, make, update);

  const box = byID("j-" + opened);
  if (opened && !box) open(""); // it has left the list
  if (box && board.journal?.order === opened) showJournal(box, board.journal);
}

function stateOf(order) {
  return order.run === "failed" || order.run === "cancelled" ? "stopped" : order.state;
}

function make(order) {
  const row = el("button", { type: "button", class: "row", "aria-expanded": "false", "aria-controls": "j-" + order.id },
    icon(order.item),
    el("span", { class: "what" },
      el("b", {}, `${order.quantity} × ${itemName(order.item)}`),
      el("span", { class: "who" })),
    el("span", { class: "amount" }),
    el("span", { class: "state" }));
  const journal = el("div", { class: "journal", id: "j-" + order.id, hidden: true });
  row.addEventListener("click", () => open(opened === order.id ? "" : order.id));
  return el("li", { class: "order" }, row, journal);
}

// open opens the journal of one order and closes the one that was open.
function open(id) {
  for (const [order, shown] of [[opened, false], [id, true]]) {
    const box = byID("j-" + order);
    if (!box) continue;
    box.hidden = !shown;
    box.previousElementSibling.setAttribute("aria-expanded", String(shown));
    if (shown && !box.hasChildNodes()) box.append(el("p", { class: "note" }, "Opening the journal…"));
  }
  opened = id;
  onOpen(id);
}

function update(node, order) {
  const state = stateOf(order);
  const badge = node.querySelector(".state");
  badge.dataset.state = state;
  text(badge, words[state] ?? state);
  badge.title = order.reason;
  text(node.querySelector(".amount"), order.amount ? money(order.amount) : "");
  node.classList.toggle("mine", mine.has(order.id));
  describe(node.querySelector(".who"), order);
  if (mine.has(order.id)) tell(order, state);
}

function describe(who, order) {
  const line = `${order.customer} · ${time(order.placed_at)} · ${order.id}`;
  const key = line + order.recoveries;
  if (who.dataset.line === key) return;
  who.dataset.line = key;
  who.replaceChildren(line);
  if (order.recoveries > 0) {
    who.prepend(el("strong", { class: "survived" }, `survived ${count(order.recoveries, "crash", "crashes")}`), " · ");
  }
}

function tell(order, state) {
  if (told.get(order.id) === state) return;
  told.set(order.id, state);
  if (mine.size < 5) say(`Order of ${order.quantity} ${itemName(order.item)}: ${words[state] ?? state}. ${order.reason}`);
}
