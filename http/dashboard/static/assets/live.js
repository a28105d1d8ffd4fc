// What changes, as the daemon tells it. The browser opens a stream that broke again, and goes on where it was.

const least = 400; // milliseconds between two calls, however much changes

// follow calls changed after something has, and tells state whether the stream is open. It returns what ends it.
export function follow(changed, state) {
  let timer = 0;
  let last = 0;
  let ended = false;
  let source = null;
  let again = 0;
  const soon = () => {
    if (timer || document.hidden) return;
    timer = setTimeout(() => {
      timer = 0;
      last = Date.now();
      changed();
    }, Math.max(50, last + least - Date.now()));
  };
  const open = () => {
    if (ended) return;
    source = new EventSource('/api/v1/stream');
    source.onopen = () => { state(true); soon(); };
    source.onerror = () => {
      state(false);
      // Refused: the browser gives up, and we ask again later.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 10000);
    };
    for (const name of ['task', 'lane', 'replay', 'reset']) source.addEventListener(name, soon);
  };
  const seen = () => { if (!document.hidden) soon(); };
  document.addEventListener('visibilitychange', seen);
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    clearTimeout(again);
    source.close();
    document.removeEventListener('visibilitychange', seen);
  };
}
