// The connection to the server: events as they come, and a new connection
// whenever the old one breaks.

const again = 700; // milliseconds between two tries

// follow calls event with each value that the server sends on a stream, and
// gone when the connection breaks; then it tries again, for ever. The returned
// function goes over to another URL.
export function follow(url, { event, gone }) {
  let source, timer;
  const open = () => {
    source = new EventSource(url);
    source.onmessage = (message) => event(JSON.parse(message.data));
    source.onerror = () => {
      source.close();
      gone();
      timer = setTimeout(open, again);
    };
  };
  open();
  return (other) => {
    url = other;
    clearTimeout(timer);
    source.close();
    open();
  };
}
