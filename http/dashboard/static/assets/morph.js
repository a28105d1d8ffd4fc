// morph turns the elements that are shown into those that should be, and touches nothing that is the same: focus, selection,
// scrolling and what the reader has opened stay.

const handlers = ['onclick', 'onsubmit', 'ontoggle', 'onchange', 'onkeydown'];

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute('data-key') : null);

const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

export function morph(shown, wanted) {
  if (shown.nodeType !== Node.ELEMENT_NODE) {
    if (shown.nodeValue !== wanted.nodeValue) shown.nodeValue = wanted.nodeValue;
    return;
  }
  // What keeps itself: a chart, a tree that is opened bit by bit.
  const keep = wanted.getAttribute('data-keep');
  if (keep !== null && keep === shown.getAttribute('data-keep')) return;
  for (const { name } of [...shown.attributes]) {
    if (!wanted.hasAttribute(name) && !(name === 'open' && shown.nodeName === 'DETAILS')) shown.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name === 'open' && shown.nodeName === 'DETAILS') continue; // the reader's
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  for (const name of handlers) shown[name] = wanted[name];
  if (shown.nodeName === 'INPUT' || shown.nodeName === 'SELECT') return; // what is in it is the reader's
  morphChildren(shown, wanted);
}

function morphChildren(shown, wanted) {
  const keyed = new Map([...shown.children].filter((c) => keyOf(c) !== null).map((c) => [keyOf(c), c]));
  const kept = new Set([...wanted.children].map(keyOf));
  let at = shown.firstChild;
  for (const next of [...wanted.childNodes]) {
    while (at && keyOf(at) !== null && !kept.has(keyOf(at))) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    const match = keyOf(next) === null ? null : keyed.get(keyOf(next));
    if (match && match.nodeName === next.nodeName) {
      if (match === at) at = at.nextSibling;
      else shown.insertBefore(match, at);
      morph(match, next);
    } else if (at && keyOf(next) === null && same(at, next)) {
      const after = at.nextSibling;
      morph(at, next);
      at = after;
    } else {
      if (keyOf(next) !== null) next.classList.add('fresh');
      shown.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}
