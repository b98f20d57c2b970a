// The journal of an order: what its workflow has done so far, live.
import { el, money } from "./dom.js";

const finished = (journal) => ["succeeded", "failed", "cancelled"].includes(journal.run);

// showJournal draws a journal, if there is news.
export function showJournal(box, journal) {
  const version = JSON.stringify(journal);
  if (box.dataset.version === version) return;
  box.dataset.version = version;
  const open = box.querySelector("details")?.open;
  const list = el("ol", { class: "steps" }, placed(journal));
  let pid;
  for (const step of journal.steps) {
    if (pid && step.pid && step.pid !== pid) list.append(died(pid, step.pid));
    pid = step.pid || pid;
    list.append(line(journal, step));
  }
  if (!finished(journal)) list.append(next(journal));
  if (journal.run === "failed" || journal.run === "cancelled") list.append(stopped(journal));
  const raw = el("details", { open }, el("summary", {}, "As the tables have it"), el("pre", { tabindex: "0" }, JSON.stringify(journal, null, 2)));
  box.replaceChildren(list, raw);
}

function placed(journal) {
  return el("li", { class: "step" },
    el("h4", {}, "placed", el("small", {}, new Date(journal.placed_at).toLocaleTimeString("en-GB"))),
    el("p", {}, "On disk, and so as good as done."));
}

function line(journal, step) {
  const at = new Date(step.finished_at) - new Date(journal.placed_at);
  const took = new Date(step.finished_at) - new Date(step.started_at);
  const facts = [`after ${span(at)}`, `took ${span(took)}`];
  if (step.attempts > 1) facts.push(`${step.attempts} tries`);
  if (step.pid) facts.push(`process ${step.pid}`);
  return el("li", { class: step.error ? "step bad" : "step" },
    el("h4", {}, step.name, el("small", {}, facts.join(" · "))),
    el("p", {}, meaning(journal, step)));
}

function meaning(journal, step) {
  if (step.error) return step.error[0].toUpperCase() + step.error.slice(1) + ".";
  const out = step.output ?? {};
  switch (step.name) {
    case "reserve":
      return out.state === "sold out"
        ? "There was not enough in stock."
        : `${journal.input.quantity} taken out of the stock for ${money(out.amount)}. One transaction with this line.`;
    case "charge":
      return `${money(out.amount)} charged: ${out.id}. However often it was asked, with the same key: once.`;
    case "confirm":
      return "The goods are the customer's. One transaction with this line.";
    case "void":
      return "Nobody knew whether the card had been charged, so the charge was voided.";
    case "give back":
      return `${journal.input.quantity} put back into the stock. One transaction with this line.`;
  }
  return step.kind;
}

function died(before, after) {
  return el("li", { class: "step died" }, `Process ${before} was gone; process ${after} went on from here.`);
}

function next(journal) {
  const text = journal.run === "queued" ? "waits for its turn" : "working on the next step…";
  return el("li", { class: "step next" }, el("h4", {}, text));
}

function stopped(journal) {
  return el("li", { class: "step bad" },
    el("h4", {}, journal.run),
    el("p", {}, `${journal.error} To go on: go run ./cmd/dbos resume ${journal.order} -d DIRECTORY`));
}

function span(milliseconds) {
  if (milliseconds < 1) return "under 1 ms";
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
