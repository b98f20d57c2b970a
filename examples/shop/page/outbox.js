// Orders on their way to the server. An order gets its ID here, and stays
// until the server has said that it is on disk: when the server dies in
// between, the order is sent again, and its ID keeps it from counting twice.

const atOnce = 4;
const waiting = [];
let sending = 0;
let changed = () => {};

export const onChange = (listener) => { changed = listener; };
export const size = () => waiting.length + sending;

// newID makes an ID that nobody else makes.
export function newID() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return "w-" + Array.from(bytes, (b) => (b % 32).toString(32)).join("") + Date.now().toString(36).slice(-3);
}

// post takes an order and returns a promise of the server's verdict:
// {accepted: true} or a refusal {error, field, hint}.
export function post(order) {
  return new Promise((settle) => {
    waiting.push({ order, settle });
    flush();
  });
}

// flush sends what waits. It is called again when the server is back.
export function flush() {
  while (sending < atOnce && waiting.length > 0) send(waiting.shift());
  changed();
}

async function send(letter) {
  sending++;
  const verdict = await attempt(letter.order);
  sending--;
  if (verdict) {
    letter.settle(verdict);
    flush();
  } else {
    waiting.unshift(letter); // until flush
    changed();
  }
}

// attempt returns undefined when nobody knows whether the order arrived.
async function attempt(order) {
  try {
    const response = await fetch("/orders", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(order),
    });
    if (response.status === 503) return undefined;
    const body = await response.json();
    return response.ok ? { accepted: true } : body;
  } catch {
    return undefined;
  }
}
