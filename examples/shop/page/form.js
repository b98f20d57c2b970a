// Placing orders: one, or a rush of them.
import { byID, count, text } from "./dom.js";
import { claim } from "./orders.js";
import * as outbox from "./outbox.js";
import { itemIDs } from "./stock.js";

const rushSize = 40;
const people = ["Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Jim", "Katherine", "Leslie", "Margaret", "Niklaus", "Radia", "Tony"];
const fields = ["item", "customer", "quantity", "card"];
const pick = (list) => list[Math.floor(Math.random() * list.length)];

export function startForm() {
  const form = byID("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    place(form);
  });
  for (const button of form.querySelectorAll("[data-card]")) {
    button.addEventListener("click", () => { form.elements.card.value = button.dataset.card; });
  }
  byID("rush").addEventListener("click", rush);
  outbox.onChange(showSending);
}

async function place(form) {
  clear(form);
  const data = new FormData(form);
  const order = {
    id: outbox.newID(),
    item: data.get("item") ?? "",
    quantity: Number(data.get("quantity")),
    customer: data.get("customer"),
    card: data.get("card"),
  };
  if (!Number.isInteger(order.quantity)) {
    complain(form, { field: "quantity", error: `${data.get("quantity")} is not a whole number` });
    return;
  }
  claim(order.id);
  const verdict = await outbox.post(order);
  if (!verdict.accepted) complain(form, verdict);
}

function clear(form) {
  for (const field of fields) {
    byID(field + "-error").textContent = "";
    form.querySelector(`input[name=${field}]`)?.removeAttribute("aria-invalid");
  }
  byID("form-error").textContent = "";
}

// complain shows what is wrong beside the field that it is about.
function complain(form, { error, field, hint }) {
  const message = error[0].toUpperCase() + error.slice(1) + (hint ? `; ${hint}.` : ".");
  const input = form.querySelector(`input[name=${CSS.escape(field ?? "")}]`);
  if (!fields.includes(field) || !input) {
    byID("form-error").textContent = message;
    return;
  }
  byID(field + "-error").textContent = message;
  input.setAttribute("aria-invalid", "true");
  input.focus();
}

async function rush() {
  const items = itemIDs();
  if (items.length === 0) return;
  const verdicts = await Promise.all(Array.from({ length: rushSize }, () => outbox.post({
    id: outbox.newID(),
    item: pick(items),
    quantity: 1 + Math.floor(Math.random() * 3),
    customer: pick(people),
    card: Math.random() < 1 / 12 ? "4000 0000 0000 0002" : "4242 4242 4242 4242",
  })));
  const refused = verdicts.find((verdict) => !verdict.accepted);
  if (refused) complain(byID("form"), { error: refused.error, hint: refused.hint });
}

function showSending() {
  const n = outbox.size();
  text(byID("sending"), n > 1 ? `${n} orders on their way…` : "");
  byID("gone-outbox").hidden = n === 0;
  text(byID("gone-outbox"), `${count(n, "order", "orders")} of this page had no answer yet. They are sent again when it is back, with the same IDs, so that none counts twice.`);
}
