// The page: follows the server's board, and says plainly when there is no
// server.
import { byID, count, say, text, time } from "./dom.js";
import { startForm } from "./form.js";
import { follow } from "./live.js";
import { onOpening, showOrders } from "./orders.js";
import * as outbox from "./outbox.js";
import { showItems } from "./stock.js";

let process; // the server's, as last seen
let crashed = false; // by this page's button
let connected = false;

function show(board) {
  if (!connected) greet(board.process);
  connected = true;
  process = board.process;
  showProcess();
  showPayment(board.payment);
  showItems(board.items);
  showOrders(board);
}

// greet tells who has come back.
function greet(now) {
  const before = process;
  byID("gone").hidden = true;
  byID("as-of").hidden = true;
  document.body.classList.remove("gone");
  document.title = "Corner Shop";
  byID("crash").disabled = false;
  crashed = false;
  if (before && before.pid !== now.pid) {
    const orders = now.continued === 0 ? "No order was unfinished." :
      `It took over ${count(now.continued, "unfinished order", "unfinished orders")} and goes on where process ${before.pid} stopped.`;
    text(byID("back-text"), `The shop is open again: process ${now.pid}. ${orders}`);
    byID("back").hidden = false;
  }
  outbox.flush();
}

function gone() {
  if (!connected && process) return; // known
  connected = false;
  byID("back").hidden = true;
  byID("gone").hidden = false;
  byID("as-of").hidden = !process;
  byID("crash").disabled = true;
  document.body.classList.add("gone");
  document.title = "Gone: Corner Shop";
  const who = process ? `Process ${process.pid}` : "The server";
  text(byID("gone-title"), process ? "The server is gone" : "The server does not answer");
  text(byID("gone-text"), crashed
    ? `${who} was killed in the middle of its work, as you asked. What it had accepted is in its tables. Start it again; this page is waiting and connects by itself:`
    : `${who} cannot be reached. What it had accepted is in its tables. Start it again; this page is waiting and connects by itself:`);
  if (process) text(byID("gone-command"), process.command);
  showProcess();
  byID("payment").hidden = true;
}

function showProcess() {
  const pill = byID("process");
  pill.dataset.state = connected ? "up" : "down";
  text(pill, connected ? `open · process ${process.pid} · since ${time(process.started)}` : "no server");
}

function showPayment(payment) {
  const pill = byID("payment");
  pill.hidden = false;
  pill.dataset.state = payment.up ? "up" : "down";
  text(pill, payment.up
    ? `payments · process ${payment.pid} · ${payment.latency} · ${Math.round(100 * payment.failures)} % fail`
    : "payments · not reachable, is being started");
}

async function crash() {
  crashed = true;
  byID("crash").disabled = true;
  say("Crash.");
  try {
    await fetch("/crash", { method: "POST" });
  } catch {
    // That is how it looks when the one who should answer is dead.
  }
}

async function copyCommand() {
  try {
    await navigator.clipboard.writeText(byID("gone-command").textContent);
    text(byID("gone-copy"), "Copied");
  } catch {
    getSelection().selectAllChildren(byID("gone-command"));
  }
}

byID("crash").addEventListener("click", crash);
byID("gone-copy").addEventListener("click", copyCommand);
byID("back-close").addEventListener("click", () => { byID("back").hidden = true; });
startForm();
const go = follow("/live", { event: show, gone });
onOpening((id) => go(id ? "/live?journal=" + encodeURIComponent(id) : "/live"));
